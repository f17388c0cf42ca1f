"""settings.yaml as a validated, immutable object. An unknown key is an error with its line."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from jarvisd.paths import Home

#: The largest values that can be meant: a year, and a hundred terabytes.
MINUTES, MEGABYTES = 366 * 24 * 60, 10**8


class Strict(BaseModel):
    """A part of a configuration file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Memory(Strict):
    margin_mb: int = Field(
        default=512, ge=0, le=MEGABYTES, description="free memory a job must leave to everything else"
    )
    wait_minutes: float = Field(
        default=20, ge=0, le=MINUTES, description="how long a job waits for memory before it is skipped"
    )
    look_every_s: float = Field(default=30, gt=0, le=3600, description="how often a waiting job is checked again")
    soft_percent: int = Field(
        default=125, ge=1, le=10**6, description="a job above this part of its declared memory gets a remark"
    )
    hard_mb: int | None = Field(
        default=None,
        ge=1,
        le=MEGABYTES,
        description="a job that uses more is ended; null = three quarters of the memory, or all but 4 GB",
    )


class Stall(Strict):
    minutes: float = Field(
        default=20,
        gt=0,
        le=MINUTES,
        description="a job without progress, log or CPU time for so long is ended; programs are not",
    )


class Restart(Strict):
    first_pause_s: float = Field(default=2, ge=0, le=3600, description="before a crashed job is started again")
    next_pause_s: float = Field(default=30, ge=0, le=3600, description="before the next start, after no progress")


class Power(Strict):
    """What a job does when its turn comes on a laptop that is not plugged in. The report is always written."""

    on_battery: Literal["run", "wait", "skip"] = Field(default="run", description="run, wait for the plug, or skip")
    below_percent: int = Field(default=100, ge=1, le=100, description="only where the battery holds less than this")
    wait_minutes: float = Field(
        default=20, ge=0, le=MINUTES, description="how long a job waits for power before it is skipped"
    )


class Disk(Strict):
    keep_free_mb: int = Field(
        default=1024, ge=0, le=MEGABYTES, description="free disk below which no job but the report starts"
    )


class Report(Strict):
    reserve_minutes: float = Field(
        default=5, ge=0, le=MINUTES, description="time kept before the deadline for the report"
    )


class Notify(Strict):
    """A program that is run when a run is settled."""

    command: tuple[str, ...] = Field(min_length=1, description="program and arguments, started without a shell")
    when: Literal["failures", "always"] = Field(default="failures", description="after which runs")
    timeout_s: float = Field(default=30, gt=0, le=600, description="it is ended after this time")


class Settings(Strict):
    """config/settings.yaml."""

    daemon: Literal["always", "on-demand"] = Field(
        default="always", description="always: it stays; on-demand: it starts with a job and ends when idle"
    )
    idle_minutes: float = Field(default=10, gt=0, le=MINUTES, description="on demand: ends after so long without a job")
    notification: bool = Field(default=True, description="macOS: show a notification when a run is settled")
    memory: Memory = Memory()
    stall: Stall = Stall()
    restart: Restart = Restart()
    power: Power = Power()
    disk: Disk = Disk()
    report: Report = Report()
    notify: Notify | None = Field(default=None, description="a program that gets the run's status on standard input")
    machine: str | None = Field(
        default=None,
        min_length=1,
        max_length=40,
        description="what this Mac is called where several share a queue; null = the name of the host",
    )
    keep: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="newest runs that stay; older ones are removed; null = all",
    )
    database_without_tls: bool = Field(
        default=False, description="the connection to a database on another computer need not be encrypted by TLS"
    )
    database: str | None = Field(
        default=None,
        description="postgresql://USER@HOST/NAME: several Macs share one queue there; null = the file var/jarvis.db",
    )

    @field_validator("database")
    @classmethod
    def _is_safe(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None:
            return None
        from jarvisd.plan import database_url  # late: few settings name a server

        return database_url.check(url, without_tls=info.data.get("database_without_tls", False))


def read(home: Home) -> Settings:
    """The settings in force. Raises PlanError with file, line and key.

    A file is parsed again only where it has changed: a queue of short jobs would spend its time on reading YAML.
    """
    path = home.config_file("settings.yaml")
    if not path.is_file():
        return Settings()
    status = path.stat()
    return _parsed(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@functools.lru_cache(maxsize=4)
def _parsed(path: Path, _state: tuple[int, ...]) -> Settings:
    """The settings of a file whose state is given. What it raises is not kept."""
    from jarvisd.plan import yamlfile

    return yamlfile.load(path, Settings)
