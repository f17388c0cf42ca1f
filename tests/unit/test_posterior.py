"""The posterior over the models: calibrated chances, shrinkage, elimination, and the strict winner."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks._nights import Night, World, draw
from jobs.lib.comparison import elimination, measures, posterior, winner
from jobs.lib.comparison.gates import Count, misses_p95, misses_success
from jobs.lib.comparison.measures import Quality
from jobs.lib.comparison.posterior import Posterior

NIGHTS = 200
ALL = np.ones(6, dtype=bool)


def quality(night: Night) -> Quality:
    own = measures.own_turns(night.turns, night.conversations) if night.turns.size else None
    return measures.quality(measures.instructions(night.scores), own)


def nights(world: World, seed: int = 1, count: int = NIGHTS) -> list[tuple[Night, Posterior]]:
    rng = np.random.default_rng(seed)
    drawn = [draw(world, rng) for _ in range(count)]
    return [(night, posterior.infer(quality(night))) for night in drawn]


@pytest.mark.parametrize("world", [World(spread=0.07), World(spread=0.07, turns=100, conversations=15)])
def test_the_stated_chance_of_the_pick_is_how_often_it_is_the_best(world: World) -> None:
    stated, true, lost, promised = [], [], [], []
    for night, beliefs in nights(world):
        stated.append(beliefs.p_best[beliefs.pick])
        true.append(night.truth[beliefs.pick] == night.truth.max())
        lost.append(night.truth.max() - night.truth[beliefs.pick])
        promised.append(beliefs.loss[beliefs.pick])
    assert np.mean(stated) == pytest.approx(np.mean(true), abs=0.05)
    assert np.mean(promised) == pytest.approx(np.mean(lost), abs=0.003)
    assert np.mean(lost) <= (0.01 if world.turns else 0.03)


def test_equal_models_have_nearly_equal_chances() -> None:
    """Of six equal ones the pick's chance stays far from certain, and each is first about as often."""
    beliefs = nights(World(turns=100, conversations=15))
    assert np.mean([belief.p_best for _, belief in beliefs], axis=0) == pytest.approx(np.full(6, 1 / 6), abs=0.06)
    assert np.mean([belief.p_best.max() for _, belief in beliefs]) < 0.5


def test_the_same_scores_give_the_same_chance() -> None:
    beliefs = posterior.shrink(np.full(4, 0.7), 0.02**2 * np.eye(4))
    assert beliefs.p_best == pytest.approx(np.full(4, 0.25), abs=0.01)


@pytest.mark.parametrize("turns", [(0, 1), (20, 10), (300, 40)])
def test_a_lead_on_instructions_alone_stays_first_however_many_turns_there_are(turns: tuple[int, int]) -> None:
    world = World(leads=(0.15, 0, 0, 0, 0, 0), lead_on_turns=False, turns=turns[0], conversations=turns[1])
    assert np.mean([beliefs.pick == 0 for _, beliefs in nights(world, count=100)]) >= 0.9


def test_estimates_are_drawn_together_and_more_so_where_they_are_noisy() -> None:
    value = np.array([0.5, 0.6, 0.8])
    sharp, noisy = (posterior.shrink(value, sd**2 * np.eye(3)) for sd in (0.01, 0.2))
    assert np.ptp(noisy.mean) < 0.5 * np.ptp(value) < np.ptp(sharp.mean) < np.ptp(value)
    assert noisy.mean.mean() == pytest.approx(value.mean())


def test_errors_that_two_models_share_do_not_blur_their_difference() -> None:
    shared = posterior.shrink(np.array([0.72, 0.68]), 0.1**2 * np.ones((2, 2)) + 0.001**2 * np.eye(2))
    assert shared.p_best[0] > 0.99


def test_one_model_is_the_best_of_one() -> None:
    beliefs = posterior.shrink(np.array([0.4]), np.array([[0.01]]))
    assert beliefs.pick == 0 and beliefs.p_best[0] == 1.0 and beliefs.loss[0] == 0.0


