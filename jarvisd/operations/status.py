"""The state of runs and jobs: as JSON for `status --json` and other programs, and as sentences for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jarvisd.host.lockfile import lock_holder
from jarvisd.operations import lookup, machines, queue_order, this_machine
from jarvisd.operations.moments import clock, clock_time, stamp
from jarvisd.paths import Home
from jarvisd.store import database, dependencies, migrations, models, queries
from jarvisd.store import machines as members
from jarvisd.store.models import Dependency, Job, Run, Status
from jarvisd.words import counted, label, plain, took

_UNSUCCESSFUL = tuple(status for status in models.SETTLED if status != Status.SUCCEEDED)
#: Warnings of an open run that are shown in full.
MOST_WARNINGS = 3


def document(home: Home, name: str | None) -> dict[str, Any]:
    """The document of `status --json`: of the run `name`, else of all active runs."""
    runs = runs_to_show(home, name)
    daemon = lock_holder(home)
    until = paused = None
    if runs is not None and (machine_id := this_machine.known_identity(home)):
        paused = queries.paused(machine_id, database.now())
        row = models.Machine.get_or_none(models.Machine.id == machine_id) if paused else None
        until = row.paused_until if row is not None else None
    positions = _positions() if runs else {}
    return {
        "home": str(home.root),
        "daemon": {
            "running": daemon is not None,
            "pid": daemon["pid"] if daemon else None,
            "version": daemon["version"] if daemon else None,
            "paused": bool(paused),
            "paused_until": stamp(until),
        },
        "machines": [member.document() for member in machines.members(database.now())] if runs is not None else [],
        "runs": [of_run(run, positions) for run in runs or ()],
    }


def runs_to_show(home: Home, name: str | None) -> list[Run] | None:
    """The run `name`, else all active runs. None where nothing was submitted here yet; opens the database.

    Raises UsageError for a name that no run has.
    """
    if name:
        lookup.open_database(home)
        return [lookup.find_run(name)]
    return active_runs() if migrations.open_existing(home) else None


def _positions() -> dict[int, int]:
    """The place in the queue of each queued job, by its id; 1 is the next one."""
    return {place.job.id: place.number for place in queue_order.now(database.now()).places}


def of_run(run: Run, positions: Mapping[int, int] = MappingProxyType({})) -> dict[str, Any]:
    """The run as JSON. `positions`: the places of queued jobs, by their ids, where they are known."""
    jobs, names = queries.jobs_of(run), members.names() if database.is_shared() else {}
    return {
        "id": run.id,
        "plan": run.plan,
        "state": state(jobs),
        "deadline": stamp(run.deadline),
        "created_at": stamp(run.created_at),
        "warnings": run.warnings,
        "title": run.title,
        "start_at": stamp(run.start_at),
        "priority": run.priority,
        "after": [
            {"run": awaited.of_run, "job": awaited.of_job, "any": awaited.any_end}
            for awaited in dependencies.of_run(run)
        ],
        "jobs": [of_job(job, names) | {"position": positions.get(job.id)} for job in jobs],
    }


@dataclass(frozen=True)
class RunSummary:
    """The state of a run, however many jobs it has."""

    state: str
    counts: dict[Status, int]  #: jobs by status, where there are any
    jobs: list[Job]  #: those shown in a line of their own

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def settled(self) -> int:
        return sum(count for status, count in self.counts.items() if status in models.SETTLED)


def summary(run: Run, most: int) -> RunSummary:
    """The state of a run, with all its jobs up to `most`; of a larger run the running, the failed and the next ones.

    With `most` 0 it has no jobs.
    """
    ((_, shown),) = summaries([run])
    if most:
        shown.jobs.extend(queries.jobs_of(run) if shown.total <= most else _few(run))
    return shown


def summaries(runs: list[Run]) -> list[tuple[Run, RunSummary]]:
    """The runs, each with its state and without its jobs, in one query: a queue may hold a thousand runs."""
    counted_jobs: dict[str, dict[str, int]] = {run.id: {} for run in runs}
    begun: set[str] = set()
    for run_id, status, count, attempt in queries.jobs_by_status(list(counted_jobs)):
        counted_jobs[run_id][status] = count
        if status != Status.QUEUED or attempt:
            begun.add(run_id)
    return [(run, _summary(counted_jobs[run.id], begun=run.id in begun)) for run in runs]


def _summary(by_name: dict[str, int], *, begun: bool) -> RunSummary:
    counts = {status: by_name[status] for status in Status if status in by_name}
    state = "settled" if not set(counts) & set(models.OPEN) else "running" if begun else "queued"
    return RunSummary(state, counts, [])


def why_hopeless(dependency: Dependency) -> str:
    """Why a dependency can never be met as its job or run has ended; "" where it can, or is met."""
    statuses = {Status(job.status) for job in dependencies.targets(dependency)}
    hopeless = not dependency.any_end and statuses != {Status.SUCCEEDED} and not statuses & set(models.OPEN)
    return why_failed(dependency) if hopeless else ""


def why_failed(dependency: Dependency) -> str:
    """Why a run that had to wait for a job or a run cannot begin: 7 command:build failed."""
    jobs = dependencies.targets(dependency)
    bad = [job for job in jobs if job.status != Status.SUCCEEDED]
    if not bad:
        return f"{dependency.of_job or dependency.of_run}, which it had to wait for, was removed"
    more = f" and {len(bad) - 1:,} more" if len(bad) > 1 else ""
    return f"{bad[0].id} {label(bad[0])} {bad[0].status}{more}"


def in_words(counts: dict[Status, int]) -> str:
    """3 succeeded, 1 failed"""
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def first_lines(run: Run) -> list[str]:
    """The first lines of a run's log: its jobs, its deadline, the computer and the warnings."""
    described = run.snapshot.get("machine", {})
    chip, memory_mb = described.get("chip") or "unknown", described.get("memory_mb", 0)
    computer = f"{chip}, {memory_mb:,} MB, {described.get('system', '')}"
    until = f", to end by {run.deadline.astimezone():%a %H:%M}" if run.deadline else ""
    names = [job.name for job in summary(run, 12).jobs]
    total = sum(summary(run, 0).counts.values())
    listed = ", ".join(names[:12]) + (f" and {total - len(names):,} more" if total > len(names) else "")
    begins = f"run {run.id} of the plan {run.plan} begins{until}: {counted(total, 'job')} ({listed})"
    return [begins, f"on {computer}", *[f"warning: {warning}" for warning in run.warnings]]


