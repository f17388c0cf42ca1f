"""Scores and votes of models for the tests of the verdict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.lib.comparison import pairwise, rules
from jobs.lib.comparison.advice import advise
from jobs.lib.comparison.decide import Decision, Interruption, decide
from jobs.lib.comparison.explain import Explanation
from jobs.lib.comparison.load import ComparisonData, LoadRow
from jobs.lib.comparison.preferences import KeyedVote
from jobs.lib.comparison.prompts import Scores
from jobs.lib.comparison.scores import FailedGate, Gate

NAMES = {"a": "Model A", "b": "Model B", "c": "Model C"}


def scores(*scenarios: Sequence[float]) -> dict[tuple[str, int], float]:
    """Quality of each prompt of each scenario."""
    return {(f"s{s}", p): value for s, prompts in enumerate(scenarios) for p, value in enumerate(prompts)}


TOO_LARGE = FailedGate(gate=Gate.MEMORY, value=7000.0, limit=6144)


def decided(
    models: Mapping[str, Scores],
    *,
    failing: Sequence[str] = (),
    left_out: Sequence[str] = (),
    votes: Sequence[KeyedVote] = (),
    interrupted: Mapping[str, Interruption] | None = None,
) -> Decision:
    """The decision about models with one sample at each prompt; `failing` fail the gate on memory."""
    samples = {key: {prompt: [value] for prompt, value in values.items()} for key, values in models.items()}
    compared = pairwise.compare(samples, {key: [TOO_LARGE] for key in failing}, left_out)
    return decide(compared, interrupted, advise(compared, [_scored(vote, models) for vote in votes]))


def _scored(vote: KeyedVote, models: Mapping[str, Scores]) -> KeyedVote:
    """The vote, on two replies with the mean scores of their models."""
    first, second = (sum(models[key].values()) / len(models[key]) for key in (vote.first, vote.second))
    return replace(vote, scores=(first, second))


def why(decision: Decision) -> str:
    """The figures behind a decision, in words."""
    return Explanation(decision=decision, names=NAMES).details


def told(decision: Decision) -> str:
    """What to do and why, in plain words."""
    return Explanation(decision=decision, names=NAMES).why


def given(*rows: tuple[str, str, int, int]) -> list[KeyedVote]:
    """Votes as (model, other, wins, losses)."""
    shares = [(a, b, share) for a, b, won, lost in rows for share in [1.0] * won + [0.0] * lost]
    return [KeyedVote(first=a, second=b, share=share) for a, b, share in shares]


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

#: A run that loaded one model and asked it nothing.
EMPTY = ComparisonData(
    run_id="2026-11-22-night",
    created_at=dt.datetime(2026, 11, 22, tzinfo=dt.UTC),
    evaluate={},
    rules=rules.Rules(),
    present_model=None,
    jobs=(),
    replies=(),
    turns={},
    loads=(
        LoadRow(
            model="a",
            round=1,
            job=1,
            info={},
            load_time_s=1.0,
            load_peak_mb=None,
            first_reply_ms=None,
            process_mb=None,
            conditions={},
        ),
    ),
    votes=(),
    split=None,
    references=(),
    left_out={},
)
