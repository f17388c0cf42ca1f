"""Incoming turns that no template may answer, and turns that only look like them.

Every other line of each list was put aside before the rule was last changed: the rule was written with the first,
third, ... lines, and the others say how it does on turns that it was not written for.
"""

from __future__ import annotations

SENSITIVE = """\
my grandma died this morning
i just got back from my uncle's funeral
we had to put our dog to sleep yesterday
dad passed away last night
she lost the baby
he's not going to make it, they give him two days
my best friend was killed in a car crash
can you come to the wake on friday
i can't believe he's gone, i keep thinking he'll call
we buried her on sunday
the doctors say she is dying
it's been a year since mom died and it still hurts
our cat didn't survive the surgery
they found him dead in his apartment
i'm so sorry for your loss
my brother took his own life
i don't want to live anymore
sometimes i think about killing myself
i've been having suicidal thoughts again
nobody would notice if i was gone forever
i cut myself again last night
i want to die
she tried to overdose on pills
i just want it all to end
everyone would be happier without me
i'm going to jump off the bridge
he hanged himself
i have no reason to keep going
i wish i was never born
can't do this anymore, goodbye everyone
the biopsy came back, it's cancer
dad had a heart attack, we're in the er
i'm in the hospital
she got diagnosed with ms today
my mom has a tumor
i think i had a miscarriage
she's in a coma
i tested positive for hiv
he broke his leg and needs surgery
i've been really sick all week
my depression is back
had a panic attack at work today
grandpa had a stroke
they put her on a ventilator
i'm pregnant and i don't know what to do
i relapsed last night
he's in rehab again
the chemo isn't working
i've got pneumonia
my kid has a fever of 40 and won't wake up
i got arrested last night
my lawyer says we should settle
i'm being sued by my landlord
she wants a divorce
the police were at our house
he's going to prison for two years
i got a dui
court is on monday, i might lose custody
they're pressing charges against him
i've been served with papers
we are getting evicted
he violated the restraining order
i was raped
my bail hearing is tomorrow
the immigration office wants to deport him
they're accusing me of stealing at work
""".splitlines()

LOOK_ALIKES = """\
this song is to die for
my phone died lol
i'm dying of laughter
that joke killed me
this traffic is killing me
i'm dead 😂
that party was sick
sick beat bro
the battery is dead
he killed it on stage last night
i'd kill for a pizza right now
drop dead gorgeous
my plants died while i was away
i died in that level like ten times
that outfit is to die for
dead tired, going to bed
over my dead body haha
we are dying to see you
you slay me
rip my diet
my social life is dead
i could murder a burger
the wifi died again
did you see the walking dead finale
he is such a lady killer
i'm sick of this weather
that trick shot was insane
sick and tired of homework
love sick puppy over here
my stomach is full, i'm gonna explode
this hangover is brutal
you make me blush
i have a crush on you
doctor who is on tonight
dr pepper or coke?
the doctor in that movie was so funny
i'm addicted to this game
this show is a drug
spiderman is my spirit animal
i got a shot of tequila
we got caught in the rain
i broke my phone
my heart skipped a beat when i heard it
that test was so hard
did you pass the exam
i'm in love with this coat
is it against the law to be this cute
that's a crime against pizza
law and order is my favourite show
i study law at uni
the fashion police would arrest you haha
my mother in law makes great soup
murphy's law i guess
i rest my case
we should sue the weather guy lol
you stole my heart
jailbreak your iphone
what is the verdict on the new cafe
i'll be the judge of that
guilty pleasure: bad reality tv
see you at the tennis court
basketball court at five?
order in the court lol
kill two birds with one stone
it's a dead end, turn left
cross my heart and hope to die
""".splitlines()


def written_for(lines: list[str]) -> list[str]:
    """The half that the rule was written with."""
    return lines[0::2]


def held_out(lines: list[str]) -> list[str]:
    return lines[1::2]
