"""Whether the next job may start now, or what blocks it: memory, or power."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from jarvisd.host import machine, power
from jarvisd.plan.settings import Settings
from jarvisd.store.models import Job


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """Why a job cannot start now, how long it waits for that to change, and the reason when it is skipped."""

    waiting: str
    given_up: str
    patience: dt.timedelta
    blocks_all: bool = False  #: whether it blocks every job, whatever the job needs


def blocking_resource(job: Job, settings: Settings) -> Blocker | None:
    """What blocks the job, or None. Nothing blocks a report: every run gets one."""
    return None if job.is_report else _power(settings) or _memory(job, settings)


def _power(settings: Settings) -> Blocker | None:
    policy = settings.power
    if policy.on_battery == "run":
        return None
    source, percent = power.power()
    if source != "battery" or (percent is not None and percent >= policy.below_percent and policy.below_percent < 100):
        return None
    state = "on battery" if percent is None else f"on battery, which holds {percent} %"
    patience = dt.timedelta(minutes=policy.wait_minutes if policy.on_battery == "wait" else 0)
    return Blocker(
        waiting=f"waiting for power: {state}",
        given_up=f"not plugged in: {state} (power.on_battery in settings.yaml). Plug the computer in and retry",
        patience=patience,
        blocks_all=True,
    )


def _memory(job: Job, settings: Settings) -> Blocker | None:
    if not job.memory_mb:
        return None
    need, free = job.memory_mb + settings.memory.margin_mb, machine.available_mb()
    if need <= free:
        return None
    numbers = f"needs {need:,} MB with its margin, {free:,} MB are free"
    return Blocker(
        waiting=f"waiting for memory: {numbers}",
        given_up=f"not enough memory: {numbers}. Close other programs",
        patience=dt.timedelta(minutes=settings.memory.wait_minutes),
    )
