"""The `report` section of a plan: one job, and the rules by which its verdict is found."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.kinds import Finding, JobSpec, Setting

Weight = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gates(_Part):
    """What a model must reach before its quality counts."""

    success: Annotated[float, Field(ge=0, le=1)] = 0.9  #: share of usable replies
    memory_mb: Annotated[int, Field(ge=1)] | None = 6144  #: peak; 8 GB less what macOS takes
    p95_ms: Annotated[float, Field(gt=0)] | None = 15_000  #: asked only where there are enough replies for a p95


class Layers(_Part):
    """How much each layer counts in a model's quality, where it was measured."""

    checks: Weight = 0.6
    style: Weight = 0.2
    meaning: Weight = 0.2


class Weights(_Part):
    """How models that quality does not separate are ordered."""

    quality: Weight = 0.7
    speed: Weight = 0.2
    memory: Weight = 0.1


class Section(_Part):
    """report: {gates: {success: 0.9}, layers: {checks: 0.6}, weights: {quality: 0.7}}; {} for all defaults"""

    gates: Gates = Gates()
    layers: Layers = Layers()
    weights: Weights = Weights()


def jobs(section: Section, setting: Setting) -> list[JobSpec]:
    """One job; it has no limit of memory or time, because a night without a report is lost."""
    return [JobSpec(name="report")]


def check(section: Section, setting: Setting) -> list[Finding]:
    """A report needs nothing but the database."""
    return []
