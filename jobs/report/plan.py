"""The `report` section of a plan: one job, and the rules by which its verdict is found."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext, RunsOn, expand_path
from jobs.lib.comparison.rules import MEASURES, MEMORY_MB, METRICS, P95_MS, SUCCESS, WEIGHTS, Rules, of_plan
from jobs.lib.models import jarvis

Weight = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gates(_Part):
    """What a model must reach before its quality counts."""

    success: float = Field(default=SUCCESS, ge=0, le=1, description="least share of complete replies")
    memory_mb: int | None = Field(
        default=MEMORY_MB, ge=1, description="highest peak; 8 GB less what macOS takes; null = not asked"
    )
    p95_ms: float | None = Field(
        default=P95_MS, gt=0, description="highest p95 of the latency, where there are enough replies for one"
    )


class Measures(_Part):
    """How much each measure counts in a model's quality: the same in every round and every night."""

    instructions: Weight = Field(default=MEASURES["instructions"], description="does it do what was asked")
    own_turns: Weight = Field(default=MEASURES["own_turns"], description="does it answer your own messages as you do")


class Metrics(_Part):
    """Weights of the metrics of a reply. They are accepted and no longer count: metrics are shown beside quality."""

    checks: Weight = Field(default=METRICS["checks"], description="no longer counts")
    style: Weight = Field(default=METRICS["style"], description="no longer counts")
    meaning: Weight = Field(default=METRICS["meaning"], description="no longer counts")


class Weights(_Part):
    """How models that quality does not separate are ordered; the two measures may stand here instead of `measures`."""

    quality: Weight = Field(default=WEIGHTS["quality"], description="of the replies")
    speed: Weight = Field(default=WEIGHTS["speed"], description="of a reply")
    memory: Weight = Field(default=WEIGHTS["memory"], description="at the peak")
    instructions: Weight | None = Field(default=None, description="of this measure in quality; null = as in `measures`")
    own_turns: Weight | None = Field(default=None, description="of this measure in quality; null = as in `measures`")


class Section(_Part):
    """report: {gates: {success: 0.9}, measures: {own_turns: 0.5}, weights: {quality: 0.7}}; {} for all defaults"""

    gates: Gates = Gates()
    measures: Measures = Measures()
    layers: Metrics = Metrics()
    weights: Weights = Weights()
    present: str | None = Field(default=None, description="key of the model that you use now, to compare with")
    in_jarvis: str | None = Field(
        default=None,
        description="what JARVIS calls its model, where `present` names none; null = as ~/.jarvis/config.json has it "
        "when the plan is submitted",
    )

    @property
    def in_force(self) -> Rules:
        """The rules by which a run is compared."""
        return of_plan(self.model_dump())


def resolve(section: Section, setting: PlanContext) -> dict[str, Any]:
    """What a run keeps: the section, with the model that JARVIS is set to at this moment."""
    in_jarvis = section.in_jarvis or jarvis.configured(expand_path(jarvis.FOLDER))
    return section.model_dump(mode="json") | {"in_jarvis": in_jarvis}


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    """One job; it has no limit of memory or time, because a night without a report is lost."""
    return [JobSpec(name="report", runs_on=RunsOn.SUBMITTER_OR_OTHER)]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """A report needs nothing but the database."""
    return []
