"""The runs so far, one entry each: when, how long, how they ended, and what they decided."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from jarvisd.operations import moments, status
from jarvisd.operations.status import RunSummary
from jarvisd.store import database, queries
from jarvisd.store.models import Job, Run
from jarvisd.words import lasted, plain


@dataclass(frozen=True)
class Entry:
    """A run in the list of runs, in words."""

    run_id: str
    submitted: str
    lasted: str  #: from its first start to its last end; "" before that
    state: str
    jobs: str  #: its jobs by status
    title: str
    verdict: str  #: what its newest report says, in a few words; "" without one


def newest(number: int, skipped: int = 0) -> list[Entry]:
    """The newest runs, without the first `skipped` of them."""
    columns = (Run.id, Run.title, Run.created_at, Run.started_at)
    runs = list(Run.select(*columns).order_by(Run.number.desc()).limit(number).offset(skipped))
    at, ids = database.now(), [run.id for run in runs]
    ends, reports = queries.last_ends(ids), queries.newest_written_reports(ids)
    return [
        _entry(run, shown, ends.get(run.id) if shown.state == "settled" else at, reports.get(run.id), at)
        for run, shown in status.summaries(runs)
    ]


def _entry(run: Run, shown: RunSummary, end: dt.datetime | None, report: Job | None, at: dt.datetime) -> Entry:
    return Entry(
        run_id=run.id,
        submitted=moments.day_and_time(run.created_at, at),
        lasted=_lasted(run, end),
        state=status.ending(shown),
        jobs=status.in_words(shown.counts),
        title=plain(run.title),
        verdict=_verdict(report),
    )


def _lasted(run: Run, end: dt.datetime | None) -> str:
    if run.started_at is None or end is None:
        return ""
    return lasted(max(0.0, (end - run.started_at).total_seconds()))


def verdict(run: Run) -> str:
    """What the newest report of a run says, in one line without text of a message; "" without one."""
    return _verdict(queries.newest_written_reports([run.id]).get(run.id))


def _verdict(report: Job | None) -> str:
    outcome: dict[str, Any] = (report.outcome or {}) if report is not None else {}
    summary = outcome.get("summary")
    return plain(str(summary.get("verdict", ""))) if isinstance(summary, dict) else ""