def last_line(run: Run) -> str:
    """The last line of a run's log."""
    return f"run {run.id} is settled: {in_words(summary(run, 0).counts)}"


def _few(run: Run) -> list[Job]:
    rows = Job.select().where(Job.run == run.id).order_by(Job.round, Job.place, Job.id)
    unsuccessful = (Status.FAILED, Status.SKIPPED, Status.STOPPED)
    chosen = [
        *rows.where(Job.status == Status.RUNNING),
        *rows.where(Job.status.in_(unsuccessful)).limit(10),
        *rows.where(Job.status == Status.QUEUED).limit(5),
    ]
    return sorted(chosen, key=lambda job: (job.round, job.place, job.id))


def state(jobs: list[Job]) -> str:
    """queued: nothing started yet; running: something did and not all is settled; settled: all is."""
    if all(job.status in models.SETTLED for job in jobs):
        return "settled"
    return "queued" if all(job.status == Status.QUEUED and not job.attempt for job in jobs) else "running"


def of_job(job: Job, names: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """The job as JSON. `names`: by id, of the machines of a shared database."""
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
        "machine": names.get(job.machine),
    }


def active_runs() -> list[Run]:
    """The runs that are not settled, and the newest one."""
    unsettled = Job.select(Job.run).where(Job.status.in_(models.OPEN))
    rows = list(Run.select().where(Run.id.in_(unsettled)).order_by(Run.number))
    newest = Run.select().order_by(Run.number.desc()).first()
    return rows if newest is None or newest.id in {run.id for run in rows} else [*rows, newest]


def title(run: Run, shown: RunSummary, report_at: dt.datetime | None = None) -> str:
    """2026-11-22-overnight: running, 3 of 13 jobs done, report about 06:40, at the latest Mon 07:00."""
    facts = [f"{run.id}: {ending(shown)}"]
    bad = {Status(status): count for status, count in shown.counts.items() if status in _UNSUCCESSFUL}
    done = "done" if shown.state != "settled" else "finished"
    facts.append(f"{shown.settled - sum(bad.values()):,} of {counted(shown.total, 'job')} {done}")
    facts += [in_words(bad)] if bad else []
    if shown.state != "settled":
        facts += [f"report about {clock_time(report_at)}"] if report_at else []
        facts += [f"{'at the latest' if report_at else 'to end by'} {clock(run.deadline)}"] if run.deadline else []
    return ", ".join(facts)


def ending(shown: RunSummary) -> str:
    """queued or running; of a run that has ended what became of it: finished, failed, cancelled, skipped or stopped."""
    if shown.state != "settled":
        return shown.state
    if Status.FAILED in shown.counts or Status.CANCELLED in shown.counts:
        return str(Status.FAILED if Status.FAILED in shown.counts else Status.CANCELLED)
    return "finished" if Status.SUCCEEDED in shown.counts else str(next(iter(shown.counts)))


def warnings(run: Run, shown: RunSummary) -> list[str]:
    """The first warnings of an open run, and how many more there are."""
    if shown.state == "settled":
        return []
    first = [f"warning: {plain(warning)}" for warning in run.warnings[:MOST_WARNINGS]]
    more = len(run.warnings) - len(first)
    return [*first, f"{counted(more, 'more warning')}: `jarvisctl doctor`"] if more else first


def details(job: Job, at: dt.datetime | None = None) -> str:
    """Why a job ended, its progress, time, memory, attempt, and why it waits, separated by commas."""
    facts = _times(job, at or database.now())
    if job.reason and job.status in models.SETTLED:
        facts.insert(0, plain(job.reason).rstrip("."))
    if job.peak_memory_mb:
        facts.append(f"peak {job.peak_memory_mb:,} MB")
    if job.attempt > 1:
        facts.append(f"attempt {job.attempt}")
    if job.cancel_requested and job.status == Status.RUNNING:
        facts.append("being cancelled")
    if job.reason and job.status not in models.SETTLED:
        facts.append(plain(job.reason))
    return ", ".join(facts)


def _times(job: Job, at: dt.datetime) -> list[str]:
    """Progress, note, time so far and time left of a running job; of one that has ended when, and how long it took."""
    if job.status in models.SETTLED:
        ended = [f"at {clock_time(job.ended_at, at)}"] if job.ended_at is not None else []
        return ended + ([f"took {took(job.took_s)}"] if job.took_s is not None else [])
    if job.status != Status.RUNNING:
        return []
    facts = [f"{job.done} of {job.total}"] if job.total else []
    facts += [plain(job.note)] if job.note else []
    facts.append(f"for {took(max(0.0, (at - job.started_at).total_seconds()))}")
    if (left := queue_order.seconds_left(job, at)) is not None:
        facts.append(f"about {took(left)} left")
    return facts
