"""Where a job may run, in a database that several machines share.

A job is pinned to one machine, or any takes it that has its models and its memory. It is pinned to that one when it
starts, because times that two machines measured cannot be compared. Where the database is of one machine, jobs have
neither pin nor needs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import peewee
from peewee import chunked

from jarvisd.registry import SUBMITTER
from jarvisd.store import machines
from jarvisd.store.models import Job, Machine, Status

#: Ids per statement.
_IDS = 500
#: The columns of a job in a database of one machine.
_UNPLACED: dict[str, Any] = {"pinned_to": None, "needs": None, "may_move": False}


def allows(machine: str, at: dt.datetime) -> peewee.Expression:
    """Queued jobs that may run on this machine at that time."""
    row = machines.find(machine)
    facts = row.facts if row is not None else None
    wanted = _wanted()
    unmet = [needs for needs in wanted if lacking(needs, facts)]
    gone = [other for other in machines.lost(at) if other != machine]
    is_free = Job.pinned_to.is_null()
    if gone:
        is_free |= _of_lost(gone, wanted)
    if unmet:
        is_free &= Job.needs.is_null() | Job.needs.not_in(unmet)
    return (Job.pinned_to == machine) | is_free


def _wanted() -> list[dict[str, Any]]:
    """What queued jobs need, each once: as many as there are models, however many jobs wait."""
    rows = Job.select(Job.needs).where(Job.status == Status.QUEUED, Job.needs.is_null(False)).distinct()
    return [row.needs for row in rows]


def _of_lost(gone: list[str], wanted: list[dict[str, Any]]) -> peewee.Expression:
    """Jobs of lost machines that any other may do. What begins afresh there is first put back; see `loss.py`."""
    moves = Job.may_move & Job.pinned_to.in_(gone)
    afresh = [needs for needs in wanted if needs.get("afresh")]
    return moves & (Job.needs.is_null() | Job.needs.not_in(afresh)) if afresh else moves


def lacking(needs: dict[str, Any] | None, facts: dict[str, Any] | None) -> list[str]:
    """What a machine with these facts lacks for a job, in words: ["mlx-community/Qwen3-4B-4bit@4dcb3d1"]."""
    needs, facts = needs or {}, facts or {}
    missing = [model for model in needs.get("models", ()) if model not in facts.get("models", ())]
    memory_mb, room_mb = needs.get("memory_mb", 0), facts.get("largest_job_mb", 0)
    return [*missing, f"{memory_mb:,} MB of memory"] if memory_mb > room_mb else missing


def may_take(row: Machine, job: Job, gone: Iterable[str]) -> bool:
    """Whether a machine may start a queued job; as `allows`, for one row. `gone`: the ids of lost machines."""
    if job.pinned_to == row.id:
        return True
    needs: dict[str, Any] = job.needs or {}
    moves = job.may_move and job.pinned_to in gone and not needs.get("afresh")
    return (job.pinned_to is None or moves) and not lacking(job.needs, row.facts)


def machines_for(job_ids: list[int], at: dt.datetime) -> list[str]:
    """The ids of the machines that may take one of these jobs; a lost one looks by itself when it is back."""
    rows = machines.known()
    gone = {row.id for row in rows if machines.is_lost(row, at)}
    columns = (Job.pinned_to, Job.may_move, Job.needs)
    kinds = [
        job for part in chunked(job_ids, _IDS) for job in Job.select(*columns).where(Job.id.in_(list(part))).distinct()
    ]
    return [row.id for row in rows if row.id not in gone and any(may_take(row, job, gone) for job in kinds)]


def place(jobs: list[Job], submitter: str | None) -> None:
    """Before these jobs are stored: put the machine of submission in place of SUBMITTER.

    None: the database is of one machine, and no job is placed.
    """
    for job in jobs:
        if submitter is None:
            for column, value in _UNPLACED.items():
                setattr(job, column, value)
        elif job.pinned_to == SUBMITTER:
            job.pinned_to = submitter


def stay(jobs: list[Job], before: list[Job]) -> None:
    """A job of a later round runs where the one of its name ran in the round before: a model stays on one machine."""
    ran = {job.name: job.machine or job.pinned_to for job in before}
    for job in jobs:
        if job.pinned_to is None and job.needs and ran.get(job.name):
            job.pinned_to, job.may_move = ran[job.name], False


def impossible(jobs: list[Job]) -> dict[str, str]:
    """By name: why no known machine can run a job, of those jobs that are pinned to none."""
    facts = [row.facts for row in machines.known()]
    return {job.name: reason for job in jobs if (reason := why_impossible(job, facts))}


def why_impossible(job: Job, facts: Sequence[Any]) -> str:
    """Why no machine with these facts can run a job; "" where one can, and for a job that is pinned to one."""
    if job.pinned_to is not None or not job.needs or not all(lacking(job.needs, each) for each in facts):
        return ""
    return _why_impossible(job.needs, facts)


def _why_impossible(needs: Any, facts: Sequence[Any]) -> str:
    """no machine has mlx-community/Qwen3-4B-4bit@4dcb3d1"""
    wanted = lacking(needs, None)
    nowhere = [each for each in wanted if all(each in lacking(needs, have) for have in facts)]
    return f"no machine has {nowhere[0]}" if nowhere else f"no machine has both {' and '.join(wanted)}"
