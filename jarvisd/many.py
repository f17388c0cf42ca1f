"""The ledger's changes for thousands of rows at once: what it does to one row, by few statements in one transaction.

Each function works on rows that were read in the caller's transaction, and refuses rows that have changed since.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import peewee
from peewee import chunked

from jarvisd import ledger
from jarvisd.errors import IllegalTransition
from jarvisd.ledger import SETTLED, TRANSITIONS, Job, Status

#: Rows a statement, so that its text stays short.
_ROWS = 1000


def store(jobs: list[Job]) -> None:
    """Store new rows in their order, and give each its id."""
    with ledger.write():
        _insert([field for field in Job._meta.sorted_fields if field.name != "id"], jobs)
        for run_id in {job.run_id for job in jobs}:
            stored = Job.select(Job.id, Job.name, Job.round).where(Job.run == run_id).tuples()
            ids = {(name, round_): id_ for id_, name, round_ in stored}
            for job in (job for job in jobs if job.run_id == run_id):
                job.id = ids[job.name, job.round]


def as_they_are(jobs: Iterable[Job], *, whole: bool = True) -> list[Job]:
    """What the ledger holds of these jobs now, in the order of their runs; not `whole`: names, places and statuses."""
    fields = () if whole else (Job.id, Job.run, Job.name, Job.kind, Job.round, Job.place, Job.status, Job.attempt)
    rows = [row for part in chunked(jobs, _ROWS) for row in Job.select(*fields).where(_among(part))]
    return sorted(rows, key=lambda row: (row.round, row.place, row.id))


def end_queued(jobs: list[Job], status: Status, reason: str, at: dt.datetime) -> None:
    """Settle jobs that are queued."""
    _change(jobs, (Status.QUEUED,), status, reason=reason, ended_at=at, pid=None)


def put_off(jobs: list[Job], reason: str, *, until: dt.datetime, since: dt.datetime) -> None:
    """Queued jobs cannot start yet: say why, and when they are looked at again."""
    with ledger.write():
        for part in chunked(jobs, _ROWS):
            values = {"reason": reason, "not_before": until, "waiting_since": since}
            Job.update(values).where(_among(part), Job.status == Status.QUEUED).execute()


def revive(jobs: list[Job]) -> None:
    """`retry`: settled jobs are owed again."""
    _change(
        jobs,
        SETTLED,
        Status.QUEUED,
        reason=None,
        fruitless=0,
        not_before=None,
        waiting_since=None,
        machine=None,
        cancel_requested=False,
        attempts_from=Job.attempt,
        ended_at=None,
        took_s=None,
    )


def forget_pieces(jobs: list[Job]) -> None:
    """Remove everything these jobs have found so far: their rows go, what refers to them along, the rows come back."""
    with ledger.write():
        for part in chunked(jobs, _ROWS):
            Job.delete().where(_among(part)).execute()
        _insert(Job._meta.sorted_fields, jobs)


# ---------------------------------------------------------------------------------------------------- how it is done


def _change(jobs: list[Job], origins: tuple[Status, ...], to: Status, **fields: Any) -> None:
    if not all(to in TRANSITIONS[origin] for origin in origins):
        raise IllegalTransition(f"jobs cannot go from {', '.join(origins)} to {to}")
    with ledger.write():
        for part in chunked(jobs, _ROWS):
            known = _among(part) & Job.status.in_(origins)
            if Job.update({"status": to, **fields}).where(known).execute() != len(part):
                raise IllegalTransition(f"some of {len(part)} jobs are no longer {' or '.join(origins)}")
            for job in part:
                for name, value in {"status": to, **fields}.items():
                    setattr(job, name, getattr(job, value.name) if isinstance(value, peewee.Field) else value)


def _among(jobs: Iterable[Job]) -> peewee.Expression:
    """Rows with these ids: numbers of our own, written out, because a statement takes only so many values."""
    return Job.id.in_(peewee.SQL(f"({', '.join(str(int(job.id)) for job in jobs)})"))


def _insert(fields: list[Any], jobs: list[Job]) -> None:
    """Insert row by row with one text: to build a statement takes ten times as long as to execute it."""
    statement, _ = Job.insert(dict.fromkeys(fields)).sql()
    for job in jobs:
        ledger.database.execute_sql(statement, [field.db_value(job.__data__.get(field.name)) for field in fields])
