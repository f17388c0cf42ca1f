"""The verdict: a winner only where the numbers or the owner's votes carry one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from jobs import outlook, quality, verdict, votes
from jobs.quality import Scores

NAMES = {"a": "Model A", "b": "Model B", "c": "Model C"}


def scores(*scenarios: Sequence[float]) -> dict[tuple[str, int], float]:
    """Quality of each prompt of each scenario."""
    return {(f"s{s}", p): value for s, prompts in enumerate(scenarios) for p, value in enumerate(prompts)}


def judged(models: Mapping[str, Scores], **others: Any) -> dict[str, Any]:
    return verdict.find(models, NAMES, **others).verdict


GOOD = scores([0.9, 1.0, 0.8], [0.9, 0.9, 1.0], [0.8, 1.0, 0.9], [1.0, 0.9], [0.9, 0.9])
BAD = scores([0.2, 0.1, 0.4], [0.3, 0.2, 0.2], [0.4, 0.1, 0.2], [0.1, 0.3], [0.2, 0.2])
NEAR = scores([1.0, 0.7, 0.9], [0.9, 1.0, 0.8], [0.9, 0.9, 1.0], [0.8, 1.0], [0.9, 1.0])
NO_VOTES = votes.rank([])


def test_clearly_better_wins() -> None:
    """A model that is better in every scenario is the winner, whatever its place."""
    found = judged({"b": BAD, "a": GOOD})
    assert (found["winner"], found["tied"]) == ("a", [])
    assert "Model A is better than Model B: +0.70" in found["why"]
    assert found["differences"][0]["ci"][0] > 0


def test_a_verdict_says_what_it_rests_on() -> None:
    """Difference, interval, clusters, prompts, p after Holm, and that five clusters bind the sign-flip test."""
    why = judged({"a": GOOD, "b": BAD})["why"]
    assert "+0.70 (95 % interval 0.65 to 0.74, 5 scenarios, 13 prompts, p < 0.001 after Holm)" in why
    assert "a sign-flip test cannot go below p = 0.0625 with 5 clusters" in why


def beside_turns(scenarios: Scores, *, turns: float) -> Scores:
    """The same scores under the names that a run gives its scenarios, and eight conversations of two turns each."""
    spread = {(f"chat:{n}", 2 * n + k): turns + 0.01 * (n % 3) for n in range(8) for k in range(2)}
    return {(f"scenario:{cluster}", place): value for (cluster, place), value in scenarios.items()} | spread


def test_a_lead_that_comes_from_real_turns_alone_is_said_and_is_no_high_confidence() -> None:
    """A real turn asks for nothing, so fluent replies that follow no instruction could win by it."""
    found = judged({"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(NEAR, turns=0.2)})
    assert (found["winner"], found["confidence"]) == ("a", "moderate")
    assert "On the 5 scenarios alone, where an instruction is to be followed, the two are not separated" in found["why"]


def test_a_lead_on_both_is_sure_and_nothing_is_added() -> None:
    found = judged({"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(BAD, turns=0.2)})
    assert (found["winner"], found["confidence"]) == ("a", "high")
    assert "scenarios alone" not in found["why"]


def test_winning_means_against_each() -> None:
    """Beating one model and not another one is no win; the beaten one is not among the tied."""
    found = verdict.find({"a": GOOD, "b": BAD, "c": NEAR}, NAMES)
    assert found.verdict["winner"] is None
    assert sorted(found.verdict["tied"]) == ["a", "c"]
    assert found.groups == {"a": "a", "c": "a", "b": "b"}
    assert found.ranking[2] == "b"


def test_pairs_are_adjusted_for_their_number() -> None:
    """Three pairs: each p is the t test's over scenario means, adjusted after Holm."""
    found = verdict.find({"a": GOOD, "b": BAD, "c": NEAR}, NAMES)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a", "c"), ("a", "b"), ("c", "b")]
    for pair in found.pairs:
        models = {"a": GOOD, "b": BAD, "c": NEAR}
        means = [
            float(np.mean([models[pair.first][k] - models[pair.second][k] for k in GOOD if k[0] == s]))
            for s in ("s0", "s1", "s2", "s3", "s4")
        ]
        assert pair.p == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    raw = sorted(pair.p or 0 for pair in found.pairs)
    adjusted = sorted(pair.p_holm or 0 for pair in found.pairs)
    assert adjusted == pytest.approx([3 * raw[0], max(3 * raw[0], 2 * raw[1]), raw[2]])


