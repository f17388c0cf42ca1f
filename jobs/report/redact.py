"""A report that may be shown to others: every text of a message, a reply or a prompt is hash marks; figures stay.

What is not known to be harmless is hidden. A text's marks say how long it is, roughly, and its number: the same text
has the same number, so that one can still see who replied the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from jobs.report.gather import Report

#: Longest text of each class of length, in characters, but for the last class.
CLASSES = (8, 20, 60, 150)
#: Marks for a text of each class.
MARKS = (5, 14, 40, 100, 200)
#: Fields whose text is shown: names of models and settings, states, instants, and sentences made of them.
SHOWN = frozenset(
    (
        "action", "against", "architecture", "by_weights", "cause", "chip", "conditions", "confidence",
        "coverage_baseline_source", "details", "device", "downloads", "dropped", "embedder", "failure", "figure",
        "fingerprint", "finish_reason", "first", "folder", "gates", "groups", "id", "job", "jobs", "key", "kind",
        "late", "leader", "level", "licence", "license", "machine", "matcher", "memory", "mend", "metric", "mined",
        "missing", "model", "name", "near", "night", "only_now", "only_then", "params", "path", "pick", "plan",
        "power", "present", "problems", "python", "quantization", "ranking", "reason", "remedy", "repo",
        "revision", "rival", "round", "run", "run_id", "scenario_id", "second", "sections", "settle", "source",
        "state", "status", "system", "tied", "tier", "timestamp", "versions", "warnings", "weight", "what",
        "why", "winner",
    )
)  # fmt: skip
#: What a sentence of ours quotes, from the first mark to the last: a message may hold such marks itself.
_QUOTED = re.compile(r"“(.*)”", re.DOTALL)
#: Parts of which every text is hidden, whatever its field is called.
HIDDEN = frozenset(["prompts", "manual"])


class Redaction:
    """Replaces texts by marks, the same text by the same marks."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def report(self, report: Report) -> Report:
        """The report without any text of a message, and without the name of the user's home folder."""
        changed = {each.name: self._value(each.name, getattr(report, each.name)) for each in fields(report)}
        changed["title"] = _without_home(report.title)
        changed["prompts"] = {key: self.text(text) for key, text in report.prompts.items()}
        return replace(report, **changed)

    def text(self, text: str) -> str:
        """Marks of the text's class of length, and its number."""
        if not text.strip():
            return text
        number = self._numbers.setdefault(text, len(self._numbers) + 1)
        return f"{'#' * MARKS[sum(len(text) > longest for longest in CLASSES)]} {number}"

    def _sentence(self, text: str) -> str:
        """A text of ours, which may quote a message."""
        return _QUOTED.sub(lambda quote: f"“{self.text(quote[1])}”", _without_home(text))

    def _value(self, name: str, value: Any) -> Any:
        """A value under this name; what is below a hidden part stays hidden."""
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self._sentence(value) if name in SHOWN else self.text(value)
        if isinstance(value, Mapping):
            return {key: self._value(_below(name, key), inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._value(name, inner) for inner in value)
        if is_dataclass(value) and not isinstance(value, type):
            changed = {
                each.name: self._value(_below(name, each.name), getattr(value, each.name)) for each in fields(value)
            }
            return replace(value, **changed)
        return value


def _below(name: str, key: object) -> str:
    """The name that decides about a value: that of its part where that hides or shows all of it, else its own."""
    if name in HIDDEN or name in ("machine", "versions", "groups", "conditions"):
        return name
    return str(key)


def _without_home(text: str) -> str:
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text
