"""What a reply's fit to its message is worth, with an invented encoder that knows five subjects."""

from __future__ import annotations

import random

import numpy as np
import pytest

from jobs.evaluate.metrics import fit as fit_metric
from jobs.evaluate.metrics.fit import Fit, FitModel, Turn, Vectors

SUBJECTS = {
    "food": ["pizza", "dinner", "cook", "hungry"],
    "school": ["exam", "class", "study", "homework"],
    "music": ["song", "band", "guitar", "concert"],
    "sport": ["game", "run", "team", "gym"],
    "travel": ["plane", "beach", "hotel", "trip"],
}
WORDS = {word: number for number, words in enumerate(SUBJECTS.values()) for word in words}


def encode(texts: list[str]) -> Vectors:
    """One dimension per subject, and one that all texts share, as sentence embeddings have."""
    rows = np.zeros((len(texts), len(SUBJECTS) + 1), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[-1] = 1
        for word in text.split():
            if word in WORDS:
                row[WORDS[word]] += 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def turns(n: int, seed: int, *, share: float = 1.0) -> list[Turn]:
    """Messages and answers; this share of the answers is about the subject of the message."""
    chance = random.Random(seed)
    subjects = list(SUBJECTS.values())
    pairs = []
    for _ in range(n):
        asked = chance.choice(subjects)
        answered = asked if chance.random() < share else chance.choice(subjects)
        pairs.append((f"about {chance.choice(asked)} ?", f"yeah {chance.choice(answered)} then"))
    return pairs


@pytest.fixture(scope="module")
def model() -> FitModel:
    trained = fit_metric.train(turns(300, 1), encode)
    assert trained is not None
    return trained


def measured(model: FitModel, held_out: list[Turn]) -> Fit:
    fitted = fit_metric.measure(model, held_out, [place % 12 for place in range(len(held_out))])
    assert fitted is not None
    return fitted


def test_answers_on_the_subject_are_told_from_others_and_get_weight(model: FitModel) -> None:
    separation = measured(model, turns(80, 2)).separation
    assert separation.auc > 0.85
    assert 0.5 < separation.low < separation.auc < separation.high
    assert separation.weight == pytest.approx(min(0.5, 2 * separation.low - 1))
    assert (separation.turns, separation.conversations) == (80, 12)


def test_answers_on_any_subject_get_no_weight(model: FitModel) -> None:
    """A history in which real answers are not told from others: shown at most, and weighed 0."""
    fitted = fit_metric.measure(model, turns(80, 3, share=0.0), [place % 12 for place in range(80)])
    assert fitted is None or fitted.separation.weight == 0


def test_real_answers_are_one_and_other_real_answers_zero_on_average(model: FitModel) -> None:
    held_out = turns(80, 2)
    fitted = measured(model, held_out)
    incoming, answers = [message for message, _ in held_out], [answer for _, answer in held_out]
    assert fitted.scaled(incoming, answers).mean() == pytest.approx(1)
    rotated = [fitted.scaled(incoming, answers[step:] + answers[:step]).mean() for step in range(1, 80)]
    assert np.mean(rotated) == pytest.approx(0, abs=1e-9)


def test_one_text_to_everything_fits_no_better_than_another_real_answer(model: FitModel) -> None:
    held_out = turns(80, 2)
    fitted = measured(model, held_out)
    for canned in ("haha yeah", "pizza then", "nice song , see you at the gym"):
        assert fitted.scaled([message for message, _ in held_out], [canned] * 80).mean() < 0.2


def test_the_score_of_one_reply_lies_between_zero_and_one(model: FitModel) -> None:
    fitted = measured(model, turns(80, 2))
    assert fitted.score("about pizza ?", "yeah dinner then") > 0.9
    assert fitted.score("about pizza ?", "yeah exam then") == 0


def test_too_few_turns_or_conversations_are_not_measured(model: FitModel) -> None:
    assert fit_metric.train(turns(fit_metric.LEAST_EARLIER - 1, 1), encode) is None
    assert fit_metric.measure(model, turns(7, 2), list(range(7))) is None
    assert fit_metric.measure(model, turns(40, 2), [place % 2 for place in range(40)]) is None


def test_few_conversations_widen_the_interval() -> None:
    values = np.array([0.9, 0.8, 0.7, 0.6, 0.9, 0.5, 0.6, 0.8])
    few, many = fit_metric.clustered(values, [0, 0, 0, 1, 1, 1, 2, 2]), fit_metric.clustered(values, list(range(8)))
    assert few[0] == pytest.approx(values.mean())
    assert few[2] - few[0] == pytest.approx(few[0] - few[1])
    # Single values as clusters: the plain t interval.
    assert many[2] - many[0] == pytest.approx(2.364624 * values.std(ddof=1) / np.sqrt(8), rel=1e-5)
