"""How fit, sound and marks become one value, and what the reference rows are worth."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.evaluate.metrics import fit as fit_metric
from jobs.evaluate.metrics import own_turns as measure
from jobs.evaluate.metrics import style_set
from jobs.evaluate.metrics.fit import Fit, Turn
from jobs.evaluate.metrics.own_turns import AskedTurn, OwnTurns, Reference, own_turns
from jobs.evaluate.metrics.style_set import Voice
from jobs.lib.marks import UNFIT, Mark, marks
from tests.unit.test_fit import encode, turns
from tests.unit.test_style_set import DRY, FORMAL, LOUD, WARM, written

KITCHEN_SINK = "Haha yes! Saw it, thanks, no worries, see you soon! What time works?"


def spoken(seed: int, n: int) -> list[Turn]:
    """Turns whose answers are on the subject and in one person's manner, each a little different."""
    endings = ["lol", "haha", "tbh", "tho", "i guess", "u know", "ok", "kinda", "rn", "btw"]
    starts = ["idk", "nah", "yeah", "ok", "hmm", "omg", "lol", "yep"]
    return [
        (message, f"{starts[place % 8]} {answer.removeprefix('yeah ')} {endings[place % 10]} {'x' * (place % 3)}")
        for place, (message, answer) in enumerate(turns(n, seed))
    ]


HELD_OUT = [AskedTurn(conversation=place % 10, incoming=a, answer=b) for place, (a, b) in enumerate(spoken(2, 80))]


@pytest.fixture(scope="module")
def voice() -> Voice:
    people = {str(n): written(forms, 60, n) for n, forms in enumerate([FORMAL, LOUD, DRY, WARM] * 2)}
    trained = style_set.voice([answer for _, answer in spoken(1, 400)], people)
    assert trained is not None
    return trained


@pytest.fixture(scope="module")
def fit() -> Fit:
    model = fit_metric.train(spoken(1, 400), encode)
    assert model is not None
    fitted = fit_metric.measure(
        model, [(turn.incoming, turn.answer) for turn in HELD_OUT], [turn.conversation for turn in HELD_OUT]
    )
    assert fitted is not None
    return fitted


def scored(voice: Voice | None, fit: Fit | None, replies: list[str]) -> OwnTurns:
    chosen = own_turns(voice, fit, HELD_OUT, replies)
    assert chosen is not None
    return chosen


def test_the_reference_rows_stand_in_their_order(voice: Voice, fit: Fit) -> None:
    rows = measure.reference_replies(HELD_OUT)
    real, another, canned = (
        scored(voice, fit, rows[row]).total for row in (Reference.REAL, Reference.ANOTHER, Reference.CANNED)
    )
    assert real.value > another.value + 0.2
    assert another.value > canned.value + 0.2
    assert real.value > 0.85
    assert canned.value < 0.2


def test_another_real_answer_is_never_the_turns_own_and_each_is_used_once() -> None:
    another = measure.reference_replies(HELD_OUT)[Reference.ANOTHER]
    numbered = [AskedTurn(conversation=0, incoming="", answer=str(place)) for place in range(9)]
    assert sorted(another) == sorted(turn.answer for turn in HELD_OUT)
    replies = measure.reference_replies(numbered)[Reference.ANOTHER]
    assert all(reply != turn.answer for reply, turn in zip(replies, numbered, strict=True))


def test_reference_rows_need_two_turns() -> None:
    with pytest.raises(ValueError, match="two turns"):
        measure.reference_replies(HELD_OUT[:1])


@pytest.mark.parametrize("text", ["haha yeah", "That's cool, what about you?", KITCHEN_SINK])
def test_canned_replies_are_at_the_bottom_and_a_rude_one_is_last(voice: Voice, fit: Fit, text: str) -> None:
    canned, rude = (scored(voice, fit, [reply] * 80).total.value for reply in (text, "fuck off"))
    assert rude == 0
    assert rude < canned < 0.25


def test_contributions_have_the_value_as_their_mean(voice: Voice, fit: Fit) -> None:
    replies = [turn.answer if turn.conversation < 6 else KITCHEN_SINK for turn in HELD_OUT]
    result = scored(voice, fit, replies)
    assert np.mean(result.contributions) == pytest.approx(result.total.value)
    assert result.total.low <= result.total.value <= result.total.high
    better, worse = result.contributions[0], result.contributions[9]
    assert better > worse


def test_the_weight_of_the_fit_is_what_it_separates(voice: Voice, fit: Fit) -> None:
    replies = measure.reference_replies(HELD_OUT)[Reference.ANOTHER]
    assert scored(voice, fit, replies).weight == fit.separation.weight > 0
    without = scored(voice, None, replies)
    assert (without.weight, without.fit) == (0, None)
    assert without.total.value > scored(voice, fit, replies).total.value


def test_without_a_voice_the_fit_stands_alone_and_without_both_there_is_no_value(fit: Fit) -> None:
    real = measure.reference_replies(HELD_OUT)[Reference.REAL]
    alone = scored(None, fit, real)
    assert (alone.sounds, alone.weight) == (None, 1)
    assert alone.total.value == pytest.approx(1)
    assert own_turns(None, None, HELD_OUT, real) is None
    assert own_turns(None, fit, [], []) is None


def test_echoes_and_self_description_earn_nothing(voice: Voice, fit: Fit) -> None:
    real = measure.reference_replies(HELD_OUT)[Reference.REAL]
    half = [f"as an AI language model {text}" if place % 2 else text for place, text in enumerate(real)]
    assert scored(voice, fit, half).total.value < 0.7 * scored(voice, fit, real).total.value


@pytest.mark.parametrize(
    ("message", "reply", "mark"),
    [
        ("hey", "As an AI language model, I can't do that", Mark.NAMES_ITSELF),
        ("hey", "I'm Qwen, created by Alibaba Cloud.", Mark.NAMES_ITSELF),
        ("hey", "i am a large language model trained by google", Mark.NAMES_ITSELF),
        ("are you coming to the party tonight?", "Are you coming to the party tonight?", Mark.ECHO),
        ("my dog died", "fuck off", Mark.HOSTILE),
        ("hey", "shut up you idiot", Mark.HOSTILE),
    ],
)
def test_unfit_replies_are_marked(message: str, reply: str, mark: Mark) -> None:
    assert marks([message], [reply]) == [frozenset({mark})]
    assert mark in UNFIT


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("good morning", "good morning"),
        ("are you coming to the party tonight?", "yeah coming to the party"),
        ("who made that?", "it was made by my brother"),
        ("did you read about ai?", "yeah ai is everywhere now"),
        ("omg i won", "shut the front door!! no way"),
    ],
)
def test_ordinary_replies_have_no_mark(message: str, reply: str) -> None:
    assert marks([message], [reply]) == [frozenset()]


def test_a_reply_to_many_messages_is_marked_as_repeated() -> None:
    incoming = [f"message {word}" for word in "abcdefghij"]
    replies = ["Lol!!", "lol", "LOL", *"defghij"]
    assert [Mark.REPEATED in marked for marked in marks(incoming, replies)] == [True] * 3 + [False] * 7
    assert not any(marks(["hi"] * 10, ["hello"] * 10)), "the same message may get the same reply"
