"""The next round that an outcome proposes, checked before it is committed: the daemon stores it as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from jarvisd.registry import FINAL_KIND, JobSpec

#: Largest values of a stored job, as `jarvisctl enqueue command` limits them.
MOST_MEMORY_MB = 10**8
MOST_TIMEOUT_S = 10**8
MOST_ATTEMPTS = 10**6


class FaultyProposal(Exception):
    """Why a next round cannot be stored, in words."""


def columns_of(proposed: Iterable[tuple[str, JobSpec]]) -> list[dict[str, Any]]:
    """The proposed jobs as columns of `job`, in order. Raises FaultyProposal when one of them cannot be stored."""
    try:
        rows = [_columns(*pair) for pair in proposed]
    except (TypeError, AttributeError):
        raise FaultyProposal("it is not a sequence of pairs of a kind and a JobSpec") from None
    names = [row["name"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FaultyProposal(f"two of its jobs are called {twice[0]}")
    return rows


def _columns(kind: str, spec: JobSpec) -> dict[str, Any]:
    columns = {"kind": kind, **spec.columns()}
    label = str(spec.name)[:60].encode("ascii", "backslashreplace").decode()
    for name, (holds, must_be) in _RULES.items():
        if not holds(columns[name]):
            raise FaultyProposal(f"{name} of its job {label} must be {must_be}")
    return columns


def _is_text(value: Any) -> bool:
    """Whether the database can store this as text: a lone surrogate is none, and a NUL ends a word of a program."""
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "ignore").decode() == value


def _is_name(value: Any) -> bool:
    return _is_text(value) and bool(value) and value != FINAL_KIND


def _is_environment(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(_is_text(name) and name and "=" not in name and _is_text(text) for name, text in value.items())


def _is_json(value: Any) -> bool:
    try:
        return isinstance(value, dict) and _is_unchanged(json.dumps(value, ensure_ascii=False), value)
    except (TypeError, ValueError, RecursionError):
        return False


def _is_unchanged(text: str, value: dict[str, Any]) -> bool:
    """Whether the text can be stored, and every key of the object is text: JSON would turn a number into text."""
    return text.encode("utf-8", "ignore").decode() == text and all(isinstance(key, str) for key in value)


def _is_between(least: int, most: int, *, or_none: bool = False) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if value is None:
            return or_none
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return holds


#: Column -> what must be true of its value, and the same in words.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "kind": (_is_name, "the name of a kind other than the report"),
    "name": (_is_name, "text, and not the report's name"),
    "params": (_is_json, "a dict that JSON can hold"),
    "env": (_is_environment, "a dict of text"),
    "memory_mb": (_is_between(0, MOST_MEMORY_MB), f"a whole number from 0 to {MOST_MEMORY_MB:,}"),
    "timeout_s": (_is_between(1, MOST_TIMEOUT_S, or_none=True), f"None or a whole number from 1 to {MOST_TIMEOUT_S:,}"),
    "max_attempts": (
        _is_between(1, MOST_ATTEMPTS, or_none=True),
        f"None or a whole number from 1 to {MOST_ATTEMPTS:,}",
    ),
    "needs": (lambda value: value is None or _is_json(value), "names of models as text"),
}
