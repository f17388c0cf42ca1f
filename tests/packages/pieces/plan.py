"""What a plan may say of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext, RunsOn


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: int = 1
    pieces: int = 5
    rounds: int = 1
    pause_s: float = 0.0  #: between two checkpoints
    first: list[str] = []  #: what each job does before its first checkpoint: "SIGSEGV", "once SIGKILL", "exit 6"
    anywhere: bool = False  #: any machine may run them


def job(number: int, params: dict[str, Any]) -> JobSpec:
    runs_on = RunsOn.ANY if params["anywhere"] else RunsOn.SUBMITTER
    return JobSpec(name=f"pieces:{number}", params=params, runs_on=runs_on)


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    return [job(number, section.model_dump()) for number in range(1, section.jobs + 1)]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    return []
