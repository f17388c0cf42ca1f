"""What is never sent by itself, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lib.matching.safety import reason
from jobs.lib.matching.subjects import sensitive

REFUSED = {
    "code": [
        "my code is 4821",
        "pin 0000",
        "482 913 is your code",
        "use G-482913",
        "the door code's 77#",
    ],
    "number of four digits or more": ["see you at 123456", "1999", "in 2025", "flight 20 345", "12,000 of them"],
    "money": ["$20 ok", "5 bucks", "i owe you 30€", "£5?", "ten dollars", "it's 2k usd", "fifty quid"],
    "e-mail address": ["write to a.b@example.org", "anna_smith+x@mail.example.com please"],
    "link": ["https://example.org/x", "www.example.org", "look at example.com", "it's on twitch.tv"],
    "phone number": ["call +49 151 1234567", "(202) 555-0143", "202.555.0143 ok?"],
    "password": [
        "the password is hunter",
        "pw: swordfish",
        "login = anna",
        "wifi key hunter",
        "passphrase is correct horse",
    ],
    "address": [
        "12 Main Street",
        "221b baker st",
        "apt 4",
        "Hauptstraße 7",
        "PO box 12",
        "we live at 7 Elm Grove Lane",
    ],
    "slur": ["you sl*t", "what a f.a.g", "f a g g o t", "re+ard retard", "biiiitch", "b1tch", "wh0re", "cünt", "dykes"],
    "sexual content": [
        "send nudes",
        "s3x?",
        "p0rn",
        "I'm so horny",
        "suck my toes",
        "d1ck pic",
        "you turn me on",
        "🍆",
        "B-O-O-B-S",
        "sexting",
    ],
    "tapback sent as text": [
        "Liked “see you”",
        "Loved an image",
        "Reacted 🔥 to “ok”",
        'Laughed at "haha"',
        "👍 to “ok”",
    ],
    "self-harm": ["i want to die", "kys", "she cut herself", "don't want to be here anymore"],
    "grief or loss": [
        "my grandpa just passed away",
        "he died last night",
        "sorry for your loss",
        "I lost my dad",
        "got fired",
    ],
    "health": [
        "I'm in the hospital",
        "it's cancer",
        "she had a stroke",
        "broke my arm",
        "i feel sick",
        "she's pregnant",
    ],
    "legal trouble": ["got arrested", "talk to my lawyer", "we're getting divorced", "court date is friday"],
    "violence or abuse": ["he hit me", "she was raped", "I'll kill you", "it was abuse"],
    "conflict": ["i hate you", "we need to talk", "we broke up", "fuck off", "are you mad at me", "leave me alone"],
}

HARMLESS = """
ok
lol
no way
see you at 5
see you at 7:30
10 mins
in 20
100 %
4 of us
5ish
at 12:45 then
1 2 3 go
3 am
24/7
no worries about the 100th time
2nd floor
the 1st of may
v2 is out
iphone 15
route 66
what's the code?
forgot my password again
what's the pin
the login is wrong
nice dress code
that's money
no money lol
i'm broke
a million thanks
a pound cake
e.g. me
ok.so what
mail me
@ the gym
call me
my phone died
I died laughing
I'm dead 💀
dead 😂
that kills me
killing it
you killed it today
it doesn't kill you
dying of laughter
he died laughing
the battery is dead
Sussex
Scunthorpe
Essex is fine
Middlesex
cocktails tonight?
hancock
peacock
shuttlecock
raccoon
cocoon
Dickens
cucumber
document
summa cum laude
analysis done
titanic
tit for tat
spice girls
spick and span
flame retardant
assess it
class
bass
grass
pass me the salt
cockpit
Van Dyken
snigger
niggling
push it
hello
wtf
damn
shit happens
fuck yeah
fuck my life
sick of it
that's sick!
sick beat
tennis court at 5
basketball court?
so sue me
sue said hi
jail break the phone... jk
stroke of luck
we're over here
i'm leaving you a note
hard on them
i'm sure ill get it
5 way tie
10 st patrick jokes
5 min drive
10 minutes on the road
5 of us on the way
2 way to go
Loved it
Liked your idea
👍 to that
reacted badly
f u n
""".strip().splitlines()


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in REFUSED.items() for text in texts])
def test_what_must_never_be_a_template_is_refused_with_its_reason(why: str, text: str) -> None:
    assert reason(text) == why


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_look_alikes_are_not_refused(text: str) -> None:
    assert reason(text) is None


def test_the_lists_are_long_enough() -> None:
    assert sum(map(len, REFUSED.values())) >= 60
    assert len(set(HARMLESS)) >= 60


@pytest.mark.parametrize(
    "why", ["self-harm", "grief or loss", "health", "legal trouble", "violence or abuse", "conflict"]
)
def test_incoming_texts_about_it_are_never_answered_by_a_template(why: str) -> None:
    assert {sensitive(text) for text in REFUSED[why]} == {why}
    assert {sensitive(text.upper()) for text in REFUSED[why]} == {why}


@pytest.mark.parametrize("text", HARMLESS)
def test_small_talk_is_not_sensitive(text: str) -> None:
    assert sensitive(text) is None


@given(st.text(max_size=80))
def test_any_text_is_judged(text: str) -> None:
    assert reason(text) is None or reason(text)
