"""What would change a verdict: other weights, more conversations, more votes; or nothing of these."""

from __future__ import annotations

from typing import Any

import numpy as np

from jobs.evaluate import holdout
from jobs.lib import stats
from jobs.lib.comparison import scores, sensitivity, verdict, votes
from jobs.lib.comparison.replies import Scores
from tests.verdicts import BAD, GOOD, NAMES, TORN, given

NO_VOTES = votes.rank([])


def figures(**models: tuple[float, float | None, float]) -> dict[str, dict[str, Any]]:
    """Quality, median time in ms and peak in MB of each model."""
    names = ("quality", "p50_latency_ms", "peak_memory_mb")
    return {key: dict(zip(names, values, strict=True)) for key, values in models.items()}


def test_weights_order_what_quality_does_not_separate() -> None:
    """Of two equally good ones the faster comes first; with an unknown time there is no such order."""
    both = figures(a=(0.8, 2000, 2000), b=(0.8, 1000, 2000))
    assert sensitivity.order(both, ["a", "b"], scores.WEIGHTS) == ["b", "a"]
    assert sensitivity.order(figures(a=(0.8, None, 1), b=(0.8, 1, 1)), ["a", "b"], scores.WEIGHTS) == []


def test_stability_is_where_the_weighted_sums_cross() -> None:
    """Quality alone: 0.9 (1 - w) + 0.5 w = 0.7 (1 - w) + w gives w = 0.2857, rounded down."""
    both = figures(a=(0.9, 2000, 2000), b=(0.7, 1000, 2000))
    weights = {"quality": 1.0, "speed": 0.2, "memory": 0.0}
    assert sensitivity.weight_sensitivity(both, "a", ["a", "b"], weights) == {
        "weight": "speed",
        "from": 0.0,
        "to": 0.28,
    }
    assert sensitivity.weight_sensitivity(both, "b", ["a", "b"], weights) == {
        "weight": "speed",
        "from": 0.29,
        "to": 1.0,
    }
    assert sensitivity.weight_sensitivity(figures(a=(0.9, 1, 1), b=(0.7, 1, 1)), "b", ["a", "b"], weights) is None
    assert sensitivity.weight_sensitivity(both, "a", ["a"], weights) is None


def chatty(chats: int, gap: float, each: int = 4) -> dict[str, Scores]:
    """Two models on turns of several conversations, apart by `gap` on average."""
    noise = np.random.default_rng(5).normal(0, 0.2, chats)
    gaps = gap + noise - noise.mean()
    prompts = [(f"chat:{n}", each * n + p) for n in range(chats) for p in range(each)]
    return {
        "a": dict.fromkeys(prompts, 0.7),
        "b": {prompt: 0.7 - float(gaps[prompt[1] // each]) for prompt in prompts},
    }


def settled(models: dict[str, Scores], ear: votes.Ranking = NO_VOTES, conversations: int | None = None) -> str:
    return sensitivity.what_would_resolve_tie(verdict.find(models, NAMES), models, NAMES, ear, conversations)


def test_a_tie_says_what_would_settle_it() -> None:
    """Conversations by the power formula, however many turns each has; votes; a winner needs neither."""
    said = settled(chatty(20, 0.08), given(("a", "b", 2, 1)))
    assert said.startswith("Real turns from about ") and "more conversations (80 % power" in said
    assert said == settled(chatty(20, 0.08, each=40), given(("a", "b", 2, 1)))
    assert "or about 26 more votes between Model A and Model B (`jarvisctl vote`)" in said
    assert settled({"a": GOOD, "b": BAD}) == ""


def test_turns_of_conversations_that_were_all_asked_are_not_offered() -> None:
    """The history has 20 conversations, each was asked: only votes are left."""
    said = settled(chatty(20, 0.08), conversations=20)
    assert said.startswith("About 29 votes between Model A and Model B")
    assert said.endswith("; more turns of your 20 conversations will not settle it.")
    assert "real turns from about" in settled(chatty(20, 0.08), conversations=300).lower()


def test_no_more_conversations_are_named_than_a_run_can_ask() -> None:
    """A difference of next to nothing would need thousands."""
    assert "conversations" not in settled(chatty(20, 0.01))
    assert sensitivity.MOST_CONVERSATIONS == holdout.MOST_TURNS


def test_a_conflict_is_settled_by_votes_or_by_nothing() -> None:
    """No number of turns makes scenarios and turns agree; neither turns nor votes make numbers and votes agree."""
    assert settled(TORN).startswith("About 29 votes between Model A and Model B") and "turns" not in settled(TORN)
    torn = {"a": GOOD, "b": BAD}
    ear = given(("b", "a", 11, 1))
    assert sensitivity.what_would_resolve_tie(verdict.find(torn, NAMES, votes=ear), torn, NAMES, ear) == ""


def test_equal_replies_are_settled_by_votes_alone() -> None:
    """No number of prompts shows a difference that is not there."""
    said = settled({"a": GOOD, "b": dict(GOOD)})
    assert said.startswith("About 29 votes between Model A and Model B") and "turns" not in said


def test_the_number_of_votes_is_that_of_the_rule() -> None:
    """By 29 votes, looked at one by one, a preference of 4 in 5 is found with 80 % power; not by 28."""

    def power(most: int) -> float:
        open_, found = {0: 1.0}, 0.0
        for n in range(1, most + 1):
            after = {won: 0.2 * open_.get(won, 0.0) + 0.8 * open_.get(won - 1, 0.0) for won in range(n + 1)}
            ends = {won for won in after if n >= votes.MIN_VOTES and stats.binomial_p(won, n - won) < votes.LEVEL}
            found += sum(after[won] for won in ends if won > n / 2)
            open_ = {won: share for won, share in after.items() if won not in ends}
        return found

    assert power(sensitivity.VOTES) >= 0.8 > power(sensitivity.VOTES - 1)
