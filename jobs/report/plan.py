"""The `report` section of a plan: one job, and the rules by which its verdict is found."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext

Weight = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gates(_Part):
    """What a model must reach before its quality counts."""

    success: float = Field(default=0.9, ge=0, le=1, description="least share of usable replies")
    memory_mb: int | None = Field(
        default=6144, ge=1, description="highest peak; 8 GB less what macOS takes; null = not asked"
    )
    p95_ms: float | None = Field(
        default=15_000, gt=0, description="highest p95 of the latency, where there are enough replies for one"
    )


class Layers(_Part):
    """How much each layer counts in a model's quality, where it was measured."""

    checks: Weight = Field(default=0.6, description="the yes/no checks of the scenario file")
    style: Weight = Field(default=0.2, description="how much a reply is written as you write")
    meaning: Weight = Field(default=0.2, description="how much it says what you said in the same place")


class Weights(_Part):
    """How models that quality does not separate are ordered."""

    quality: Weight = Field(default=0.7, description="of the replies")
    speed: Weight = Field(default=0.2, description="of a reply")
    memory: Weight = Field(default=0.1, description="at the peak")


class Section(_Part):
    """report: {gates: {success: 0.9}, layers: {checks: 0.6}, weights: {quality: 0.7}}; {} for all defaults"""

    gates: Gates = Gates()
    layers: Layers = Layers()
    weights: Weights = Weights()


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    """One job; it has no limit of memory or time, because a night without a report is lost."""
    return [JobSpec(name="report")]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """A report needs nothing but the database."""
    return []
