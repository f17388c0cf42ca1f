"""When a later round begins nothing more, and which replies a job of a round has to write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jarvisd.errors import JobFailed
from jobs.evaluate.replies import preflight, tasks
from jobs.evaluate.replies.session import Clock
from jobs.evaluate.scenarios import Prompt, PromptDefaults, ResolvedScenarios, Scenario
from jobs.lib.models.catalogue import ModelEntry

SHEET = ResolvedScenarios(
    guide=PromptDefaults(opening="Help."),
    scenarios=(
        Scenario(id="a", context="Ann: Hi", prompts=(Prompt(instruction="Yes"), Prompt(instruction="No"))),
        Scenario(id="b", context="Bob: Hi", prompts=(Prompt(instruction="Ok"),)),
    ),
)


def clock(seconds_left: float, round_: int = 2) -> Clock:
    context: Any = SimpleNamespace(round=round_, seconds_left=lambda: seconds_left)
    return Clock(context)


@pytest.mark.parametrize(
    ("left", "slowest", "batch_s", "up"),
    [
        (9.9, 0, 0, True),
        (10.1, 0, 0, False),
        (24.9, 10, 0, True),  # half as much again as the slowest, and ten seconds
        (25.1, 10, 0, False),
        (39.9, 10, 20, True),
        (float("inf"), 10, 20, False),
        (-5, 0, 0, True),
    ],
)
def test_nothing_is_begun_that_would_end_too_late(left: float, slowest: float, batch_s: float, up: bool) -> None:
    watched = clock(left)
    watched.took(slowest)
    watched.took(slowest / 2)
    assert watched.is_up(batch_s) is up


def test_the_first_round_is_ended_by_the_daemon_alone() -> None:
    assert not clock(-100, round_=1).is_up()


def planned(params: dict[str, Any], samples: int = 1) -> list[tasks.Key]:
    return [task.key for task in tasks.of_job("run", params, SHEET, samples)]


def test_a_job_that_names_nothing_writes_the_first_round() -> None:
    assert planned({"model": "m"}) == [("a", 0, 1), ("a", 1, 1), ("b", 0, 1)]
    assert planned({"model": "m"}, samples=2)[2:5] == [("b", 0, 1), ("a", 0, 2), ("a", 1, 2)]


def test_samples_count_from_the_first_to_the_last_named() -> None:
    assert planned({"samples": [2, 3]}, samples=9) == [
        (scenario, place, sample) for sample in (2, 3) for scenario, place in (("a", 0), ("a", 1), ("b", 0))
    ]


def test_only_what_leaves_no_room_for_the_computer_is_too_large() -> None:
    entry = ModelEntry(key="m", name="M", path="m")
    preflight.check_memory(entry, 7000, 8192)
    with pytest.raises(JobFailed, match="M takes 7200 MB at its peak, and this computer has 8192 MB"):
        preflight.check_memory(entry, 7200, 8192)
