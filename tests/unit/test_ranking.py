"""The regression that ranks templates: it starts from the past shares and learns what follows what."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.lib.matching import inputs
from jobs.lib.matching.inputs import Asked
from jobs.mine import ranking
from jobs.mine.ranking import Replies, TurnInputs, fit, numbers_of

SIZE, TURNS = 8, 400


def world(seed: int = 0, *, context: bool = False) -> tuple[TurnInputs, Replies]:
    """Four kinds of turns; the reply follows the kind of the turn, or of the owner's message before it."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 4, TURNS)
    vectors = np.eye(SIZE, dtype=np.float32)[kind]
    other = np.eye(SIZE, dtype=np.float32)[random.integers(0, 4, TURNS)]
    known = numbers_of([Asked(("hi",), "hello", 5.0)] * TURNS)
    given = TurnInputs(other, other, vectors, known) if context else TurnInputs(vectors, vectors, other, known)
    return given, Replies((kind + 1) % 4, 3)


def parts() -> tuple[ranking.Places, ranking.Places, ranking.Places]:
    places = np.arange(TURNS, dtype=np.int32)
    return places[:250], places[250:320], places[320:]


def right_of(replies: Replies, turns: ranking.Places) -> np.ndarray:
    return replies.label[turns][:, None] == np.arange(1, replies.templates + 1)


def test_what_follows_what_is_learnt_and_used_on_later_turns() -> None:
    given, replies = world()
    past, calibration, report = parts()
    before, after = fit(given, replies, past, calibration, right_of(replies, calibration))
    assert before.epochs == after.epochs > 0
    for fitted in (before, after):
        chances = fitted.probabilities(given.rows(report))
        answered = replies.label[report] > 0
        assert (chances.argmax(axis=1)[answered] == replies.label[report][answered] - 1).all()
        assert (chances[~answered].max(axis=1) < 0.5).all()


def test_what_cannot_be_predicted_leaves_the_past_shares() -> None:
    """Replies that follow nothing: the drafts are those of the most frequent, with about their shares."""
    given, _ = world()
    random = np.random.default_rng(1)
    replies = Replies(random.choice(4, TURNS, p=[0.4, 0.3, 0.2, 0.1]), 3)
    past, calibration, report = parts()
    before, _ = fit(given, replies, past, calibration, right_of(replies, calibration))
    chances = before.probabilities(given.rows(report))
    assert before.epochs < ranking.EPOCHS
    assert chances.mean(axis=0).tolist() == pytest.approx([0.3, 0.2, 0.1], abs=0.1)


def test_what_came_before_counts_where_it_is_known_and_not_where_it_is_hidden() -> None:
    given, replies = world(context=True)
    past, calibration, report = parts()
    _, after = fit(given, replies, past, calibration, right_of(replies, calibration))
    answered = replies.label[report] > 0
    truth = replies.label[report][answered] - 1
    known = after.probabilities(given.rows(report)).argmax(axis=1)[answered]
    alone = after.probabilities(given.rows(report, alone=True)).argmax(axis=1)[answered]
    assert (known == truth).mean() > 0.95
    assert (alone == truth).mean() < 0.7


def test_hiding_the_context_is_what_asking_without_it_gives() -> None:
    """Training hides what serving does not know: the same numbers, and no vector of an earlier message."""
    full, bare = Asked(("are you there?",), "yes", 30.0), Asked(("are you there?",))
    vectors = np.eye(SIZE, dtype=np.float32)[:1]
    given = TurnInputs(vectors, vectors, vectors, numbers_of([full]))
    served = inputs.stack(vectors, vectors, np.zeros_like(vectors), [inputs.numbers(bare)])
    assert np.array_equal(given.rows(np.array([0], dtype=np.int32), alone=True), served)


def test_the_same_turns_give_the_same_ranker() -> None:
    given, replies = world()
    past, calibration, _ = parts()
    first, second = (fit(given, replies, past, calibration, right_of(replies, calibration))[1] for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
