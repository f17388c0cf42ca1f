"""The order in which the queued jobs will run, what each waits for, and about when each run's report is ready."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from jarvisd.operations import machines
from jarvisd.operations.machines import Member
from jarvisd.operations.moments import clock_time
from jarvisd.store import dependencies, placement, queries
from jarvisd.store.machines import State
from jarvisd.store.models import LONGEST_WAIT, Dependency, Job
from jarvisd.words import joined, label, plain

#: Queued jobs that are put in order. Those behind them are only counted.
MOST = 200
#: Expected seconds of a report that was never written yet.
REPORT_S = 60.0


@dataclass(frozen=True)
class Place:
    """A queued job's place in the queue."""

    job: Job
    number: int  #: 1 = the next one
    waits_for: str  #: what holds it back, beside the jobs before it; "" for nothing


@dataclass(frozen=True)
class Queue:
    """The queue at one moment."""

    running: list[Job]
    places: list[Place]  #: the first MOST of the queued jobs, in the order in which they will run
    queued: int  #: all queued jobs
    reports: dict[str, dt.datetime]  #: by run: about when its next report is ready, where that can be told
    members: list[Member]  #: the machines, where several share the database

    def of_run(self, run_id: str) -> list[Place]:
        return [place for place in self.places if place.job.run_id == run_id]


def now(at: dt.datetime) -> Queue:
    """The queue at that time."""
    running, jobs = queries.running(), queries.queued_in_order(MOST)
    after: dict[str, list[Dependency]] = defaultdict(list)
    for dependency in dependencies.of_runs({job.run_id for job in jobs}):
        after[dependency.run_id].append(dependency)
    ordered, idle = in_order(jobs, after, at), machines.why_waiting(jobs, at)
    reasons = {job.id: joined(_held_by(job, after[job.run_id], at), idle[job.id]) for job in ordered}
    places = [Place(job, number, reasons[job.id]) for number, job in enumerate(ordered, 1)]
    members = machines.members(at)
    reports = _reports(running, ordered, after, _Forecast(at, members))
    return Queue(running, places, len(jobs) if len(jobs) < MOST else queries.count_queued(), reports, members)


def in_order(jobs: list[Job], after: dict[str, list[Dependency]], at: dt.datetime) -> list[Job]:
    """Queued jobs in the order of claims, as far as it is known now: each job behind what it waits for.

    `jobs` are in the order of the claims that nothing holds back. What waits for a time comes last.
    """
    begins = {job.id: _begins(job, at) for job in jobs}
    pending, ordered = list(jobs), []
    while pending:
        free = (job for job in pending if not _is_behind(job, pending, after[job.run_id]))
        following = min(free, key=lambda job: begins[job.id], default=pending[0])  # of equal times the first
        ordered.append(following)
        pending.remove(following)
    return ordered


def _is_behind(job: Job, pending: list[Job], after: list[Dependency]) -> bool:
    """Whether another pending job has to end first."""
    if job.is_report and any(
        other.run_id == job.run_id and other.round == job.round and not other.is_report for other in pending
    ):
        return True
    return any(
        other.id == dependency.of_job or (dependency.of_job is None and other.run_id == dependency.of_run)
        for dependency in after
        for other in pending
    )


def _begins(job: Job, at: dt.datetime) -> dt.datetime:
    """The earliest time at which the job may be claimed."""
    wait = job.not_before if job.not_before and job.not_before <= at + LONGEST_WAIT else at
    return max(at, wait, job.run.start_at or at)


def _held_by(job: Job, after: list[Dependency], at: dt.datetime) -> str:
    """What keeps the job from starting, beside the jobs before it."""
    reasons = [_awaited(dependency) for dependency in after]
    if job.run.start_at is not None and job.run.start_at > at:
        reasons.append(f"from {clock_time(job.run.start_at, at)}")
    if job.reason:
        reasons.append(plain(job.reason))
    return joined(*reasons)


def _awaited(dependency: Dependency) -> str:
    """after 13 command:build. "" where that has ended."""
    open_jobs = [job for job in dependencies.targets(dependency) if job.status in ("queued", "running")]
    if not open_jobs:
        return ""
    return f"after {dependency.of_run if dependency.of_job is None else f'{open_jobs[0].id} {label(open_jobs[0])}'}"


def _reports(
    running: list[Job], ordered: list[Job], after: Mapping[str, list[Dependency]], forecast: _Forecast
) -> dict[str, dt.datetime]:
    """About when the next report of each run is ready: running jobs by their progress, others by their last time."""
    usual = queries.usual_seconds({job.name for job in ordered})
    ready: dict[str, dt.datetime] = {}
    for job in running:
        left = seconds_left(job, forecast.at)
        if left is None:
            return {}
        forecast.end(job, forecast.place(job), left, [])
    for job in ordered:
        seconds, machine = usual.get(job.name, REPORT_S if job.is_report else None), forecast.first_free(job)
        if seconds is None or machine is None:
            return ready
        ends = forecast.end(job, machine, seconds, after[job.run_id])
        if job.is_report:
            ready.setdefault(job.run_id, ends)
    return ready


class _Forecast:
    """When jobs will end if each goes to the machine that is free first of those that may run it."""

    def __init__(self, at: dt.datetime, members: list[Member]) -> None:
        """`members`: where several machines share the database, else none."""
        self.at, self._are_several = at, bool(members)
        self._lost = [member.row.id for member in members if member.state == State.LOST]
        self._at_work = [member.row for member in members if member.state in (State.WORKING, State.IDLE)]
        self._free: dict[str | None, dt.datetime] = {}  # by machine: when its last job ends
        self._ends: list[tuple[Job, dt.datetime]] = []

    def place(self, job: Job) -> str | None:
        """Where a running job runs."""
        return job.machine if self._are_several else ""

    def first_free(self, job: Job) -> str | None:
        """The id of that machine; "" where one machine does everything, None where none that is there may run it."""
        if not self._are_several:
            return ""
        able = [row.id for row in self._at_work if placement.may_take(row, job, self._lost)]
        return min(able, key=lambda machine: self._free.get(machine, self.at), default=None)

    def end(self, job: Job, machine: str | None, seconds: float, after: list[Dependency]) -> dt.datetime:
        """When the job ends that takes so long there, behind what that machine does before and what it waits for."""
        begins = max(self._free.get(machine, self.at), _begins(job, self.at))
        if self._are_several:  # one machine does everything in order
            begins = max([begins, *(ends for other, ends in self._ends if _is_behind(job, [other], after))])
        ended = begins + dt.timedelta(seconds=seconds)
        self._free[machine] = ended
        self._ends.append((job, ended))
        return ended


def seconds_left(job: Job, at: dt.datetime) -> float | None:
    """Seconds left, from the average time per step of this attempt; None before the first step."""
    if not job.done or not job.total or job.started_at is None:
        return None
    elapsed = (at - job.started_at).total_seconds()
    return elapsed / job.done * (job.total - job.done)
