"""The decision: a winner only where the numbers or the owner's votes carry one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from jobs.lib.comparison.counsel import in_ten
from jobs.lib.comparison.decide import Basis, Confidence, Conflict, Interruption, Source
from jobs.lib.comparison.explain import Explanation
from jobs.lib.comparison.load import LeftOutRow
from jobs.lib.comparison.prompts import Measure, Scores
from jobs.lib.results.tables import Cause
from tests.verdicts import BAD, GOOD, NAMES, NEAR, TORN, beside_turns, decided, given, scores, told, why


def test_clearly_better_wins() -> None:
    """A model that is better in every scenario is the winner, whatever its place."""
    decision = decided({"b": BAD, "a": GOOD})
    assert (decision.winner, decision.tied) == ("a", ())
    estimate = decision.gaps[0].estimate
    assert estimate is not None and estimate.mean == pytest.approx(0.692, abs=0.001) and estimate.above_zero


def test_the_details_give_the_figures_of_the_decision() -> None:
    """Difference, interval, prompts and p after Holm."""
    assert why(decided({"a": GOOD, "b": BAD})) == (
        "Model A is better than Model B: +0.69 (95 % interval 0.52 to 0.86, 13 prompts in common, "
        "p < 0.001 after Holm)."
    )


def test_the_first_sentences_say_what_to_do_without_a_statistical_term() -> None:
    """Action, chance and what was not measured; figures and tests stand in the details."""
    assert told(decided({"a": GOOD, "b": BAD})) == (
        "Best guess: Model A (more than 9 in 10 that it is the best). If that is wrong you lose less than 0.01 of "
        "quality on average. It did better than Model B in 5 of 5 scenarios, by 0.69 on average: more than luck "
        "explains. This counts how well instructions are followed; replies to turns of your own history were not asked "
        "for, or could not be measured."
    )


def test_what_a_wrong_guess_costs_is_said_of_the_cases_in_which_it_is_wrong() -> None:
    """Averaged with the cases in which it is right it would be told several times too small."""
    decision = decided({"a": NEAR, "b": GOOD})
    advice = decision.advice
    assert advice is not None and 0.5 < advice.p_best < 0.9
    assert advice.loss_if_wrong == pytest.approx(advice.expected_loss / (1 - advice.p_best))
    assert round(advice.loss_if_wrong, 2) > round(advice.expected_loss, 2)
    assert f"If that is wrong you lose about {advice.loss_if_wrong:.2f} of quality on average." in told(decision)


@pytest.mark.parametrize(
    ("chance", "words"),
    [(0.02, "less than 1 in 10"), (0.06, "about 1 in 10"), (0.73, "about 7 in 10"), (0.97, "more than 9 in 10")],
)
def test_a_chance_is_told_in_tenths(chance: float, words: str) -> None:
    assert in_ten(chance) == words


def test_a_lead_that_comes_from_real_turns_alone_is_no_high_confidence() -> None:
    """A real turn asks for nothing, so fluent replies that follow no instruction could win by it."""
    decision = decided({"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(NEAR, turns=0.2)})
    assert (decision.winner, decision.confidence) == ("a", Confidence.MODERATE)
    gap = decision.on_scenarios
    assert gap is not None and gap.rival == "b" and gap.measures == {Measure.INSTRUCTIONS}
    assert gap.estimate is not None and gap.estimate.n == 13
    assert not gap.estimate.above_zero and not gap.estimate.below_zero


def test_a_lead_on_both_is_sure_and_nothing_is_added() -> None:
    decision = decided({"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(BAD, turns=0.2)})
    assert (decision.winner, decision.confidence, decision.on_scenarios) == ("a", Confidence.HIGH, None)


def test_every_rival_is_compared_on_the_scenarios_alone() -> None:
    """The closest over all may be far behind there, and one that is far behind over all may be as good there."""
    far = {prompt: value - 0.25 for prompt, value in GOOD.items()}
    models = {"a": (GOOD, 0.8), "b": (far, 0.6), "c": (NEAR, 0.3)}
    decision = decided({key: beside_turns(values, turns=turns) for key, (values, turns) in models.items()})
    assert (decision.winner, decision.confidence) == ("a", Confidence.MODERATE)
    assert decision.closest is not None and decision.closest.rival == "b"
    assert decision.on_scenarios is not None and decision.on_scenarios.rival == "c"


def test_worse_on_the_scenarios_alone_is_a_conflict_and_no_win() -> None:
    """Real turns favour one, the scenarios the other: no model is named, and both stand as tied."""
    decision = decided(TORN)
    assert (decision.winner, decision.tied, decision.confidence) == (None, ("a", "b"), Confidence.LOW)
    assert decision.conflict == Conflict(source=Source.SCENARIOS, model="a", rivals=("b",))
    assert decision.on_scenarios is not None and decision.on_scenarios.estimate is not None
    assert decision.on_scenarios.estimate.below_zero


def test_votes_decide_between_numbers_that_contradict_each_other() -> None:
    """As they decide a tie."""
    decision = decided(TORN, votes=given(("b", "a", 12, 0)))
    assert (decision.winner, decision.conflict, decision.confidence) == ("b", None, Confidence.MODERATE)


def test_a_model_that_fails_a_gate_and_is_better_on_the_scenarios_is_not_tied() -> None:
    """The only one that passes the gates is not named by its real turns alone."""
    decision = decided(TORN, failing=["b"])
    assert (decision.winner, decision.tied, decision.conflict) == (None, (), None)
    assert decision.on_scenarios is not None and decision.on_scenarios.rival == "b"


def test_winning_means_against_each() -> None:
    """Beating one model and not another one is no win; the beaten one is not among the tied."""
    decision = decided({"a": GOOD, "b": BAD, "c": NEAR})
    assert decision.winner is None
    assert sorted(decision.tied) == ["a", "c"]
    assert decision.pairwise.groups == {"a": "a", "c": "a", "b": "b"}
    assert decision.pairwise.ranking[2] == "b"


def test_pairs_are_adjusted_for_their_number() -> None:
    """Three pairs: each p is adjusted after Holm."""
    pairs = decided({"a": GOOD, "b": BAD, "c": NEAR}).pairwise.pairs
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "c"), ("a", "b"), ("c", "b")]
    raw = sorted(pair.p or 0 for pair in pairs)
    adjusted = sorted(pair.p_holm or 0 for pair in pairs)
    assert adjusted == pytest.approx([3 * raw[0], max(3 * raw[0], 2 * raw[1]), raw[2]])


def test_the_same_replies_tie_and_share_the_chance_of_being_best() -> None:
    """All differences 0: p 1, a tie, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decision = decided({"a": GOOD, "b": dict(GOOD)})
    assert (decision.winner, decision.tied, decision.all_equal) == (None, ("a", "b"), True)
    assert decision.gaps[0].estimate is not None and decision.gaps[0].estimate.mean == 0.0
    assert decision.pairwise.pairs[0].p_holm == 1.0
    assert decision.advice is not None and decision.advice.p_best == pytest.approx(0.5, abs=0.02)