def test_the_posterior_of_six_models_is_deterministic_and_takes_less_than_50_ms() -> None:
    night = draw(World(turns=100, conversations=15), np.random.default_rng(1))
    first = posterior.infer(quality(night))
    took = []
    for _ in range(5):
        began = time.process_time()
        again = posterior.infer(quality(night))
        took.append(time.process_time() - began)
    assert np.array_equal(first.draws, again.draws)
    assert min(took) < 0.05


def test_near_are_the_models_within_the_least_gain_of_the_pick() -> None:
    beliefs = posterior.shrink(np.array([0.80, 0.79, 0.60]), 0.005**2 * np.eye(3))
    assert beliefs.near(beliefs.pick) == [1]
    assert beliefs.chance_better(0, 2) > 0.99
    assert beliefs.chance_better(0, 0) == 0.5


def test_models_that_may_not_be_chosen_have_no_chance() -> None:
    beliefs = posterior.shrink(np.array([0.8, 0.7, 0.6]), 0.01**2 * np.eye(3)).best_of(np.array([False, True, True]))
    assert beliefs.pick == 1 and beliefs.p_best[0] == 0.0


# ------------------------------------------------------------------------------------------------------ elimination


def test_a_hopeless_model_is_eliminated_but_never_the_present_one_nor_the_last_two() -> None:
    beliefs = posterior.shrink(np.array([0.8, 0.3, 0.2]), 0.02**2 * np.eye(3))
    assert elimination.eliminated(beliefs, ALL[:3]) == [2]
    assert elimination.eliminated(beliefs, ALL[:3], keep=[2]) == []


def test_two_of_the_models_that_are_still_asked_go_on() -> None:
    """One that was left out before does not count as one of the two."""
    beliefs = posterior.shrink(np.array([0.8, 0.7, 0.3]), 0.02**2 * np.eye(3))
    assert elimination.eliminated(beliefs, np.array([True, False, True])) == []


def test_the_best_of_six_is_hardly_ever_eliminated_after_the_first_round() -> None:
    rng = np.random.default_rng(1)
    dropped = 0
    for _ in range(NIGHTS):
        night = draw(World(spread=0.07), rng)
        first = measures.quality(measures.instructions(night.scores[:, :, :1]), None, turns_expected=True)
        dropped += int(np.argmax(night.truth)) in elimination.eliminated(posterior.infer(first), ALL)
    assert dropped <= 2


# ----------------------------------------------------------------------------------------------------------- winner


def test_a_clear_lead_wins_and_equal_models_have_no_winner() -> None:
    rng = np.random.default_rng(1)
    lead, equal = World(leads=(0.15, 0, 0, 0, 0, 0), turns=100, conversations=15), World(turns=100, conversations=15)
    won = [winner.strict_winner(quality(draw(lead, rng)), ALL, is_last=True) for _ in range(100)]
    none = [winner.strict_winner(quality(draw(equal, rng)), ALL, is_last=True) for _ in range(100)]
    assert won.count(0) >= 90 and won.count(0) + won.count(None) == 100
    assert none.count(None) >= 97


def test_two_equal_best_give_a_winner_in_at_most_one_of_twenty_nights() -> None:
    rng = np.random.default_rng(1)
    world = World(leads=(0.1, 0.1, -0.1, -0.1, -0.1, -0.1), turns=100, conversations=15)
    named = [winner.strict_winner(quality(draw(world, rng)), ALL, is_last=True) is not None for _ in range(NIGHTS)]
    assert np.mean(named) <= 0.07


def test_a_look_before_the_last_needs_much_more() -> None:
    """The same difference wins at the last look and not at an earlier one."""
    value, covariance = np.array([0.75, 0.70]), 0.015**2 * np.eye(2)
    measured = Quality(
        value=value, covariance=covariance, degrees=np.full((2, 2), 60.0), weights={}, tested=np.array([True, True])
    )
    both = np.array([True, True])
    assert winner.strict_winner(measured, both, is_last=True) == 0
    assert winner.strict_winner(measured, both, is_last=False) is None


