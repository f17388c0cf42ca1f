"""Scores and votes of models for the tests of the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.lib.comparison import verdict, votes
from jobs.lib.comparison.replies import Scores

NAMES = {"a": "Model A", "b": "Model B", "c": "Model C"}


def scores(*scenarios: Sequence[float]) -> dict[tuple[str, int], float]:
    """Quality of each prompt of each scenario."""
    return {(f"s{s}", p): value for s, prompts in enumerate(scenarios) for p, value in enumerate(prompts)}


def judged(models: Mapping[str, Scores], **others: Any) -> dict[str, Any]:
    return verdict.find(models, NAMES, **others).verdict


def given(*rows: tuple[str, str, int, int]) -> votes.Ranking:
    """Votes as (model, other, wins, losses)."""
    return votes.rank([vote for a, b, won, lost in rows for vote in [(a, b, 1.0)] * won + [(a, b, 0.0)] * lost])


def beside_turns(scenarios: Scores, *, turns: float) -> Scores:
    """The same scores under the names that a run gives its scenarios, and eight conversations of two turns each."""
    spread = {(f"chat:{n}", 2 * n + k): turns + 0.01 * (n % 3) for n in range(8) for k in range(2)}
    return {(f"scenario:{cluster}", place): value for (cluster, place), value in scenarios.items()} | spread


GOOD = scores([0.9, 1.0, 0.8], [0.9, 0.9, 1.0], [0.8, 1.0, 0.9], [1.0, 0.9], [0.9, 0.9])
BAD = scores([0.2, 0.1, 0.4], [0.3, 0.2, 0.2], [0.4, 0.1, 0.2], [0.1, 0.3], [0.2, 0.2])
NEAR = scores([1.0, 0.7, 0.9], [0.9, 1.0, 0.8], [0.9, 0.9, 1.0], [0.8, 1.0], [0.9, 1.0])

#: Over all prompts a is far better, on the scenarios alone it is worse.
TORN = {
    "a": beside_turns({prompt: value - 0.2 - 0.01 * prompt[1] for prompt, value in GOOD.items()}, turns=0.9),
    "b": beside_turns(GOOD, turns=0.2),
}
