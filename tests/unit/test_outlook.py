"""What would change a verdict: other weights, more conversations, more votes; or nothing of these."""

from __future__ import annotations

import numpy as np

from jobs.evaluate import holdout
from jobs.lib import stats
from jobs.lib.comparison import rules, sensitivity, votes
from jobs.lib.comparison.explain import tie_break
from jobs.lib.comparison.scores import Scores
from jobs.lib.comparison.sensitivity import Stability, TieBreak, TradeOff
from tests.verdicts import BAD, GOOD, NAMES, TORN, decided, given

NO_VOTES = votes.rank([])


def figures(**models: tuple[float, float | None, float]) -> dict[str, TradeOff]:
    """Quality, median time in ms and peak in MB of each model."""
    return {key: TradeOff(quality=quality, p50_ms=p50, peak_mb=peak) for key, (quality, p50, peak) in models.items()}


def test_weights_order_what_quality_does_not_separate() -> None:
    """Of two equally good ones the faster comes first; with an unknown time there is no such order."""
    both = figures(a=(0.8, 2000, 2000), b=(0.8, 1000, 2000))
    assert sensitivity.order(both, ["a", "b"], rules.WEIGHTS) == ["b", "a"]
    assert sensitivity.order(figures(a=(0.8, None, 1), b=(0.8, 1, 1)), ["a", "b"], rules.WEIGHTS) == []


def test_stability_is_where_the_weighted_sums_cross() -> None:
    """Quality alone: 0.9 (1 - w) + 0.5 w = 0.7 (1 - w) + w gives w = 0.2857, rounded down."""
    both = figures(a=(0.9, 2000, 2000), b=(0.7, 1000, 2000))
    weights = {"quality": 1.0, "speed": 0.2, "memory": 0.0}
    assert sensitivity.weight_sensitivity(both, "a", ["a", "b"], weights) == Stability(low=0.0, high=0.28)
    assert sensitivity.weight_sensitivity(both, "b", ["a", "b"], weights) == Stability(low=0.29, high=1.0)
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


def resolved(
    models: dict[str, Scores], given_votes: votes.Ranking = NO_VOTES, conversations: int | None = None
) -> TieBreak | None:
    decision = decided(models)
    return sensitivity.what_would_resolve_tie(decision, decision.tied, given_votes, conversations)


def test_a_tie_has_what_would_resolve_it() -> None:
    """Conversations by the power formula, however many turns each has; votes; a winner needs neither."""
    ways = resolved(chatty(20, 0.08), given(("a", "b", 2, 1)))
    assert ways is not None and ways.conversations > 0 and (ways.votes, ways.some_votes) == (26, True)
    assert ways == resolved(chatty(20, 0.08, each=40), given(("a", "b", 2, 1)))
    assert resolved({"a": GOOD, "b": BAD}) is None
    sentence = tie_break(ways, NAMES)
    assert sentence.startswith("Real turns from about ") and "more conversations (80 % power" in sentence
    assert "or about 26 more votes between Model A and Model B (`jarvisctl vote`)" in sentence


def test_turns_of_conversations_that_were_all_asked_are_not_offered() -> None:
    """The history has 20 conversations, each was asked: only votes are left."""
    ways = resolved(chatty(20, 0.08), conversations=20)
    assert ways is not None and (ways.conversations, ways.exhausted, ways.votes) == (0, 20, 29)
    assert tie_break(ways, NAMES).endswith("; more turns of your 20 conversations will not settle it.")
    more = resolved(chatty(20, 0.08), conversations=300)
    assert more is not None and more.conversations > 0 and more.exhausted == 0


def test_no_more_conversations_are_named_than_a_run_can_ask() -> None:
    """A difference of next to nothing would need thousands."""
    ways = resolved(chatty(20, 0.01))
    assert ways is not None and ways.conversations == 0
    assert sensitivity.MOST_CONVERSATIONS == holdout.MOST_TURNS


def test_a_conflict_is_resolved_by_votes_or_by_nothing() -> None:
    """No number of turns makes scenarios and turns agree; neither turns nor votes make numbers and votes agree."""
    assert resolved(TORN) == TieBreak(first="a", second="b", votes=29)
    vetoed = decided({"a": GOOD, "b": BAD}, votes=given(("b", "a", 11, 1)))
    assert vetoed.tied and sensitivity.what_would_resolve_tie(vetoed, vetoed.tied, NO_VOTES) is None


def test_equal_replies_are_resolved_by_votes_alone() -> None:
    """No number of prompts shows a difference that is not there."""
    ways = resolved({"a": GOOD, "b": dict(GOOD)})
    assert ways is not None and (ways.conversations, ways.exhausted, ways.votes) == (0, 0, 29)


def test_the_number_of_votes_is_that_of_the_rule() -> None:
    """By 29 votes, looked at one by one, a preference of 4 in 5 is found with 80 % power; not by 28."""

    def power(most: int) -> float:
        open_, decided = {0: 1.0}, 0.0
        for n in range(1, most + 1):
            after = {won: 0.2 * open_.get(won, 0.0) + 0.8 * open_.get(won - 1, 0.0) for won in range(n + 1)}
            ends = {won for won in after if n >= votes.MIN_VOTES and stats.binomial_p(won, n - won) < votes.LEVEL}
            decided += sum(after[won] for won in ends if won > n / 2)
            open_ = {won: share for won, share in after.items() if won not in ends}
        return decided

    assert power(sensitivity.VOTES) >= 0.8 > power(sensitivity.VOTES - 1)
