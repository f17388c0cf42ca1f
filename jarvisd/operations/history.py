"""The runs so far, one entry each: when, how long, how they ended, and what they decided."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from jarvisd.operations import moments, status
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
    at = database.now()
    return [_entry(run, at) for run in Run.select().order_by(Run.number.desc()).limit(number).offset(skipped)]


def _entry(run: Run, at: dt.datetime) -> Entry:
    shown = status.summary(run, most=0)
    return Entry(
        run_id=run.id,
        submitted=moments.day_and_time(run.created_at, at),
        lasted=_lasted(run, at, ended=shown.state == "settled"),
        state=status.ending(shown),
        jobs=status.in_words(shown.counts),
        title=plain(run.title),
        verdict=verdict(run),
    )


def _lasted(run: Run, at: dt.datetime, *, ended: bool) -> str:
    if run.started_at is None:
        return ""
    end = queries.last_end(run.id) if ended else at
    return lasted(max(0.0, (end - run.started_at).total_seconds())) if end is not None else ""


def verdict(run: Run) -> str:
    """What the newest report of a run says, in one line without text of a message; "" without one."""
    report: Job | None = queries.newest_written_report(run.id)
    outcome: dict[str, Any] = (report.outcome or {}) if report is not None else {}
    summary = outcome.get("summary")
    return plain(str(summary.get("verdict", ""))) if isinstance(summary, dict) else ""
