"""The section of a plan. `enqueue` imports this module: use pydantic and the standard library only."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext


class Section(BaseModel):
    """wordcount: {folder: ~/notes, top: 10}"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(description="folder whose .txt files are counted")
    top: int = Field(default=10, ge=1, description="number of words in the list")


def folder(section: Section, setting: PlanContext) -> Path:
    """The folder as an absolute path. A relative path in a plan is relative to the plan's file."""
    return (setting.folder / Path(section.folder).expanduser()).resolve()


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    """One job. It waits until `memory_mb` is free, and is ended after `timeout_s`."""
    params = {"folder": str(folder(section, setting)), "top": section.top}
    return [JobSpec(name="wordcount", params=params, memory_mb=100, timeout_s=3600)]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """What this machine does not have: a warning at `enqueue`, a line in `doctor`."""
    if (path := folder(section, setting)).is_dir():
        return []
    return [
        MissingRequirement(
            job="wordcount", what=f"no such folder: {path}", remedy="Make it, or change wordcount.folder."
        )
    ]
