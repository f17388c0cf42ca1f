"""How things stand, as plain data: what `status` prints, `status --json` writes and other programs read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import peewee

from jarvisd.paths import Home
from jarvisd.store import database, models, queries
from jarvisd.store.models import Job, Run, Status


def overview(home: Home, runs: list[Run], daemon: dict[str, object] | None, machine_id: str | None) -> dict[str, Any]:
    """The document of `status --json`."""
    row = models.Machine.get_or_none(models.Machine.id == machine_id) if machine_id else None
    paused = bool(machine_id) and queries.paused(machine_id or "", database.now())
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
    jobs = queries.jobs_of(run)
    return {
        "id": run.id,
        "plan": run.plan,
        "state": state(jobs),
        "deadline": stamp(run.deadline),
        "created_at": stamp(run.created_at),
        "warnings": run.warnings,
        "jobs": [of_job(job) for job in jobs],
    }


@dataclass(frozen=True)
class RunSummary:
    """A run at a glance, however many jobs it has."""

    state: str
    counts: dict[Status, int]  #: jobs by status, where there are any
    jobs: list[Job]  #: those worth a line

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def settled(self) -> int:
        return sum(count for status, count in self.counts.items() if status in models.SETTLED)


def brief(run: Run, most: int) -> RunSummary:
    """All jobs of a run that has no more than `most`; of a huge one what runs, what went wrong, and the next few."""
    counted = Job.select(Job.status, peewee.fn.COUNT(Job.id)).where(Job.run == run.id).group_by(Job.status).tuples()
    by_name = dict(counted)
    counts = {status: by_name[status] for status in Status if status in by_name}
    jobs = queries.jobs_of(run) if sum(counts.values()) <= most else _few(run)
    if not set(counts) & set(models.OPEN):
        return RunSummary("settled", counts, jobs)
    begun = set(counts) != {Status.QUEUED} or Job.select().where(Job.run == run.id, Job.attempt > 0).exists()
    return RunSummary("running" if begun else "queued", counts, jobs)


def in_words(counts: dict[Status, int]) -> str:
    """3 succeeded, 1 failed"""
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def first_lines(run: Run) -> list[str]:
    """The first lines of a run's story: what is to be done, where, by when, and what was warned of."""
    here = run.snapshot.get("machine", {})
    place = f"{here.get('chip') or 'unknown'}, {here.get('memory_mb', 0):,} MB, {here.get('system', '')}"
    until = f", to end by {run.deadline.astimezone():%a %H:%M}" if run.deadline else ""
    names = [job.name for job in brief(run, 12).jobs]
    total = sum(brief(run, 0).counts.values())
    listed = ", ".join(names[:12]) + (f" and {total - len(names):,} more" if total > len(names) else "")
    begins = f"run {run.id} of the plan {run.plan} begins{until}: {total:,} jobs ({listed})"
    return [begins, f"on {place}", *[f"warning: {warning}" for warning in run.warnings]]


def last_line(run: Run) -> str:
    """The last line of a run's story."""
    return f"run {run.id} is settled: {in_words(brief(run, 0).counts)}"


def _few(run: Run) -> list[Job]:
    rows = Job.select().where(Job.run == run.id).order_by(Job.round, Job.place, Job.id)
    wrong = (Status.FAILED, Status.SKIPPED, Status.STOPPED)
    chosen = [
        *rows.where(Job.status == Status.RUNNING),
        *rows.where(Job.status.in_(wrong)).limit(10),
        *rows.where(Job.status == Status.QUEUED).limit(5),
    ]
    return sorted(chosen, key=lambda job: (job.round, job.place, job.id))


def state(jobs: list[Job]) -> str:
    """queued: nothing started yet; running: something did and not all is settled; settled: all is."""
    if all(job.status in models.SETTLED for job in jobs):
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
        "took_s": job.took_s,
        "peak_memory_mb": job.peak_memory_mb,
    }


def clock(moment: dt.datetime) -> str:
    """An instant by the local clock: "Mon 07:00", with its date where it is more than six days away."""
    near = abs(moment - database.now()) < dt.timedelta(days=6)
    return f"{moment.astimezone():{'%a %H:%M' if near else '%Y-%m-%d %H:%M'}}"


def stamp(moment: dt.datetime | None) -> str | None:
    """An instant as ISO 8601 with the local zone."""
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


def active_runs() -> list[Run]:
    """The runs that are not settled, and the newest one."""
    unsettled = Job.select(Job.run).where(Job.status.in_(models.OPEN))
    rows = list(Run.select().where(Run.id.in_(unsettled)).order_by(Run.number))
    newest = Run.select().order_by(Run.number.desc()).first()
    return rows if newest is None or newest.id in {run.id for run in rows} else [*rows, newest]


def seconds_left(job: Job, at: dt.datetime) -> float | None:
    """An estimate from the pieces done so far in this attempt; None before the first."""
    if not job.done or not job.total or job.started_at is None:
        return None
    elapsed = (at - job.started_at).total_seconds()
    return elapsed / job.done * (job.total - job.done)
