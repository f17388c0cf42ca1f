"""The document's small parts: what is JSON, which rules hold, what readers get of a plan."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from jobs.lib.comparison import document, next_round, scores, snapshot


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

    found, defaults = scores.rules({"plan": {}}), Report()
    assert found.gates == defaults.gates.model_dump()
    assert found.layers == defaults.layers.model_dump()
    assert found.weights == defaults.weights.model_dump()
    section = Evaluate(models=("a",)).model_dump()
    assert {name: section[name] for name in next_round.DEFAULTS} == next_round.DEFAULTS


def test_a_plan_may_change_one_rule_and_keep_the_others() -> None:
    """A gate can be raised or switched off alone."""
    found = scores.rules({"plan": {"report": {"gates": {"success": 0.5, "p95_ms": None}, "weights": None}}})
    assert found.gates == {"success": 0.5, "memory_mb": 6144, "p95_ms": None}
    assert found.weights == scores.WEIGHTS
    assert scores.rules(None) == scores.Rules()


def test_gates_say_what_was_missed() -> None:
    """Usable replies, memory and p95 have each their limit; what was not measured is not missed."""
    figures: dict[str, Any] = {
        "success_rate": 0.7,
        "successes": 7,
        "total_tests": 10,
        "peak_memory_mb": 7000.0,
        "p95_latency_ms": 16_000.0,
    }
    assert scores.failed_gates(figures, scores.GATES) == [
        "7 of 10 replies usable, under 90 %",
        "peak of 7000 MB, over 6144 MB",
        "p95 of 16.0 s a reply, over 15.0 s",
    ]
    assert scores.failed_gates(figures, dict.fromkeys(scores.GATES)) == []
    unknown = figures | dict.fromkeys(("success_rate", "peak_memory_mb", "p95_latency_ms"))
    assert scores.failed_gates(unknown, scores.GATES) == []


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
    assert snapshot._scenario(entry) == expected


def test_models_of_the_same_name_are_told_apart_by_their_keys() -> None:
    """A model entered twice would otherwise be "not better than itself"."""
    models = {"x": {"info": {"name": "X"}}, "x-2": {"info": {"name": "X"}}, "y": {"info": {"name": "Y"}}}
    assert document._names(models) == {"x": "X (x)", "x-2": "X (x-2)", "y": "Y"}
