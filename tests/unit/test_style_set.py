"""What a set of replies says about who wrote it, on invented writers."""

from __future__ import annotations

import random

import numpy as np
import pytest

from jobs.evaluate.metrics import style_set
from jobs.evaluate.metrics.style_set import Voice, score_set

THINGS = ["dinner", "the game", "class", "lunch", "the movie", "work", "practice", "the party", "the trip", "the show"]
WHEN = ["tomorrow", "tonight", "on friday", "later", "at noon", "next week", "on sunday", "this weekend"]
OWNER = [
    "yeah im going to {} {} lol",
    "u coming to {} {}?",
    "haha cant make it to {} {}",
    "ok see u at {} {}",
    "idk about {} {} tbh",
    "{} {}? sounds good",
    "dont forget {} {} haha",
    "im so tired after {} but {} works",
]
FORMAL = ["I am going to {} {}.", "Will you be at {} {}?", "I cannot make it to {} {}.", "I shall see you at {} {}."]
LOUD = ["OMG {} {}!!!", "I love {} SO much, see you {}!!", "Wow!! {} {}?!", "YES!!! {} {}"]
DRY = ["Fine. {} {}.", "No. Not {} {}.", "{}, {}.", "Perhaps {}, {}."]
WARM = ["Dear, {} {} would be lovely", "Lovely {} {}, my dear", "Hope {} goes well {}", "Thinking of you, {} {}"]
CONVERSATIONS = [place % 10 for place in range(100)]


def written(forms: list[str], n: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(forms).format(chance.choice(THINGS), chance.choice(WHEN)) for _ in range(n)]


def formal(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith("?") else ".")


@pytest.fixture(scope="module")
def voice() -> Voice:
    people = {str(n): written(forms, 60, n) for n, forms in enumerate([FORMAL, LOUD, DRY, WARM] * 2)}
    trained = style_set.voice(written(OWNER, 400, 99), people)
    assert trained is not None
    return trained


def value(voice: Voice, replies: list[str]) -> float:
    score = score_set(voice, replies, CONVERSATIONS[: len(replies)])
    assert score is not None
    return score.value


def test_the_owners_other_replies_are_near_one_and_other_people_near_zero(voice: Voice) -> None:
    assert value(voice, written(OWNER, 100, 7)) > 0.85
    assert value(voice, written(FORMAL, 100, 8)) < 0.4


@pytest.mark.parametrize("text", ["lol", "fuck off", "haha yeah", "ok see u at lunch later", "Sounds good!"])
def test_one_text_to_everything_is_at_the_bottom_whoever_might_have_written_it(voice: Voice, text: str) -> None:
    assert value(voice, [text] * 100) < 0.02


def test_the_owners_words_with_capitals_and_full_stops_are_above_canned_texts_and_below_the_owner(voice: Voice) -> None:
    own = written(OWNER, 100, 7)
    polished = value(voice, [formal(text) for text in own])
    assert 0.2 < polished < value(voice, own) - 0.2


def test_repeating_lowers_the_value(voice: Voice) -> None:
    own = written(OWNER, 100, 7)
    assert value(voice, [text if place % 2 else "ok lol" for place, text in enumerate(own)]) < value(voice, own) - 0.3


def test_repetition_is_measured_by_what_the_owner_repeats() -> None:
    """Two answers used 50 times each: among 10 about two different ones are to be expected, and two are no fault."""
    voice = Voice(measures=(), uses=(50, 50), people=4)
    assert voice.repetition(2, 10) == 1
    assert voice.repetition(1, 10) == pytest.approx(0.5, abs=0.01)
    assert Voice(measures=(), uses=(1,) * 50, people=4).repetition(5, 10) == pytest.approx(0.5)


def test_contributions_have_the_value_as_their_mean(voice: Voice) -> None:
    mixed = written(OWNER, 60, 7) + written(FORMAL, 40, 8)
    score = score_set(voice, mixed, CONVERSATIONS)
    assert score is not None
    assert np.mean(score.contributions) == pytest.approx(score.value)
    assert np.mean(score.contributions[:60]) > np.mean(score.contributions[60:])
    assert 0 <= score.low <= score.value <= score.high <= 1
    assert (score.n, score.distinct) == (100, len({text.lower().rstrip(".") for text in mixed}))


def test_contributions_predict_what_leaving_a_conversation_out_does(voice: Voice) -> None:
    """The linearisation: without one conversation the value moves as the contributions of the others say."""
    mixed = written(OWNER, 70, 7) + written(FORMAL, 30, 8)
    score = score_set(voice, mixed, CONVERSATIONS)
    assert score is not None
    kept = [place for place in range(100) if CONVERSATIONS[place] != 3]
    without = score_set(voice, [mixed[place] for place in kept], [CONVERSATIONS[place] for place in kept])
    assert without is not None
    expected = np.mean([score.contributions[place] for place in kept])
    assert without.value == pytest.approx(expected, abs=0.04)


def test_too_few_replies_have_no_value(voice: Voice) -> None:
    assert score_set(voice, written(OWNER, style_set.LEAST_REPLIES - 1, 7), [0] * 19) is None
    assert score_set(voice, written(OWNER, style_set.LEAST_REPLIES, 7), [0] * 20) is not None


def test_too_few_answers_or_people_have_no_voice() -> None:
    people = {str(n): written(FORMAL, 60, n) for n in range(4)}
    assert style_set.voice(written(OWNER, style_set.LEAST_OWN - 1, 1), people) is None
    assert style_set.voice(written(OWNER, 300, 1), dict(list(people.items())[:3])) is None
    assert style_set.voice(written(OWNER, 300, 1), {name: texts[:10] for name, texts in people.items()}) is None


def test_people_who_write_as_the_owner_does_leave_nothing_to_measure() -> None:
    people = {str(n): written(OWNER, 60, n) for n in range(6)}
    assert style_set.voice(written(OWNER, 400, 99), people) is None


def test_the_same_texts_give_the_same_score(voice: Voice) -> None:
    replies = written(OWNER, 50, 5)
    assert score_set(voice, replies, CONVERSATIONS[:50]) == score_set(voice, replies, CONVERSATIONS[:50])
