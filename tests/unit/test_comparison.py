"""The document's small parts: what is JSON, which rules hold, what readers get of a plan."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from jobs.lib.comparison import document, explain, pipeline, rules, scores
from jobs.lib.comparison.scores import Gate, ReplyScores
from tests.verdicts import EMPTY


def test_plain_values_are_json() -> None:
    """numpy scalars become numbers, NaN and infinity null."""
    value: dict[str, Any] = {
        "i": np.int64(3),
        "f": np.float32(0.5),
        "d": np.float64("nan"),
        "x": [math.inf, (1, None)],
        "b": np.bool_(True),
    }
    text = json.dumps(document.plain(value), allow_nan=False)
    assert json.loads(text) == {"i": 3, "f": 0.5, "d": None, "x": [None, [1, None]], "b": True}


def test_a_snapshot_without_rules_means_the_defaults_of_a_plan() -> None:
    """What the comparison assumes is what the sections of a plan say when they say nothing."""
    from jobs.evaluate.plan import Section as Evaluate
    from jobs.report.plan import Section as Report

    assumed, defaults = rules.of_plan({}), Report()
    assert assumed.gates == defaults.gates.model_dump()
    assert assumed.measures == defaults.measures.model_dump()
    assert assumed.metrics == defaults.layers.model_dump()
    assert assumed.weights == defaults.weights.model_dump(exclude_none=True)
    assert assumed == defaults.in_force
    section = Evaluate(models=("a",)).model_dump()
    assert {name: section[name] for name in rules.ROUNDS} == rules.ROUNDS


def test_a_plan_may_change_one_rule_and_keep_the_others() -> None:
    """A gate can be raised or switched off alone."""
    changed = rules.of_plan({"gates": {"success": 0.5, "p95_ms": None}, "weights": None})
    assert changed.gates == {"success": 0.5, "memory_mb": 6144, "p95_ms": None}
    assert changed.weights == rules.WEIGHTS


def test_the_weights_of_a_plan_may_name_the_measures_too() -> None:
    """They then go before those of `measures`, and leave the weights of the order as they are."""
    changed = rules.of_plan({"measures": {"own_turns": 0.2}, "weights": {"own_turns": 0.9, "instructions": None}})
    assert (changed.measures, changed.weights) == ({"instructions": 0.5, "own_turns": 0.9}, rules.WEIGHTS)


def timed(*latencies: float) -> list[ReplyScores]:
    """Successful replies that took so many ms."""
    rows = [SimpleNamespace(success=True, batched=False, latency_ms=time) for time in latencies]
    return [ReplyScores(row=cast(Any, row), prompt=("s", 0), metrics={}, quality=1.0) for row in rows]


def test_each_gate_has_its_limit() -> None:
    """Complete replies, memory and p95; a value that was not measured passes."""
    blank, slow = scores.score(EMPTY)["a"].figures, timed(*[16_000.0] * 20)
    figures = replace(
        blank, success_rate=0.5, successes=5, total_tests=10, peak_memory_mb=7000.0, p95_latency_ms=16_000.0
    )
    failed = scores.failed_gates(slow, figures, rules.GATES)
    assert [(gate.gate, gate.value) for gate in failed] == [
        (Gate.SUCCESS, 0.5),
        (Gate.MEMORY, 7000.0),
        (Gate.P95, 16_000.0),
    ]
    assert list(map(explain.failed_gate, failed)) == [
        "5 of 10 replies complete, under 90 %",
        "peak of 6.84 GB, over 6.00 GB",
        "one reply in 20 took 16.0 s or more, over 15.0 s",
    ]
    assert scores.failed_gates(slow, figures, dict.fromkeys(rules.GATES)) == ()
    assert scores.failed_gates([], blank, rules.GATES) == ()


def test_a_gate_needs_more_than_bad_luck() -> None:
    """Two of 13 replies cut off, or one of 20 that was slow, throw no model out."""
    blank = scores.score(EMPTY)["a"].figures
    figures = replace(blank, successes=11, total_tests=13, p95_latency_ms=16_000.0)
    assert scores.failed_gates(timed(*[900.0] * 18, 16_000.0, 16_000.0), figures, rules.GATES) == ()


def test_readers_get_scenarios_without_the_patterns_of_checks() -> None:
    """Identity, title, context and instructions; nothing else of the file."""
    entry = {
        "id": "one",
        "title": "One",
        "context": "Mom: milk?",
        "checks": {"x": {"says": ["secret"]}},
        "prompts": [{"instruction": "Say yes", "checks": {"agrees": {"says": ["yes"]}}, "max_words": 9}],
    }
    expected = {"id": "one", "title": "One", "context": "Mom: milk?", "prompts": [{"instruction": "Say yes"}]}
    assert document.plain(pipeline.scenario(entry)) == expected


def test_models_of_the_same_name_are_told_apart_by_their_keys() -> None:
    """A model entered twice would otherwise be "not better than itself"."""
    blank = pipeline.compare(EMPTY).document.models["a"]
    models = {key: replace(blank, info={"name": name}) for key, name in (("x", "X"), ("x-2", "X"), ("y", "Y"))}
    assert pipeline.display_names(models) == {"x": "X (x)", "x-2": "X (x-2)", "y": "Y"}