def test_a_model_left_out_early_blocks_no_winner() -> None:
    night = draw(World(leads=(0.15, 0, 0, 0, 0, 0), turns=100, conversations=15), np.random.default_rng(2))
    night.turns[5] = np.nan
    measured = quality(night)
    assert winner.strict_winner(measured, ALL, is_last=True) is None
    assert winner.strict_winner(measured, np.arange(6) < 5, is_last=True) == 0


def test_one_sample_per_prompt_can_be_tested_by_what_an_additive_fit_leaves() -> None:
    """Six models on 13 prompts leave 60 degrees of freedom; two models on 3 prompts leave too few for a test."""
    night = draw(World(leads=(0.2, 0, 0, 0, 0, 0)), np.random.default_rng(1))
    first = measures.quality(measures.instructions(night.scores[:, :, :1]), None)
    assert None not in {pair.p for pair in winner.differences(first)}
    few = measures.quality(measures.instructions(night.scores[:2, :3, :1]), None)
    assert {pair.p for pair in winner.differences(few)} == {None}
    assert winner.strict_winner(few, ALL[:2], is_last=True) is None


def test_one_sample_per_prompt_names_a_false_winner_in_at_most_5_percent() -> None:
    """Two equal models, 300 nights."""
    random = np.random.default_rng(2)
    nights = [draw(World(leads=(0.0, 0.0)), random).scores[:, :, :1] for _ in range(300)]
    looks = [measures.quality(measures.instructions(scores), None) for scores in nights]
    named = sum(winner.strict_winner(look, ALL[:2], is_last=True) is not None for look in looks)
    assert named / len(looks) <= 0.05


def test_an_interval_of_a_difference_excludes_zero_where_p_is_under_5_percent() -> None:
    night = draw(World(spread=0.07, turns=100, conversations=15), np.random.default_rng(1))
    pairs = winner.differences(quality(night))
    assert len(pairs) == 15
    for pair in pairs:
        assert pair.interval is not None and pair.p is not None
        assert (pair.interval[0] > 0 or pair.interval[1] < 0) == (pair.p < 0.05)


# ------------------------------------------------------------------------------------------------------------ gates


def test_a_gate_needs_more_than_bad_luck() -> None:
    """11 of 13 may be a model that is complete in 95 %; 20 of 40 is not."""
    assert not misses_success(Count(11, 13), 0.9)
    assert misses_success(Count(20, 40), 0.9)
    assert not misses_success(Count(0, 0), 0.9)


def test_a_model_that_is_complete_in_95_percent_passes_in_nearly_every_night() -> None:
    complete = np.random.default_rng(1).binomial(13, 0.95, size=2000)
    assert np.mean([misses_success(Count(int(hits), 13), 0.9) for hits in complete]) < 0.01


def test_slow_replies_miss_the_gate_only_beyond_chance() -> None:
    assert not misses_p95(Count(2, 20))
    assert misses_p95(Count(8, 20))


@pytest.mark.parametrize(
    ("models", "turns", "conversations"), [(1, 0, 1), (1, 20, 1), (2, 1, 1), (2, 20, 1), (6, 1, 1)]
)
def test_the_smallest_nights_have_a_posterior(models: int, turns: int, conversations: int) -> None:
    """One model, one turn or one conversation: finite numbers, and chances that sum to 1."""
    night = draw(World(leads=(0.0,) * models, turns=turns, conversations=conversations), np.random.default_rng(1))
    beliefs = posterior.infer(quality(night))
    assert np.isfinite(beliefs.mean).all() and np.isfinite(beliefs.loss).all()
    assert beliefs.p_best.sum() == pytest.approx(1.0)
