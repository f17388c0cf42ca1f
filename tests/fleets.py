"""Several machines on one database: what their daemons would have said of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from jarvisd.store import database, machines, transitions
from jarvisd.store.models import Job, Machine, Run

SubmitSpecs = Callable[..., Run]


def join(name: str, *, models: tuple[str, ...] = (), memory_mb: int = 8192, silent: float = 0) -> str:
    """A machine whose id is its name. `silent`: minutes since its last heartbeat."""
    facts: dict[str, Any] = {"chip": "test", "memory_mb": memory_mb, "largest_job_mb": memory_mb - 512}
    assert machines.register(name, name, "1.0", facts | {"models": list(models)}) == name
    fall_silent(name, silent)
    return name


def fall_silent(name: str, minutes: float) -> None:
    at = database.now() - dt.timedelta(minutes=minutes)
    Machine.update(seen_at=at, turned_at=at).where(Machine.id == name).execute()


def claimed_by(machine: str) -> Job | None:
    """The next job that this machine may do, claimed as its daemon would; None where there is none."""
    return transitions.claim(machine, "boot", database.now())


def won_by(machine: str) -> Job:
    """The next job that this machine may do, of which there is one."""
    job = claimed_by(machine)
    assert job is not None
    return job
