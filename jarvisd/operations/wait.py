"""Wait until a run is settled, and which of its jobs changed meanwhile."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

from jarvisd.store import database, queries
from jarvisd.store.models import Job, Status
from jarvisd.words import label, plain

POLL_INTERVAL_S = 0.3
#: An end is stamped a moment before it is stored, and the clock may be set back a little meanwhile.
OVERLAP = dt.timedelta(minutes=1)


def until_settled(run_id: str, show: Callable[[], None], *, timeout_s: float | None = None) -> bool:
    """Poll until the run is settled, calling `show` each time. Returns whether all its jobs succeeded.

    Raises TimeoutError after `timeout_s`.
    """
    end = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        show()
        if queries.is_settled(run_id):
            return not Job.select().where(Job.run == run_id, Job.status != Status.SUCCEEDED).exists()
        if end is not None and time.monotonic() >= end:
            raise TimeoutError(f"{run_id} is not settled after {timeout_s:g} s.")
        time.sleep(POLL_INTERVAL_S)


class StatusChanges:
    """Jobs of a run whose status changed. Reads only rows that can have changed: a run may have ten thousand."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._seen: dict[int, str] = {}
        self._since: dt.datetime | None = None

    def next(self) -> list[Job]:
        """The jobs that started or ended since the last call, in the run's order."""
        rows = Job.select().where(Job.run == self.run_id, Job.status != Status.QUEUED)
        if self._since is not None:
            rows = rows.where((Job.status == Status.RUNNING) | (Job.ended_at >= self._since - OVERLAP))
        self._since = database.now()
        changed = [job for job in rows.order_by(Job.round, Job.place, Job.id) if self._seen.get(job.id) != job.status]
        self._seen |= {job.id: job.status for job in changed}
        return changed


class RunningLines:
    """A line about the running job of a run, at most once per `interval_s` seconds."""

    def __init__(self, run_id: str, interval_s: float) -> None:
        self.run_id, self.interval_s = run_id, interval_s
        self._last = time.monotonic()

    def quiet(self) -> None:
        """Another line was printed: begin the interval anew."""
        self._last = time.monotonic()

    def next(self) -> list[str]:
        """Like "mine: 4,000 of 23,661, embedding", or nothing when the interval is not over or nothing runs."""
        if time.monotonic() - self._last < self.interval_s:
            return []
        self.quiet()
        running = Job.select().where(Job.run == self.run_id, Job.status == Status.RUNNING)
        return [_running_line(job) for job in running]


def _running_line(job: Job) -> str:
    line = f"{label(job)}: {job.done:,} of {job.total:,}" if job.total else f"{label(job)}: still running"
    return f"{line}, {plain(job.note)}" if job.note else line
