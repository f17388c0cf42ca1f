"""What the user set in settings.yaml: frozen, validated; an unknown key is an error with its line."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from jarvisd.home import Home


class Strict(BaseModel):
    """A part of a configuration file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Memory(Strict):
    margin_mb: int = Field(default=512, ge=0, description="free memory a job must leave to everything else")
    wait_minutes: float = Field(default=20, ge=0, description="how long a job waits for memory before it is skipped")
    look_every_s: float = Field(default=30, gt=0, description="how often a waiting job is looked at again")


class Disk(Strict):
    keep_free_mb: int = Field(default=1024, ge=0, description="free disk below which no job but the report starts")


class Report(Strict):
    reserve_minutes: float = Field(default=5, ge=0, description="time kept before the deadline for the report")


class Notify(Strict):
    """A program of the owner's that is told how a run ended."""

    command: tuple[str, ...] = Field(min_length=1, description="program and arguments, started without a shell")
    when: Literal["failures", "always"] = Field(default="failures", description="after which runs")
    timeout_s: float = Field(default=30, gt=0, le=600, description="it is ended after this time")


class Settings(Strict):
    """config/settings.yaml."""

    memory: Memory = Memory()
    disk: Disk = Disk()
    report: Report = Report()
    notify: Notify | None = Field(default=None, description="a program that is told how a run ended, on standard input")
    keep: int | None = Field(default=None, ge=1, description="newest runs that stay; older ones go after each report")


def read(home: Home) -> Settings:
    """The settings in force. Raises PlanError with file, line and key."""
    from jarvisd import yamlfile

    path = home.config_file("settings.yaml")
    return yamlfile.load(path, Settings) if path.is_file() else Settings()
