"""The rivals of mined templates, measured on the same turns with the same code.

Three rivals: always the most frequent replies; the replies that most often followed the same text before; and the
templates that the owner wrote by hand, under JARVIS's rule.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jarvisd import plugin
from jarvisd.plugin import JobFailed, PlanError
from jobs.lib.matching.rules import FIRES_AT, SLACK
from jobs.mine.answers import Mask, MatchCounts, Places, Turns, first_three, fitting, tally
from jobs.mine.coverage import Vectors

MAX_BYTES = 16 << 20  # of JARVIS's file


class Manual(BaseModel):
    """A template that the owner wrote."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    reply: Annotated[str, Field(min_length=1)]
    triggers: Annotated[tuple[str, ...], Field(min_length=1)]


class ManualFile(BaseModel):
    """manual_templates.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    templates: tuple[Manual, ...] = ()


class _Jarvis(BaseModel):
    """The fields of a template in JARVIS's custom_templates.json that are read here."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    template_text: str
    trigger_phrases: tuple[str, ...]
    enabled: bool = True
    tags: tuple[str, ...] = ()


#: Tags templates that an earlier deployment wrote; the owner did not write these.
OWN_TAG = "jarvisd"


def load(path: Path) -> list[Manual]:
    """The templates of a YAML file, or of JARVIS's custom_templates.json. Raises JobFailed."""
    if path.suffix != ".json":
        try:
            return list(plugin.load_yaml(path, ManualFile).templates)
        except PlanError as error:
            raise JobFailed(str(error), "Mend the file that mine.manual names.") from error
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        templates = [_Jarvis.model_validate(row) for row in json.loads(path.read_text("utf-8"))["templates"]]
    except (OSError, ValueError, LookupError, TypeError, ValidationError) as error:
        message = f"{path} is not a custom_templates.json of JARVIS ({type(error).__name__})"
        raise JobFailed(message, "Name JARVIS's file, or a YAML file, with mine.manual.") from None
    return [
        Manual(name=row.name or "unnamed", reply=row.template_text, triggers=row.trigger_phrases)
        for row in templates
        if row.enabled and row.template_text and row.trigger_phrases and not _is_deployed(row)
    ]


def _is_deployed(row: _Jarvis) -> bool:
    return any(tag == OWN_TAG or tag.startswith(f"{OWN_TAG}:") for tag in row.tags)


@dataclass(frozen=True, slots=True)
class ManualSet:
    """Manual templates with their vectors: replies in the embedder's space, triggers in the matcher's."""

    templates: list[Manual]
    replies: Vectors  #: (m, d)
    triggers: Vectors  #: (b, e)
    owners: Places  #: (b)

    def covered(self, vectors: Vectors, similarity: float) -> Mask:
        """(u) whether each text lies within the similarity of a manual reply."""
        if not self.templates:
            return np.zeros(len(vectors), dtype=np.bool_)
        near: Mask = vectors @ self.replies.T >= similarity - SLACK
        return np.logical_or.reduce(near, axis=1)

    def ahead_of(self, near: Vectors, incoming: Vectors) -> Vectors:
        """near (t, b) with -1 where a manual trigger is nearer to the turn (t, e): JARVIS fires that one."""
        best = (incoming @ self.triggers.T).max(axis=1, keepdims=True)
        return np.where(near < best - SLACK, np.float32(-1), near)

    def offers(self, incoming: Vectors) -> Places:
        """(t, 3) the manual templates that fire on turns (t, e), the best first."""
        near = incoming @ self.triggers.T
        best = np.full((len(incoming), len(self.templates)), -1.0, dtype=np.float32)
        for number in range(len(self.templates)):
            best[:, number] = near[:, self.owners == number].max(axis=1)
        return first_three(best, FIRES_AT)


def frequent(turns: Turns, vectors: Vectors, past: Places, held: Places, similarity: float) -> MatchCounts:
    """The replies that were most frequent in the past, the same three on every turn."""
    counts = np.bincount(turns.replies[past], minlength=len(vectors))
    top = np.argsort(-counts, kind="stable")[:3]
    good = fitting(vectors, turns.replies[held], vectors[top], similarity)
    return tally(np.tile(np.arange(len(top), dtype=np.int32), (len(held), 1)), good, turns.replies[held])


def seen_before(turns: Turns, past: Places, held: Places) -> Mask:
    """(held) turns whose text, after normalisation, came before and was answered."""
    known = {turns.texts[turn] for turn in past}
    return np.array([turns.texts[turn] in known for turn in held], dtype=np.bool_)


def exact(turns: Turns, vectors: Vectors, past: Places, held: Places, similarity: float) -> MatchCounts:
    """The replies that most often followed the same normalised text; no suggestion where the text is new."""
    seen: dict[str, Counter[int]] = {}
    for turn in past:
        seen.setdefault(turns.texts[turn], Counter())[int(turns.replies[turn])] += 1
    total = MatchCounts(turns=len(held), replied=int((turns.replies[held] >= 0).sum()))
    for turn in held:
        if led := seen.get(turns.texts[turn]):
            top = sorted(led, key=lambda reply: (-led[reply], reply))[:3]
            good = fitting(vectors, turns.replies[[turn]], vectors[top], similarity)[0]
            total += MatchCounts(fired=1, right=int(good[0]), hit_at_3=int(good.any()))
    return total
