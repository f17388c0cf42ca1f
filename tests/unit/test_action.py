"""What to do about the model in use, and what would decide where nothing is decided."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._nights import World, draw
from jobs.lib.comparison import action, measures, posterior, winner
from jobs.lib.comparison.action import Action, Decision, Outlook, Remedy
from jobs.lib.comparison.posterior import Posterior


def belief(*values: float, sd: float = 0.01) -> Posterior:
    return posterior.shrink(np.array(values), sd**2 * np.eye(len(values)))


def decide(beliefs: Posterior, present: int | None, eligible: tuple[bool, ...] | None = None) -> Decision:
    return action.decide(beliefs, np.array(eligible or (True,) * len(beliefs.mean)), present)


def test_a_model_that_is_surely_better_than_the_present_one_is_switched_to() -> None:
    decision = decide(belief(0.70, 0.80), present=0)
    assert (decision.action, decision.pick, decision.rival) == (Action.SWITCH, 1, 0)
    assert decision.chance is not None and decision.chance > 0.99
    assert decision.gain == pytest.approx(0.1, abs=0.02)


def test_a_gain_that_is_not_worth_having_keeps_the_present_model() -> None:
    decision = decide(belief(0.70, 0.71, sd=0.002), present=0)
    assert (decision.action, decision.pick) == (Action.KEEP, 1)
    assert decision.chance is not None and decision.chance > 0.99


def test_the_pick_that_is_the_present_model_is_kept() -> None:
    decision = decide(belief(0.80, 0.70), present=0)
    assert (decision.action, decision.pick, decision.rival) == (Action.KEEP, 0, 1)


def test_a_lead_that_may_be_luck_is_undecided() -> None:
    decision = decide(belief(0.66, 0.70, sd=0.09), present=0)
    assert decision.action is Action.UNDECIDED
    assert decision.chance is not None and decision.chance < action.SWITCH_CHANCE


def test_without_a_present_model_the_pick_is_taken_where_its_expected_loss_is_small() -> None:
    assert decide(belief(0.80, 0.70), present=None).action is Action.SWITCH
    assert decide(belief(0.80, 0.79, 0.70, 0.60, sd=0.12), present=None).action is Action.UNDECIDED


def test_a_model_that_misses_a_gate_or_a_canned_reply_is_not_picked() -> None:
    decision = decide(belief(0.90, 0.80, 0.60), present=2, eligible=(False, True, True))
    assert (decision.action, decision.pick, decision.rival) == (Action.SWITCH, 1, 2)


def test_where_no_model_may_be_recommended_the_present_one_stays() -> None:
    """The pick is still given, as the best guess, and marked as not recommended."""
    decision = decide(belief(0.30, 0.20), present=1, eligible=(False, False))
    assert (decision.action, decision.pick, decision.recommended) == (Action.KEEP, 0, False)
    assert decide(belief(0.30, 0.20), present=None, eligible=(False, False)).action is Action.UNDECIDED


def test_four_models_that_write_one_text_each_do_not_beat_a_canned_reply() -> None:
    """Rows 0 to 3 are as good as row 4, the canned one; row 5 is a model."""
    scores = draw(World(base=0.4, leads=(0, 0, 0, 0, 0, 0.3)), np.random.default_rng(1)).scores
    chances = winner.chance_above(measures.quality(measures.instructions(scores), None), 4)
    assert (chances[:4] < action.BEATS_CANNED).all() and chances[5] > action.BEATS_CANNED


# ------------------------------------------------------------------------------------------- what would decide it


def undecided(sd: float = 0.09) -> tuple[Decision, Posterior]:
    beliefs = belief(0.66, 0.70, sd=sd)
    return decide(beliefs, present=0), beliefs


def test_more_rounds_are_the_remedy_where_they_would_take_most_of_the_error_away() -> None:
    decision, beliefs = undecided()
    remedied = action.with_remedy(decision, beliefs, Outlook(now=0.016, after_more_rounds=0.001))
    assert remedied.remedy is Remedy.MORE_ROUNDS and remedied.votes is None


def test_votes_are_the_remedy_where_nothing_is_left_to_ask() -> None:
    decision, beliefs = undecided()
    remedied = action.with_remedy(decision, beliefs, Outlook(now=0.016, after_more_rounds=None))
    assert remedied.remedy is Remedy.VOTES
    assert remedied.votes is not None and 1 <= remedied.votes <= 15


def test_nothing_is_offered_where_a_decision_stands() -> None:
    beliefs = belief(0.70, 0.80)
    left = Outlook(now=0.016, after_more_rounds=0.001)
    assert action.with_remedy(decide(beliefs, present=0), beliefs, left).remedy is None


def test_more_conversations_are_hardly_ever_offered_between_equal_models() -> None:
    rng, offered = np.random.default_rng(1), 0
    for _ in range(200):
        night = draw(World(leads=(0, 0), turns=40, conversations=10), rng)
        both = measures.instructions(night.scores), measures.own_turns(night.turns, night.conversations)
        quality = measures.quality(*both)
        beliefs = posterior.infer(quality)
        decision = action.decide(beliefs, np.ones(2, dtype=bool), 0)
        assert decision.rival is not None
        left = action.outlook(quality, both, (decision.pick, decision.rival), 4.0)
        offered += action.with_remedy(decision, beliefs, left).remedy is Remedy.MORE_ROUNDS
    assert offered <= 4


def test_more_conversations_leave_the_error_of_the_instructions() -> None:
    night = draw(World(leads=(0, 0), turns=40, conversations=10), np.random.default_rng(1))
    both = measures.instructions(night.scores), measures.own_turns(night.turns, night.conversations)
    quality = measures.quality(*both)
    left = action.outlook(quality, both, (0, 1), 1e9)
    only = 0.25 * measures.variance_of_difference(both[0].covariance)[0, 1]
    assert left.after_more_rounds == pytest.approx(only)
    assert action.outlook(quality, both, (0, 1), 1.0).after_more_rounds is None


def test_the_expected_excess_of_a_normal_variable_is_the_mean_of_its_positive_part() -> None:
    values = np.random.default_rng(1).normal(-0.02, 0.1, size=200_000)
    assert action.expected_excess(-0.02, 0.1) == pytest.approx(np.maximum(values, 0).mean(), abs=5e-4)