def test_one_model_is_no_comparison() -> None:
    """With one model there is neither winner nor tie, and the explanation names it."""
    decision = decided({"a": GOOD, "b": {}})
    assert (decision.basis, decision.winner, decision.tied) == (Basis.ONE_MODEL, None, ())
    assert "Model A" in why(decision)


def test_no_replies_is_no_comparison() -> None:
    """Without replies there is no basis; replies that all failed choose no model."""
    assert decided({}).basis is Basis.NO_REPLIES
    nothing = decided({"a": scores([0.0]), "b": scores([0.0])})
    assert (nothing.basis, nothing.winner, nothing.tied) == (Basis.NO_CHECK_PASSED, None, ())


def test_only_common_prompts_are_paired() -> None:
    """What one model did not attempt does not count against the other, and is told."""
    part = {prompt: value for prompt, value in BAD.items() if prompt[0] != "s4"}
    decision = decided({"a": GOOD, "b": part})
    assert decision.winner == "a"
    assert decision.gaps[0].estimate is not None and decision.gaps[0].estimate.n == 4
    assert (decision.coverage.incomplete, decision.coverage.total) == (2, 13)


def test_no_common_prompt_gives_no_winner() -> None:
    decision = decided({"a": scores([1.0, 1.0]), "b": {("other", 0): 0.1}})
    assert decision.winner is None
    assert decision.closest is not None and decision.closest.estimate is None


def test_one_common_scenario_gives_no_interval() -> None:
    """One scenario says nothing about others."""
    decision = decided({"a": scores([1.0, 1.0]), "b": scores([0.0, 0.1])})
    assert decision.winner is None
    estimate = decision.gaps[0].estimate
    assert estimate is not None and estimate.interval is None


