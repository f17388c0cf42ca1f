"""The result of one check of `jarvisctl doctor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was checked, the result, and what to do about it."""

    name: str
    state: State
    what: str
    remedy: str = ""
    figures: dict[str, Any] = field(default_factory=dict)  #: the numbers of `what`, for programs


def ok(name: str, what: str) -> Check:
    return Check(name=name, state="ok", what=what)


def warning(name: str, what: str, remedy: str) -> Check:
    return Check(name=name, state="warning", what=what, remedy=remedy)


def problem(name: str, what: str, remedy: str) -> Check:
    return Check(name=name, state="problem", what=what, remedy=remedy)
