"""The two measures: fixed prompts with sampling errors, conversations as clusters, and quality by fixed weights."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._nights import World, draw
from jobs.lib import stats
from jobs.lib.comparison import measures

NIGHTS = 200


def test_instructions_are_the_mean_over_the_prompts_whatever_is_asked_of_turns() -> None:
    scores = np.array([[[1.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]])
    measure = measures.instructions(scores)
    assert measure.value == pytest.approx([0.75, 0.25])
    assert list(measure.n) == [2, 2]


def test_one_sample_per_prompt_gives_no_interval_and_five_give_one() -> None:
    scores = draw(World(), np.random.default_rng(1)).scores
    assert measures.instructions(scores[:, :, :1]).interval(0) is None
    low, high = measures.instructions(scores).interval(0) or (1.0, 0.0)
    assert low < scores[0].mean() < high


def test_perfect_scores_are_no_certainty() -> None:
    """Where every reply of a model got 1.0, the pooled variance still gives its interval a width."""
    scores = draw(World(), np.random.default_rng(1)).scores
    scores[0] = 1.0
    low, high = measures.instructions(scores).interval(0) or (1.0, 1.0)
    assert 0.9 < low < 1.0 and high == 1.0


@pytest.mark.parametrize("base", [0.75, 0.90])
def test_the_interval_of_instructions_covers_the_mean_over_these_prompts(base: float) -> None:
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(NIGHTS):
        night = draw(World(base=base), rng)
        low, high = measures.instructions(night.scores).interval(0) or (1.0, 0.0)
        covered.append(low <= night.truth[0] <= high)
    assert 0.91 <= np.mean(covered) <= 0.99


def test_own_turns_agree_with_the_clustered_mean_where_everything_was_asked() -> None:
    night = draw(World(turns=40, conversations=10), np.random.default_rng(3))
    turns = measures.own_turns(night.turns, night.conversations)
    groups = {str(chat): night.turns[0, night.conversations == chat] for chat in range(10)}
    expected = stats.clustered_interval(groups)
    assert expected is not None
    assert turns.value[0] == pytest.approx(expected.mean)
    assert list(turns.n) == [10] * 6


def test_own_turns_have_an_interval_from_eight_conversations_on() -> None:
    rng = np.random.default_rng(4)
    few, enough = (draw(World(turns=40, conversations=n), rng) for n in (7, 8))
    assert measures.own_turns(few.turns, few.conversations).interval(0) is None
    assert measures.own_turns(enough.turns, enough.conversations).interval(0) is not None


@pytest.mark.parametrize("conversations", [3, 15])
def test_the_error_of_a_paired_difference_on_own_turns_is_what_is_stated(conversations: int) -> None:
    """Also for three conversations, where the sample covariance alone would be nearly nothing or huge."""
    rng = np.random.default_rng(5)
    errors, stated = [], []
    for _ in range(NIGHTS):
        night = draw(World(turns=60, conversations=conversations), rng)
        turns = measures.own_turns(night.turns, night.conversations)
        errors.append(turns.value[0] - turns.value[1])
        stated.append(measures.variance_of_difference(turns.covariance)[0, 1])
    assert 0.75 * np.var(errors) <= np.mean(stated) <= 2 * np.var(errors)


def test_quality_weighs_the_two_the_same_however_many_turns_there_are() -> None:
    rng = np.random.default_rng(6)
    for turns, conversations in ((20, 10), (300, 40)):
        night = draw(World(turns=turns, conversations=conversations), rng)
        asked, own = measures.instructions(night.scores), measures.own_turns(night.turns, night.conversations)
        measure = measures.quality(asked, own)
        assert measure.value == pytest.approx((asked.value + own.value) / 2)
        assert measure.weights == {"instructions": 0.5, "own_turns": 0.5}


def test_a_missing_measure_leaves_the_other_alone() -> None:
    asked = measures.instructions(draw(World(), np.random.default_rng(7)).scores)
    measure = measures.quality(asked, None)
    assert measure.weights == {"instructions": 1.0}
    assert measure.value == pytest.approx(asked.value)


def test_turns_to_come_make_the_instructions_less_certain() -> None:
    """Before the first turn, what turns may still say counts as variance, in the scale of quality."""
    asked = measures.instructions(draw(World(), np.random.default_rng(7)).scores)
    sure, open_ = (measures.quality(asked, None, turns_expected=flag) for flag in (False, True))
    grown = np.diag(open_.covariance) - np.diag(sure.covariance)
    assert grown == pytest.approx(np.full(6, measures.UNMEASURED_VARIANCE))


def test_a_model_without_turns_takes_the_mean_of_the_others_and_is_uncertain() -> None:
    night = draw(World(turns=40, conversations=10), np.random.default_rng(8))
    night.turns[2] = np.nan
    turns = measures.quality(measures.instructions(night.scores), measures.own_turns(night.turns, night.conversations))
    others = np.delete(night.turns, 2, axis=0).mean()
    assert turns.value[2] == pytest.approx((night.scores[2].mean() + others) / 2)
    assert turns.covariance[2, 2] > 2 * turns.covariance[0, 0]
    assert not turns.tested[2] and turns.tested[0]


def test_a_model_that_answered_half_of_the_prompts_is_compared_on_the_same_prompts() -> None:
    """It answered the easy ones: its value is put on common ground, with a wider error."""
    easy = np.where(np.arange(12) < 6, 0.9, 0.3)
    scores = np.tile(easy[None, :, None], (3, 1, 2))
    scores[2, 6:] = np.nan
    measure = measures.instructions(scores)
    assert measure.value == pytest.approx([0.6] * 3, abs=0.01)
    assert measure.covariance[2, 2] > measure.covariance[0, 0]
    assert list(measure.n) == [12, 12, 6]


def test_a_scenario_in_which_every_reply_failed_is_named() -> None:
    scores = np.ones((2, 4, 2))
    scores[1, 2:] = 0.0
    assert measures.failed_scenarios(scores, ["a", "a", "b", "b"]) == [[], ["b"]]