def test_three_prompts_that_agree_by_chance_name_no_model() -> None:
    """Equal differences have no spread, and with three that is too easily so."""
    decision = decided({"a": scores([1.0], [1.0], [1.0]), "b": scores([0.9], [0.9], [0.9])})
    assert (decision.winner, decision.tied) == (None, ("a", "b"))
    assert "each asked once, so no interval" in why(decision)


def test_a_model_that_fails_all_of_a_scenario_is_named_in_words() -> None:
    """A mean hides it."""
    failing = {prompt: value * (prompt[0] != "s1") for prompt, value in GOOD.items()}
    decision = decided({"a": beside_turns(GOOD, turns=0.5), "b": beside_turns(failing, turns=0.5)})
    assert decision.failed_scenarios == {"b": ("s1",)}
    assert "Model B does nothing of what was asked in reply to s1." in told(decision)
    words = Explanation(decision=decision, names=NAMES, scenarios={"s1": "Mom: Milk?"}).why
    assert "Model B does nothing of what was asked in reply to “Mom: Milk?”." in words


def test_a_scenario_is_failed_where_a_reader_gives_next_to_nothing() -> None:
    """The second reader never gives exactly 0; a single prompt that does better is enough."""
    low = {prompt: 0.04 if prompt[0] == "s1" else value for prompt, value in GOOD.items()}
    once = low | {("s1", 0): 0.3}
    models = {"a": beside_turns(GOOD, turns=0.5), "b": beside_turns(low, turns=0.5), "c": beside_turns(once, turns=0.5)}
    assert decided(models).failed_scenarios == {"b": ("s1",)}


def test_a_model_that_was_left_out_early_does_not_block_a_winner() -> None:
    """It was judged then; the winner is better than each that went on."""
    models = {"a": GOOD, "b": BAD, "c": NEAR}
    assert decided(models).winner is None
    assert decided(models, left_out=["c"]).winner == "a"


# ------------------------------------------------------------------------------------------------------- gates


def test_a_model_that_fails_a_gate_is_neither_winner_nor_tied() -> None:
    """It stays in the ranking, last, and the explanation says why."""
    decision = decided({"a": GOOD, "b": NEAR, "c": BAD}, failing=["a"])
    assert decision.winner == "b"
    assert decision.pairwise.ranking == ("b", "c", "a")
    assert set(decision.pairwise.groups) == {"b", "c"}
    assert "miss a limit of the plan: Model A (peak of 6.84 GB, over 6.00 GB)" in why(decision)


def test_the_only_model_that_passes_the_gates_still_has_to_be_better() -> None:
    """Against a bad one it wins; against a near one that fails a gate no model is named."""
    won = decided({"a": GOOD, "b": BAD}, failing=["b"])
    assert won.winner == "a" and won.pairwise.eligible == ("a",)
    near = decided({"a": GOOD, "b": NEAR}, failing=["b"])
    assert (near.basis, near.winner, near.tied) == (Basis.ONE_PASSES, None, ())
    none = decided({"a": GOOD, "b": NEAR}, failing=["a", "b"])
    assert (none.basis, none.winner) == (Basis.NO_MODEL_PASSES, None)
    assert set(none.failed_gates) == {"a", "b"}


def test_models_that_were_left_out_rank_behind_those_that_went_on() -> None:
    """Their figures rest on fewer prompts."""
    assert decided({"a": GOOD, "b": NEAR}, left_out=["a"]).pairwise.ranking == ("b", "a")


BROKEN = Interruption(broken=LeftOutRow(cause=Cause.JOB_FAILED, details={"round": 2}))
LEFT_OUT = Interruption(rounds=2)


