"""What a plan may say of it. `enqueue` imports this: pydantic and the standard library only."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext


class Section(BaseModel):
    """wordcount: {folder: ~/notes, top: 10}"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(description="its .txt files are counted")
    top: int = Field(default=10, ge=1, description="so many words are listed")


def folder(section: Section, setting: PlanContext) -> Path:
    """Relative paths in a plan are taken from the plan's file."""
    return (setting.folder / Path(section.folder).expanduser()).resolve()


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    """One job. It waits until so much memory is free, and is ended when it takes longer than its limit."""
    params = {"folder": str(folder(section, setting)), "top": section.top}
    return [JobSpec(name="wordcount", params=params, memory_mb=100, timeout_s=3600)]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """What this machine lacks: a warning at `enqueue`, a line in `doctor`."""
    if (path := folder(section, setting)).is_dir():
        return []
    return [
        MissingRequirement(
            job="wordcount", what=f"no such folder: {path}", remedy="Make it, or change wordcount.folder."
        )
    ]
