"""How things stand, as plain data: what `status` prints, `status --json` writes and other programs read."""

from __future__ import annotations

import datetime as dt
from typing import Any

from jarvisd import ledger
from jarvisd.home import Home
from jarvisd.ledger import Job, Run, Status


def overview(home: Home, runs: list[Run], daemon: dict[str, object] | None, machine_id: str | None) -> dict[str, Any]:
    """The document of `status --json`."""
    row = ledger.Machine.get_or_none(ledger.Machine.id == machine_id) if machine_id else None
    paused = bool(machine_id) and ledger.paused(machine_id or "", ledger.now())
    until = row.paused_until if paused and row is not None else None
    return {
        "home": str(home.root),
        "daemon": {
            "running": daemon is not None,
            "pid": daemon["pid"] if daemon else None,
            "version": daemon["version"] if daemon else None,
            "paused": paused,
            "paused_until": stamp(until),
        },
        "runs": [of_run(run) for run in runs],
    }


def empty(home: Home, daemon: dict[str, object] | None) -> dict[str, Any]:
    """The same document where nothing was ever submitted."""
    state = {"running": daemon is not None, "pid": daemon["pid"] if daemon else None}
    version = daemon["version"] if daemon else None
    return {
        "home": str(home.root),
        "daemon": {**state, "version": version, "paused": False, "paused_until": None},
        "runs": [],
    }


def of_run(run: Run) -> dict[str, Any]:
    jobs = ledger.jobs_of(run)
    return {
        "id": run.id,
        "plan": run.plan,
        "state": state(jobs),
        "deadline": stamp(run.deadline),
        "created_at": stamp(run.created_at),
        "warnings": run.warnings,
        "jobs": [of_job(job) for job in jobs],
    }


def state(jobs: list[Job]) -> str:
    """queued: nothing started yet; running: something did and not all is settled; settled: all is."""
    if all(job.status in ledger.SETTLED for job in jobs):
        return "settled"
    return "queued" if all(job.status == Status.QUEUED and not job.attempt for job in jobs) else "running"


def of_job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "round": job.round,
        "attempt": job.attempt,
        "reason": job.reason,
        "status": str(job.status),
        "progress": {"done": job.done, "total": job.total, "note": job.note} if job.total else None,
        "started_at": stamp(job.started_at),
        "ended_at": stamp(job.ended_at),
        "peak_memory_mb": job.peak_memory_mb,
    }


def stamp(moment: dt.datetime | None) -> str | None:
    """An instant as ISO 8601 with the local zone."""
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


def shown_runs() -> list[Run]:
    """The runs that are not settled, and the newest one."""
    unsettled = Job.select(Job.run).where(Job.status.in_(ledger.OPEN))
    rows = list(Run.select().where(Run.id.in_(unsettled)).order_by(Run.number))
    newest = Run.select().order_by(Run.number.desc()).first()
    return rows if newest is None or newest.id in {run.id for run in rows} else [*rows, newest]


def seconds_left(job: Job, at: dt.datetime) -> float | None:
    """An estimate from the pieces done so far in this attempt; None before the first."""
    if not job.done or not job.total or job.started_at is None:
        return None
    elapsed = (at - job.started_at).total_seconds()
    return elapsed / job.done * (job.total - job.done)
