"""What one job of the kind `evaluate` does. Rounds are planned with it here; the kind itself carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class EvaluateTask(StrEnum):
    """The value of `task` in a job's params."""

    REPLIES = "replies"  #: one model (`model`) writes replies
    PREPARE = "prepare"  #: choose the held-out turns and measure the owner's style
    JUDGE = "judge"  #: a model (`judge`) compares replies in pairs
    METRICS = "metrics"  #: compute style and meaning of the replies


def task_of(params: Mapping[str, Any]) -> EvaluateTask:
    """The task of a job. Jobs queued by 0.1.0 have no `task`: there the keys of `params` tell. Raises ValueError."""
    if "task" in params:
        return EvaluateTask(params["task"])
    if params.get("prepare"):
        return EvaluateTask.PREPARE
    if params.get("judge"):
        return EvaluateTask.JUDGE
    return EvaluateTask.METRICS if params.get("layers") else EvaluateTask.REPLIES
