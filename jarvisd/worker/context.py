"""JobContext: all that a job sees of the queue."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jarvisd import failpoints
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store import database, models, transitions

#: Progress is written at most this often, in seconds: each write is a synchronous commit.
PROGRESS_INTERVAL_S = 0.5
#: Seconds until the next one after the server of the database was out of reach.
PROGRESS_REST_S = 10.0


class _Throttle:
    """Lets something happen at most once per interval."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s, self._last = interval_s, float("-inf")

    def allows(self, at: float, *, always: bool = False) -> bool:
        """Whether it may happen at that time of a monotonic clock, in seconds; if so, the interval begins anew."""
        if not always and at - self._last < self._interval_s:
            return False
        self._last = at
        return True

    def rest(self, at: float, seconds: float) -> None:
        """Let it happen again only after so many seconds."""
        self._last = at + seconds


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What `run(context)` of a kind is given.

    context.params["model"]                 # its JobSpec's parameters
    context.plan["mine"]["similarity"]      # the run's resolved plan
    with context.checkpoint():              # a transaction that keeps finished work, refused when the attempt is stale
        Reply.create(...)
    context.progress(3, 13, "reply")        # for `status`; never text of a message
    if context.should_stop(): ...           # asked to stop: finish the work in hand and return
    context.publish("templates.json", text) # a file of the run, replaced atomically
    """

    home: Home
    run_id: str
    job_id: int
    job_name: str
    attempt: int
    round: int
    params: Mapping[str, Any]
    plan: Mapping[str, Any]
    folder: Path  #: var/results/<run>/
    ends_by: dt.datetime | None  #: when the run's jobs end so that its report is ready by the deadline; None = no limit
    log: logging.Logger  #: the job's log and the run's experiment.log; never text of a message
    stop: threading.Event = field(default_factory=threading.Event)
    _progress: _Throttle = field(default_factory=lambda: _Throttle(PROGRESS_INTERVAL_S))

    def should_stop(self) -> bool:
        return self.stop.is_set()

    def seconds_left(self) -> float:
        """Until `ends_by`, by the wall clock; infinite without a deadline."""
        return float("inf") if self.ends_by is None else (self.ends_by - database.now()).total_seconds()

    @contextmanager
    def checkpoint(self) -> Iterator[None]:
        """One transaction of finished work. Raises StaleAttempt, and stores nothing, when this attempt is over."""
        with transitions.fenced(self.job_id, self.attempt):
            yield
            made_progress = models.Job.update(starts_without_progress=0)
            made_progress.where(models.Job.id == self.job_id).execute()
            failpoints.failpoint("checkpoint.before-commit")
        failpoints.failpoint("checkpoint.committed")

    piece = checkpoint  #: its name in version 0.1.0, kept for kinds of other packages

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Store how far the job is. Cheap to call often: it writes twice per second, and always at the end.

        A note that cannot be written, because another process holds the database, its server is out of reach or the
        disk is full, is dropped.
        """
        if not self._progress.allows(time.monotonic(), always=done >= total):
            return
        try:
            with transitions.fenced(self.job_id, self.attempt, patience_s=0):
                models.Job.update(done=done, total=total, note=note).where(models.Job.id == self.job_id).execute()
                failpoints.failpoint("progress.before-commit")
            failpoints.failpoint("progress.committed")
        except Exception as error:
            if not database.may_pass(error):
                raise
            if database.is_out_of_reach(error):  # each try may take as long as a connection takes to fail
                self._progress.rest(time.monotonic(), PROGRESS_REST_S)

    def publish(self, name: str, text: str) -> Path:
        """Replace a file of the run's folder atomically, readable by the user alone."""
        return files.replace(self.folder / name, text)
