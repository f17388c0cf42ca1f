"""The checks of the shipped prompts tell replies that follow the instruction from those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jobs.evaluate import checks, scenarios
from jobs.evaluate.scenarios import ResolvedScenarios

#: scenario, place of the prompt -> (replies that follow its instruction, replies that do not)
EXAMPLES: dict[tuple[str, int], tuple[list[str], list[str]]] = {
    ("dinner-invite", 0): (
        [
            "Yes! I'd love to 😊",
            "Absolutely, can’t wait!",
            "Hey! Yesss I'm totally free, what time?",
            "Hell yes, count me in!",
            "Sounds amazing, I'm in! Where are we going?",
            "I'm so down! Tomorrow is perfect 🎉",
        ],
        [
            "Sorry, I can't make it tomorrow!",
            "Maybe, let me check my calendar!",
            "I'm not sure yet!",
            "What time works for you?",
            "I'm sure you will find somebody!",
            "I'd love to, but I'm busy!",
        ],
    ),
    ("dinner-invite", 1): (
        [
            "Sorry, I can't make it tomorrow. How about Friday?",
            "I’d love to but I’m swamped tomorrow, rain check for next week?",
            "Thanks for the invite! Tomorrow doesn't work for me, but maybe another time?",
            "Hey! I already have plans tomorrow, sorry. Are you free this weekend?",
            "Unfortunately I'm not free tomorrow. Can we do it the day after?",
        ],
        [
            "Yes, I'd love to! See you tomorrow",
            "No.",
            "Sorry, I can't.",
            "Can't wait! See you Friday",
            "I'm free next week too, yes please!",
        ],
    ),
    ("dinner-invite", 2): (
        [
            "Sure! What time works for you?",
            "Yeah, when were you thinking?",
            "I'd love to. What's a good time?",
            "Sounds good, does 7pm work?",
            "Hey! I'm free, let me know what time works best",
        ],
        [
            "Yes, I'd love to!",
            "Sorry, I can't make it tomorrow, what time is it anyway?",
            "See you at dinner!",
            "I have a great time whenever we eat together.",
        ],
    ),
    ("parent-request", 0): (
        ["Sure thing, Mom!", "Yes, will do!", "Of course, I'll pick some up", "No problem mom, on it", "Okay! 2%?"],
        [
            "Sorry Mom, I can't right now",
            "I already got it",
            "Make sure you pick up milk",
            "Maybe, let me see",
            "The milk is white.",
            "Hey son, yes",
        ],
    ),
    ("parent-request", 1): (
        [
            "Already got it, Mom!",
            "I picked some up this morning already 😊",
            "No need, I already bought milk",
            "Yep, got the milk earlier!",
            "It's already in the fridge",
        ],
        [
            "Sure, I'll pick it up!",
            "Got it!",
            "I haven't got it yet",
            "Have you already got it?",
            "Sorry, I can't right now",
            "I'll get it, already on my way",
        ],
    ),
    ("parent-request", 2): (
        [
            "Sorry Mom, I can't right now",
            "I can’t right now, can Dad get it?",
            "Unfortunately I'm tied up at work, maybe later?",
            "Not right now, sorry! I can grab some tomorrow",
            "Sorry mom, no, I won't be able to make it to the store",
        ],
        [
            "Sure, will do!",
            "Yes, I'll get it on my way, mom",
            "I already got it, sorry!",
            "No.",
            "Can't you do it yourself?",
        ],
    ),
    ("work-message", 0): (
        [
            "Yes, I saw it. Looks great, thanks!",
            "Got it, thank you for sending it over.",
            "Yep, just reviewed it. Nice work.",
            "I did, thanks for the update!",
            "Yes, I've seen it and noted the changes.",
        ],
        [
            "Not yet, but I'll check it soon.",
            "I haven't had a chance to read it, sorry.",
            "Yes.",
            "I'm sure it is great",
            "lol yeah looks good bro",
            "No, I have not seen it.",
        ],
    ),
    ("work-message", 1): (
        [
            "Not yet, but I'll check it soon.",
            "I haven’t had a chance yet, will take a look this afternoon.",
            "No, not yet. I'm going to read it today.",
            "Haven't seen it yet, let me check now.",
            "Sorry, I didn't get to it yet. Planning to review it shortly.",
        ],
        [
            "Yes, I saw it, thanks!",
            "Not yet.",
            "I'll check the weather soon.",
            "Thanks for the update!",
            "I haven't and I don't care.",
        ],
    ),
    ("work-message", 2): (
        [
            "Thanks for the update!",
            "I appreciate you sending that over.",
            "Thank you for keeping me posted on the project.",
            "Yes, I did. Thanks so much for sharing it.",
        ],
        [
            "Not yet, will do.",
            "No thanks.",
            "Please thank them for the update.",
            "You're welcome!",
            "Thx bro lol great work",
        ],
    ),
    ("friend-banter", 0): (
        ["Hahaha", "lmaooo", "😂😂", "lol I'm dying", "HAHA stop", "omg hehehe"],
        [
            "I agree, that was quite amusing.",
            "Thanks for sharing!",
            "haha yes it was really funny, I remember when we went to the beach last summer",
            "Ok",
            "Hahn is a river",
        ],
    ),
    ("friend-banter", 1): (
        [
            "Right?? I can't believe he said that 😂",
            "Haha yes, the look on your face was priceless",
            "I know, I was crying the whole time",
            "lol so true, we need to do that again",
            "It was hilarious, I laughed all the way home",
        ],
        [
            "Haha",
            "Ikr",
            "I don't think it was that funny, honestly.",
            "Sorry, I can't make it tomorrow then",
            "Thank you for sharing your thoughts with me, dear friend.",
        ],
    ),
    ("running-late", 0): (
        [
            "No worries!",
            "All good, take your time!",
            "Don’t worry about it, see you soon",
            "That's totally fine 😊",
            "No rush at all",
            "It's ok, no need to apologize",
        ],
        [
            "I'm running late too, sorry",
            "Sorry for being late!",
            "Again? Not ok.",
            "No worries, I'm running 10 mins late",
            "Where are you?",
            "On my way, no worries",
        ],
    ),
    ("running-late", 1): (
        [
            "Okay, see you soon!",
            "No worries, see ya in a bit",
            "Ok cool, see u soon",
            "Sounds good, catch you in 10",
            "It's fine! Can't wait to see you",
        ],
        [
            "Okay.",
            "I'll be there in 10 minutes, sorry",
            "See you never, that is not ok",
            "Sorry I'm late, see you soon",
            "Soon enough.",
        ],
    ),
}


@pytest.fixture(scope="module")
def sheet() -> ResolvedScenarios:
    home = Home(Path("/nonexistent"), "--home")
    return scenarios.load("scenarios.yaml", PlanContext(home=home, folder=Path("/nonexistent"), messages=Path("/x")))


def declared(sheet: ResolvedScenarios, scenario_id: str, place: int, reply: str) -> dict[str, bool]:
    """Results of the declared checks alone, without the general ones."""
    scenario = next(candidate for candidate in sheet.scenarios if candidate.id == scenario_id)
    prompt = scenario.prompts[place]
    text = checks.plain(reply)
    return {name: checks.passes(check, text) for name, check in (scenario.checks | prompt.checks).items()}


GOOD = [(*key, reply) for key, (good, _) in EXAMPLES.items() for reply in good]
BAD = [(*key, reply) for key, (_, bad) in EXAMPLES.items() for reply in bad]


@pytest.mark.parametrize(("scenario_id", "place", "reply"), GOOD)
def test_a_reply_that_follows_the_instruction_passes_every_check(
    sheet: ResolvedScenarios, scenario_id: str, place: int, reply: str
) -> None:
    results = declared(sheet, scenario_id, place, reply)
    assert all(results.values()), results


@pytest.mark.parametrize(("scenario_id", "place", "reply"), BAD)
def test_a_reply_that_does_not_fails_a_check(
    sheet: ResolvedScenarios, scenario_id: str, place: int, reply: str
) -> None:
    assert not all(declared(sheet, scenario_id, place, reply).values())


def test_every_shipped_prompt_has_examples_and_good_ones_reach_full_quality(sheet: ResolvedScenarios) -> None:
    places = {(scenario.id, place) for scenario in sheet.scenarios for place in range(len(scenario.prompts))}
    assert places == set(EXAMPLES)
    assert len(places) == 13
    for scenario in sheet.scenarios:
        for place, prompt in enumerate(scenario.prompts):
            good = EXAMPLES[scenario.id, place][0]
            verdicts = [checks.judge(reply, "stop", sheet.guide, scenario, prompt) for reply in good]
            assert all(verdict.quality == 1 for verdict in verdicts), (scenario.id, place, verdicts)