def test_a_winner_that_did_not_finish_is_not_sure() -> None:
    """Its job failed in a later round; what it answered before still wins."""
    models = {"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(BAD, turns=0.2)}
    decision = decided(models, left_out=["a"], interrupted={"a": BROKEN})
    assert (decision.winner, decision.confidence) == ("a", Confidence.MODERATE)
    assert "Model A did not finish: its job failed in round 2." in why(decision)
    assert decided(models, interrupted={"b": LEFT_OUT}).confidence is Confidence.HIGH


def test_a_model_that_was_left_out_and_ends_among_the_tied_is_told() -> None:
    """It may, where the leader changes later: it was separated from another one."""
    decision = decided({"a": GOOD, "c": NEAR}, left_out=["c"], interrupted={"c": LEFT_OUT})
    assert decision.tied == ("a", "c")
    note = "Model C was left out after round 2 and was not asked again; on what it answered it is not separated."
    assert note in why(decision)


# ------------------------------------------------------------------------------------------------------- chance


def discrete(random: np.random.Generator, models: int) -> dict[str, Scores]:
    """A night of equally good models: shares of six checks, alike within a scenario, samples of their own."""
    sizes = [3, 3, 3, 2, 2]
    night = {}
    hard = [random.uniform(0.6, 0.95) for _ in sizes]
    for key in "abcdef"[:models]:
        skill = [min(1.0, max(0.0, share + random.normal(0, 0.1))) for share in hard]
        night[key] = {
            (f"s{s}", p): random.binomial(6, skill[s]) / 6 for s, size in enumerate(sizes) for p in range(size)
        }
    return night


@pytest.mark.parametrize("models", [2, 6])
def test_equal_models_with_different_seeds_have_no_winner(models: int) -> None:
    """The same model under several names: one of them is called better in at most 5 % of the nights."""
    random = np.random.default_rng(20261122)
    nights = {2: 1200, 6: 150}[models]
    wins = sum(decided(discrete(random, models)).winner is not None for _ in range(nights))
    assert wins / nights <= 0.05


# ------------------------------------------------------------------------------------------------------- votes


def test_votes_decide_a_tie() -> None:
    """The numbers tie, eleven of twelve votes prefer one: it is the winner, and the votes are the reason."""
    decision = decided({"a": GOOD, "c": NEAR}, votes=given(("c", "a", 11, 1)))
    assert (decision.winner, decision.tied, decision.confidence) == ("c", (), Confidence.MODERATE)
    count = decision.decided_by
    assert count is not None and (count.preferred, count.other, count.won, count.lost) == ("c", "a", 11, 1)
    assert "12 votes of the owner decide between them, for Model C" in why(decision)


@pytest.mark.parametrize(("won", "lost"), [(9, 0), (7, 5), (10, 2), (11, 4), (14, 5)])
def test_too_few_or_divided_votes_decide_nothing(won: int, lost: int) -> None:
    """Nine votes are too few; after the others the preference is less than nearly certain."""
    assert decided({"a": GOOD, "c": NEAR}, votes=given(("c", "a", won, lost))).tied == ("a", "c")


@pytest.mark.parametrize(("won", "lost"), [(10, 0), (11, 1), (13, 2), (17, 4)])
def test_votes_that_leave_hardly_a_doubt_decide(won: int, lost: int) -> None:
    """The posterior of votes and scores gives the named one 99 of 100."""
    decision = decided({"a": GOOD, "c": NEAR}, votes=given(("c", "a", won, lost)))
    assert decision.winner == "c"
    assert decision.decided_by is not None and decision.decided_by.chance >= 0.99


def test_equal_models_are_hardly_ever_decided_by_votes_that_are_looked_at_one_by_one() -> None:
    """2000 owners who prefer neither and stop at the first decision: about 1.5 % are misled by the 20th vote."""
    random, known = np.random.default_rng(20261122), dict[tuple[int, int], bool]()

    def is_decided(won: int, lost: int) -> bool:
        if (won, lost) not in known:
            known[won, lost] = bool(decided({"a": GOOD, "c": NEAR}, votes=given(("a", "c", won, lost))).winner)
        return known[won, lost]

    won = np.cumsum(random.integers(0, 2, (2000, 20)), axis=1)
    misled = sum(any(is_decided(int(row[n]), n + 1 - int(row[n])) for n in range(20)) for row in won)
    assert misled / 2000 < 0.03


def test_votes_that_contradict_the_numbers_leave_no_winner() -> None:
    """What sounds better and what passes more checks disagree, so no model is named."""
    decision = decided({"a": GOOD, "b": BAD}, votes=given(("b", "a", 12, 1)))
    assert (decision.winner, decision.tied) == (None, ("a", "b"))
    assert decision.conflict == Conflict(source=Source.VOTES, model="a", rivals=("b",))
    assert decision.vetoed_by is not None and decision.vetoed_by.preferred == "b"
    assert decided({"a": GOOD, "c": NEAR}).conflict is None


def test_few_votes_against_one_of_the_tied_decide_nothing() -> None:
    """Ten votes in all, but only two against one of the models."""
    votes = given(("a", "c", 10, 0), ("a", "b", 2, 0))
    assert decided({"a": GOOD, "c": NEAR, "b": dict(GOOD)}, votes=votes).winner is None
