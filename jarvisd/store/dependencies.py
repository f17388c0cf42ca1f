"""Runs that wait for a job or for another run.

A run waits only for what was stored before it, and a dependency is stored with its run and never changed, so no cycle
can arise. Whether a dependency is met is computed from the rows each time: a crash, a retry and a late end need no
bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterable

import peewee

from jarvisd.store.models import OPEN, Dependency, Job, Run, Status


def waiting_runs() -> peewee.Select:
    """The ids of the runs that may not begin: what they wait for is open, or did not succeed though it has to."""
    unmet = _exists(_is_open) | (~Dependency.any_end & (_exists(_did_not_succeed) | ~_exists()))
    return Dependency.select(Dependency.run).where(unmet)


def failed() -> list[Dependency]:
    """Dependencies of runs with queued jobs that cannot be met: their job or run has ended without success.

    A job that has no row any more counts as one of these: how it ended is not known.
    """
    waiting = Job.select(Job.run).where(Job.status == Status.QUEUED, ~Job.is_report)
    ended_badly = ~Dependency.any_end & ~_exists(_is_open) & (_exists(_did_not_succeed) | ~_exists())
    return list(Dependency.select().where(Dependency.run.in_(waiting), ended_badly).order_by(Dependency.id))


def of_run(run: Run | str) -> list[Dependency]:
    """What a run waits for, or has waited for."""
    return list(Dependency.select().where(Dependency.run == run).order_by(Dependency.id))


def of_runs(runs: Iterable[str]) -> list[Dependency]:
    """What these runs wait for, or have waited for."""
    return list(Dependency.select().where(Dependency.run.in_(list(runs))).order_by(Dependency.id))


def targets(dependency: Dependency) -> list[Job]:
    """The job that a dependency names, or all jobs of its run. Empty where they were removed."""
    rows = Job.select().where(Job.run == dependency.of_run).order_by(Job.round, Job.place, Job.id)
    return list(rows.where(Job.id == dependency.of_job) if dependency.of_job is not None else rows)


def awaited_runs() -> set[str]:
    """The ids of the runs that a run with queued jobs waits for, or may wait for again after a retry."""
    waiting = Job.select(Job.run).where(Job.status.in_(OPEN))
    rows = Dependency.select(Dependency.of_run).where(Dependency.run.in_(waiting)).tuples()
    return {name for (name,) in rows}


def queued_after(run_ids: Iterable[str]) -> Job | None:
    """A queued job of a run that waits for one of these runs, or for one of their jobs."""
    followers = Dependency.select(Dependency.run).where(Dependency.of_run.in_(list(run_ids)))
    return Job.select(Job.id).where(Job.status == Status.QUEUED, Job.run.in_(followers)).first()


def _is_open(job: type[Job]) -> peewee.Expression:
    return job.status.in_(OPEN)


def _did_not_succeed(job: type[Job]) -> peewee.Expression:
    return job.status != Status.SUCCEEDED


def _exists(*conditions: object) -> peewee.Expression:
    """Whether the dependency of the outer query has a job for which all conditions hold."""
    job = Job.alias()
    named = (job.id == Dependency.of_job) | (Dependency.of_job.is_null() & (job.run == Dependency.of_run))
    holds = [condition(job) for condition in conditions if callable(condition)]
    return peewee.fn.EXISTS(job.select(peewee.SQL("1")).where(named, *holds))
