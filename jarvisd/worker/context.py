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
PROGRESS_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """What `run(context)` of a kind is given.

    context.params["model"]                 # its JobSpec's parameters
    context.plan["mine"]["similarity"]      # the run's resolved plan
    with context.piece():                   # a committed piece of work, refused when the attempt is stale
        Reply.create(...)
    context.progress(3, 13, "reply")        # for `status`; never text of a message
    if context.should_stop(): ...           # asked to stop: finish the piece in hand and return
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
    _last: list[float] = field(default_factory=lambda: [0.0])

    def should_stop(self) -> bool:
        return self.stop.is_set()

    def seconds_left(self) -> float:
        """Until `ends_by`, by the wall clock; infinite without a deadline."""
        return float("inf") if self.ends_by is None else (self.ends_by - database.now()).total_seconds()

    @contextmanager
    def piece(self) -> Iterator[None]:
        """One committed piece of work. Raises StaleAttempt, and stores nothing, when this attempt is over."""
        with transitions.fenced(self.job_id, self.attempt):
            yield
            models.Job.update(fruitless=0).where(models.Job.id == self.job_id).execute()
            failpoints.failpoint("piece.before-commit")
        failpoints.failpoint("piece.committed")

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Say how far the job is. Cheap to call often: it is written twice a second, and always at the end."""
        moment = time.monotonic()
        if done < total and moment - self._last[0] < PROGRESS_EVERY_S:
            return
        self._last[0] = moment
        with transitions.fenced(self.job_id, self.attempt):
            models.Job.update(done=done, total=total, note=note).where(models.Job.id == self.job_id).execute()
            failpoints.failpoint("progress.before-commit")
        failpoints.failpoint("progress.committed")

    def publish(self, name: str, text: str) -> Path:
        """Replace a file of the run's folder atomically, readable by the user alone."""
        return files.replace(self.folder / name, text)
