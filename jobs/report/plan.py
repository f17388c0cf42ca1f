"""The `report` section of a plan: one job, nothing to set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from jarvisd.kinds import Finding, JobSpec, Setting


class Section(BaseModel):
    """report: {}"""

    model_config = ConfigDict(extra="forbid", frozen=True)


def jobs(section: Section, setting: Setting) -> list[JobSpec]:
    """One job; it has no limit of memory or time, because a night without a report is lost."""
    return [JobSpec(name="report")]


def check(section: Section, setting: Setting) -> list[Finding]:
    """A report needs nothing but the database."""
    return []
