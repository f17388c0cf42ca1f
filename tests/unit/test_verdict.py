"""The verdict: a winner only where the numbers or the owner's votes carry one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from jobs.lib.comparison import verdict
from jobs.lib.comparison.replies import Scores
from tests.verdicts import BAD, GOOD, NAMES, NEAR, TORN, beside_turns, given, judged, scores


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


def test_a_lead_that_comes_from_real_turns_alone_is_said_and_is_no_high_confidence() -> None:
    """A real turn asks for nothing, so fluent replies that follow no instruction could win by it."""
    found = judged({"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(NEAR, turns=0.2)})
    assert (found["winner"], found["confidence"]) == ("a", "moderate")
    assert (
        "On the 5 scenarios alone, where an instruction is to be followed, Model A and Model B are not separated"
        in found["why"]
    )


def test_a_lead_on_both_is_sure_and_nothing_is_added() -> None:
    found = judged({"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(BAD, turns=0.2)})
    assert (found["winner"], found["confidence"]) == ("a", "high")
    assert "scenarios alone" not in found["why"]


def test_every_rival_is_looked_at_on_the_scenarios_alone() -> None:
    """The closest over all may be far behind there, and one that is far behind over all may be as good there."""
    far = {prompt: value - 0.25 for prompt, value in GOOD.items()}
    models = {"a": (GOOD, 0.8), "b": (far, 0.6), "c": (NEAR, 0.3)}
    found = judged({key: beside_turns(values, turns=turns) for key, (values, turns) in models.items()})
    assert (found["winner"], found["confidence"]) == ("a", "moderate")
    assert "against Model B, the closest" in found["why"]
    assert "Model A and Model C are not separated (+0.01, 95 % interval -0.05 to 0.06)." in found["why"]


def test_worse_on_the_scenarios_alone_is_a_conflict_and_no_win() -> None:
    """Real turns say one, the scenarios the other: nobody is named, and both stand as tied."""
    found = judged(TORN)
    assert (found["winner"], found["tied"], found["confidence"]) == (None, ["a", "b"], "low")
    assert found["conflict"] == {"with": "scenarios", "model": "a", "rivals": ["b"]}
    assert "Model A is worse than Model B (-0.21, 95 % interval -0.21 to -0.20): real turns say one" in found["why"]
    assert "not separated" not in found["why"]


def test_votes_decide_between_numbers_that_contradict_each_other() -> None:
    """As they decide a tie."""
    found = judged(TORN, votes=given(("b", "a", 12, 0)))
    assert (found["winner"], found["conflict"], found["confidence"]) == ("b", None, "moderate")


def test_a_gated_model_that_is_better_on_the_scenarios_is_not_tied() -> None:
    """The only one that passes the gates is not named by its real turns alone."""
    found = judged(TORN, gated={"b": ["slow"]})
    assert (found["winner"], found["tied"], found["conflict"]) == (None, [], None)
    assert "worse than Model B" in found["why"]


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
    assert found["differences"][0]["clusters"] == 4
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


def test_a_winner_that_did_not_finish_says_so_and_is_not_sure() -> None:
    """Its job failed in a later round; what it answered before still wins."""
    broke = {"a": "did not finish: its job failed in round 2"}
    turned = {"a": beside_turns(GOOD, turns=0.9), "b": beside_turns(BAD, turns=0.2)}
    found = judged(turned, left_out=["a"], remarks=broke)
    assert (found["winner"], found["confidence"]) == ("a", "moderate")
    assert "Model A did not finish: its job failed in round 2." in found["why"]
    assert judged(turned, remarks={"b": "was left out"})["confidence"] == "high"


def test_a_model_that_was_left_out_and_ends_among_the_tied_is_said() -> None:
    """It may, where the leader changes later: it was separated from another one."""
    gone = "was left out after round 2 and was not asked again"
    found = judged({"a": GOOD, "c": NEAR}, left_out=["c"], remarks={"c": gone})
    assert found["tied"] == ["a", "c"]
    assert f"Model C {gone}; on what it answered it is not separated." in found["why"]


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


def test_votes_decide_a_tie() -> None:
    """The numbers tie, eleven of twelve votes prefer one: it is the winner, and the reason says so."""
    found = judged({"a": GOOD, "c": NEAR}, votes=given(("c", "a", 11, 1)))
    assert (found["winner"], found["tied"], found["confidence"]) == ("c", [], "moderate")
    assert "12 votes of the owner decide between them, for Model C" in found["why"]


@pytest.mark.parametrize(("won", "lost"), [(9, 0), (7, 5), (9, 1), (10, 2), (11, 4), (14, 5)])
def test_too_few_or_divided_votes_decide_nothing(won: int, lost: int) -> None:
    """Nine votes are too few; the others chance gives in more than 1 of 100."""
    assert judged({"a": GOOD, "c": NEAR}, votes=given(("c", "a", won, lost)))["tied"] == ["a", "c"]


@pytest.mark.parametrize(("won", "lost"), [(10, 0), (11, 1), (13, 2), (17, 4)])
def test_votes_that_chance_hardly_gives_decide(won: int, lost: int) -> None:
    """The exact binomial test of the decided votes, at 1 %."""
    found = judged({"a": GOOD, "c": NEAR}, votes=given(("c", "a", won, lost)))
    p = stats.binomtest(won, won + lost).pvalue
    assert found["winner"] == "c" and p < 0.01
    assert f"{won} of {won + lost} decided votes against Model A, p = {p:.3f}" in found["why"]


def test_equal_models_are_hardly_ever_decided_by_votes_that_are_looked_at_one_by_one() -> None:
    """2000 owners who prefer neither and stop at the first decision: 1.4 % are misled by the 20th vote."""
    random, known = np.random.default_rng(20261122), dict[tuple[int, int], bool]()

    def decided(won: int, lost: int) -> bool:
        if (won, lost) not in known:
            known[won, lost] = bool(judged({"a": GOOD, "c": NEAR}, votes=given(("a", "c", won, lost)))["winner"])
        return known[won, lost]

    won = np.cumsum(random.integers(0, 2, (2000, 20)), axis=1)
    misled = sum(any(decided(int(row[n]), n + 1 - int(row[n])) for n in range(20)) for row in won)
    assert 0.005 < misled / 2000 < 0.025


def test_votes_that_contradict_the_numbers_leave_no_winner() -> None:
    """What sounds better and what passes more checks disagree, so nobody is named."""
    found = judged({"a": GOOD, "b": BAD}, votes=given(("b", "a", 12, 1)))
    assert (found["winner"], found["tied"]) == (None, ["a", "b"])
    assert "numbers and ear disagree" in found["why"]
    assert found["conflict"] == {"with": "votes", "model": "a", "rivals": ["b"]}
    assert judged({"a": GOOD, "c": NEAR})["conflict"] is None


def test_few_votes_against_one_of_the_tied_decide_nothing() -> None:
    """Ten votes in all, but only two against one of the models."""
    ear = given(("a", "c", 10, 0), ("a", "b", 2, 0))
    assert judged({"a": GOOD, "c": NEAR, "b": dict(GOOD)}, votes=ear)["winner"] is None