def test_the_same_replies_tie_with_an_interval_of_zero() -> None:
    """All differences 0: interval [0, 0], p 1, a tie, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = verdict.find({"a": GOOD, "b": dict(GOOD)}, NAMES)
    assert (found.verdict["winner"], found.verdict["tied"]) == (None, ["a", "b"])
    assert found.verdict["differences"][0]["ci"] == [0.0, 0.0]
    assert found.pairs[0].row()["p_holm"] == 1.0
    assert "Their replies score the same on every prompt." in found.verdict["why"]


def test_one_model_is_no_comparison() -> None:
    """With one model there is neither winner nor tie, and the reason names it."""
    found = judged({"a": GOOD, "b": {}})
    assert (found["winner"], found["tied"]) == (None, [])
    assert "Only one model could be compared: Model A" in found["why"]


def test_no_replies_is_no_comparison() -> None:
    """Without replies the reason says so; replies that all failed choose nobody."""
    assert "No model gave replies" in judged({})["why"]
    nothing = judged({"a": scores([0.0]), "b": scores([0.0])})
    assert nothing["winner"] is None and nothing["tied"] == []


def test_only_common_prompts_are_paired() -> None:
    """What one model did not attempt does not count against the other, and is said."""
    part = {prompt: value for prompt, value in BAD.items() if prompt[0] != "s4"}
    found = judged({"a": GOOD, "b": part})
    assert found["winner"] == "a"
    assert found["differences"][0]["scenarios"] == 4
    assert "2 of 13 prompts were not attempted by every model" in found["why"]


def test_no_common_prompt_gives_no_winner() -> None:
    """Nothing in common, nothing to say."""
    found = judged({"a": scores([1.0, 1.0]), "b": {("other", 0): 0.1}})
    assert found["winner"] is None
    assert "no prompt in common" in found["why"]


def test_one_common_scenario_gives_no_interval() -> None:
    """One scenario says nothing about others."""
    found = judged({"a": scores([1.0, 1.0]), "b": scores([0.0, 0.1])})
    assert found["winner"] is None
    assert "no interval" in found["why"]


def test_three_scenarios_that_agree_by_chance_name_nobody() -> None:
    """Equal differences have no spread, so a t test of them says p = 0; with three that is too easily so."""
    found = judged({"a": scores([1.0], [1.0], [1.0]), "b": scores([0.9], [0.9], [0.9])})
    assert (found["winner"], found["tied"]) == (None, ["a", "b"])
    assert "fewer than 4 scenarios are too few to name anybody" in found["why"]


# ------------------------------------------------------------------------------------------------------- gates


def test_a_model_that_misses_a_gate_is_neither_winner_nor_tied() -> None:
    """It stays in the ranking, last, and the verdict says why."""
    found = verdict.find({"a": GOOD, "b": NEAR, "c": BAD}, NAMES, gated={"a": ["peak of 7000 MB"], "b": [], "c": []})
    assert found.verdict["winner"] == "b"
    assert found.ranking == ("b", "c", "a")
    assert set(found.groups) == {"b", "c"}
    assert "miss a gate: Model A (peak of 7000 MB)" in found.verdict["why"]


def test_the_only_model_that_passes_the_gates_still_has_to_be_better() -> None:
    """Against a bad one it wins; against a near one that misses a gate by a hair nobody is named."""
    won = judged({"a": GOOD, "b": BAD}, gated={"b": ["5 of 13 replies usable"]})
    assert won["winner"] == "a" and "the only one that passes the gates" in won["why"]
    open_ = judged({"a": GOOD, "b": NEAR}, gated={"b": ["11 of 13 replies usable"]})
    assert (open_["winner"], open_["tied"]) == (None, [])
    assert "Only Model A passes the gates" in open_["why"]
    none = judged({"a": GOOD, "b": NEAR}, gated={"a": ["slow"], "b": ["slow"]})
    assert none["winner"] is None and "No model passes the gates: Model A (slow), Model B (slow)" in none["why"]


def test_models_that_were_left_out_rank_behind_those_that_went_on() -> None:
    """Their figures rest on fewer prompts."""
    assert verdict.find({"a": GOOD, "b": NEAR}, NAMES, left_out=["a"]).ranking == ("b", "a")


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
    wins = sum(judged(discrete(random, models))["winner"] is not None for _ in range(nights))
    assert wins / nights <= 0.05


# ------------------------------------------------------------------------------------------------------- votes


def given(*rows: tuple[str, str, int, int]) -> votes.Ranking:
    """Votes as (model, other, wins, losses)."""
    return votes.rank([vote for a, b, won, lost in rows for vote in [(a, b, 1.0)] * won + [(a, b, 0.0)] * lost])


def test_votes_decide_a_tie() -> None:
    """The numbers tie, eleven of twelve votes prefer one: it is the winner, and the reason says so."""
    found = judged({"a": GOOD, "c": NEAR}, votes=given(("c", "a", 11, 1)))
    assert (found["winner"], found["tied"], found["confidence"]) == ("c", [], "moderate")
    assert "12 votes of the owner decide between them, for Model C" in found["why"]


@pytest.mark.parametrize("rows", [("c", "a", 9, 0), ("c", "a", 7, 5)])
def test_too_few_or_divided_votes_decide_nothing(rows: tuple[str, str, int, int]) -> None:
    """Nine votes are too few, seven of twelve are chance."""
    assert judged({"a": GOOD, "c": NEAR}, votes=given(rows))["tied"] == ["a", "c"]


def test_votes_that_contradict_the_numbers_leave_no_winner() -> None:
    """What sounds better and what passes more checks disagree, so nobody is named."""
    found = judged({"a": GOOD, "b": BAD}, votes=given(("b", "a", 12, 1)))
    assert (found["winner"], found["tied"]) == (None, ["a", "b"])
    assert "numbers and ear disagree" in found["why"]


def test_few_votes_against_one_of_the_tied_decide_nothing() -> None:
    """Ten votes in all, but only two against one of the models."""
    ear = given(("a", "c", 10, 0), ("a", "b", 2, 0))
    assert judged({"a": GOOD, "c": NEAR, "b": dict(GOOD)}, votes=ear)["winner"] is None


# ----------------------------------------------------------------------------------------------------- outlook


def figures(**models: tuple[float, float | None, float]) -> dict[str, dict[str, Any]]:
    """Quality, median time in ms and peak in MB of each model."""
    names = ("quality", "p50_latency_ms", "peak_memory_mb")
    return {key: dict(zip(names, values, strict=True)) for key, values in models.items()}


def test_weights_order_what_quality_does_not_separate() -> None:
    """Of two equally good ones the faster comes first; an unknown time leaves the order alone."""
    both = figures(a=(0.8, 2000, 2000), b=(0.8, 1000, 2000))
    assert outlook.order(both, ["a", "b"], quality.WEIGHTS) == ["b", "a"]
    assert outlook.order(figures(a=(0.8, None, 1), b=(0.8, 1, 1)), ["a", "b"], quality.WEIGHTS) == ["a", "b"]


def test_stability_is_where_the_weighted_sums_cross() -> None:
    """Quality alone: 0.9 (1 - w) + 0.5 w = 0.7 (1 - w) + w gives w = 0.2857, rounded down."""
    both = figures(a=(0.9, 2000, 2000), b=(0.7, 1000, 2000))
    weights = {"quality": 1.0, "speed": 0.2, "memory": 0.0}
    assert outlook.stability(both, "a", ["a", "b"], weights) == {"weight": "speed", "from": 0.0, "to": 0.28}
    assert outlook.stability(both, "b", ["a", "b"], weights) == {"weight": "speed", "from": 0.29, "to": 1.0}
    assert outlook.stability(figures(a=(0.9, 1, 1), b=(0.7, 1, 1)), "b", ["a", "b"], weights) is None
    assert outlook.stability(both, "a", ["a"], weights) is None


def test_a_tie_says_what_would_settle_it() -> None:
    """More turns by the power formula and votes by the binomial test; a winner needs neither."""
    random = np.random.default_rng(5)
    one: dict[tuple[str, int], float] = {(f"chat:{n}", p): float(random.uniform()) for n in range(20) for p in range(2)}
    other = {prompt: value - 0.05 + float(random.normal(0, 0.2)) for prompt, value in one.items()}
    found = verdict.find({"a": one, "b": other}, NAMES)
    said = outlook.settle(found, {"a": one, "b": other}, NAMES, given(("a", "b", 2, 1)))
    assert said.startswith("About ") and "more real turns (80 % power" in said
    assert "about 17 more votes between Model A and Model B" in said or "about 17 more votes between Model B" in said
    won = verdict.find({"a": GOOD, "b": BAD}, NAMES)
    assert outlook.settle(won, {"a": GOOD, "b": BAD}, NAMES, NO_VOTES) == ""


def test_equal_replies_are_settled_by_votes_alone() -> None:
    """No number of prompts shows a difference that is not there."""
    models = {"a": GOOD, "b": dict(GOOD)}
    said = outlook.settle(verdict.find(models, NAMES), models, NAMES, NO_VOTES)
    assert said.startswith("About 20 votes between Model A and Model B") and "turns" not in said


def test_the_number_of_votes_is_the_binomial_tests() -> None:
    """20 is the fewest from which on a preference of 4 in 5 is found at 5 % with 80 % power."""

    def power(n: int) -> float:
        needed = next(k for k in range(n + 1) if 2 * stats.binom.sf(k - 1, n, 0.5) <= 0.05)
        return float(stats.binom.sf(needed - 1, n, 0.8))

    assert power(outlook.VOTES) >= 0.8 > power(outlook.VOTES - 1)
