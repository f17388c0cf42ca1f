"""The fast encoder, and how much it must agree before it is believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lib.matching import ngrams
from jobs.lib.matching.ngrams import Grams
from jobs.lib.stats import wilson

TEXTS = ["where are you", "see you later", "lol", "😂"]


def test_a_text_is_nearest_to_itself() -> None:
    grams = Grams(TEXTS)
    for place, text in enumerate(TEXTS):
        scores = grams.scores(text)
        assert int(scores.argmax()) == place
        assert scores[place] == pytest.approx(1, abs=1e-5)


def test_a_slip_of_the_finger_stays_near() -> None:
    assert int(Grams(TEXTS).scores("where aer you").argmax()) == 0


@given(st.text())
def test_any_text_has_scores_between_zero_and_one(text: str) -> None:
    scores = Grams(TEXTS).scores(text)
    assert scores.shape == (4,)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    assert (scores <= 1 + 1e-5).all()


def test_it_is_believed_from_where_its_agreement_is_sure_enough() -> None:
    scores = [i / 1000 for i in range(1000)]
    threshold = ngrams.calibrate(scores, [score >= 0.8 for score in scores])
    assert threshold is not None
    kept = [score >= 0.8 for score in scores if score >= threshold]
    bounds = wilson(sum(kept), len(kept))
    assert bounds is not None
    assert bounds[0] >= ngrams.TARGET


def test_a_few_lucky_ones_and_equal_scores_do_not_make_it_believed() -> None:
    assert ngrams.calibrate([], []) is None
    assert ngrams.calibrate([0.9, 0.8], [True, True]) is None
    assert ngrams.calibrate([1.0] * 200, [True] * 150 + [False] * 50) is None
