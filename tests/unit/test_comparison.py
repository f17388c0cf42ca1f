"""The verdict: a winner only where the numbers carry one."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jobs import comparison

NAMES = {"a": "Model A", "b": "Model B", "c": "Model C"}


def scores(*scenarios: Sequence[float]) -> dict[tuple[str, int], float]:
    """Quality of each prompt of each scenario."""
    return {(f"s{s}", p): value for s, prompts in enumerate(scenarios) for p, value in enumerate(prompts)}


GOOD = scores([0.9, 1.0, 0.8], [0.9, 0.9, 1.0], [0.8, 1.0, 0.9], [1.0, 0.9], [0.9, 0.9])
BAD = scores([0.2, 0.1, 0.4], [0.3, 0.2, 0.2], [0.4, 0.1, 0.2], [0.1, 0.3], [0.2, 0.2])
NEAR = scores([1.0, 0.7, 0.9], [0.9, 1.0, 0.8], [0.9, 0.9, 1.0], [0.8, 1.0], [0.9, 1.0])


def test_clearly_better_wins() -> None:
    """A model that is better in every scenario is the winner, whatever its place."""
    found = comparison.verdict({"b": BAD, "a": GOOD}, NAMES)
    assert (found["winner"], found["tied"]) == ("a", [])
    assert "Model A" in found["why"] and "Model B" in found["why"]
    assert found["differences"][0]["ci"][0] > 0


def test_winning_means_against_each() -> None:
    """Beating one model and not another one is no win; the beaten one is not among the tied."""
    found = comparison.verdict({"a": GOOD, "b": BAD, "c": NEAR}, NAMES)
    assert found["winner"] is None
    assert sorted(found["tied"]) == ["a", "c"]


def test_the_same_replies_tie_with_an_interval_of_zero() -> None:
    """All differences 0: interval [0, 0], a tie, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = comparison.verdict({"a": GOOD, "b": dict(GOOD)}, NAMES)
    assert (found["winner"], found["tied"]) == (None, ["a", "b"])
    assert found["differences"][0]["ci"] == [0.0, 0.0]


def test_one_model_is_no_comparison() -> None:
    """With one model there is neither winner nor tie, and the reason names it."""
    found = comparison.verdict({"a": GOOD, "b": {}}, NAMES)
    assert (found["winner"], found["tied"]) == (None, [])
    assert "Only one model could be compared: Model A" in found["why"]


def test_no_replies_is_no_comparison() -> None:
    """Without replies the reason says so; replies that all failed choose nobody."""
    assert "No model gave replies" in comparison.verdict({}, NAMES)["why"]
    nothing = comparison.verdict({"a": scores([0.0]), "b": scores([0.0])}, NAMES)
    assert nothing["winner"] is None and nothing["tied"] == []


def test_only_common_prompts_are_paired() -> None:
    """What one model did not attempt does not count against the other, and is said."""
    part = {prompt: value for prompt, value in BAD.items() if prompt[0] != "s4"}
    found = comparison.verdict({"a": GOOD, "b": part}, NAMES)
    assert found["winner"] == "a"
    assert found["differences"][0]["scenarios"] == 4
    assert "2 of 13 prompts were not attempted by every model" in found["why"]


def test_no_common_prompt_gives_no_winner() -> None:
    """Nothing in common, nothing to say."""
    found = comparison.verdict({"a": scores([1.0, 1.0]), "b": {("other", 0): 0.1}}, NAMES)
    assert found["winner"] is None
    assert "no prompt in common" in found["why"]


def test_one_common_scenario_gives_no_interval() -> None:
    """One scenario says nothing about others."""
    found = comparison.verdict({"a": scores([1.0, 1.0]), "b": scores([0.0, 0.1])}, NAMES)
    assert found["winner"] is None
    assert "no interval" in found["why"]


def test_plain_values_are_json() -> None:
    """numpy scalars become numbers, NaN and infinity null."""
    value: dict[str, Any] = {
        "i": np.int64(3),
        "f": np.float32(0.5),
        "d": np.float64("nan"),
        "x": [math.inf, (1, None)],
        "b": np.bool_(True),
    }
    text = json.dumps(comparison.plain(value), allow_nan=False)
    assert json.loads(text) == {"i": 3, "f": 0.5, "d": None, "x": [None, [1, None]], "b": True}
