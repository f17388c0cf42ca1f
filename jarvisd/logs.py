"""Logs: jarvisd.log, which rotates; a log a job; and experiment.log, which tells the story of one night.

No message text goes into any of them. What a program run by a `command` job prints is its own, and kept as it is.
"""

from __future__ import annotations

import datetime as dt
import errno
import logging
import logging.handlers
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from jarvisd.paths import Home
from jarvisd.store import database


class _Clock(logging.Formatter):
    """Lines that begin with a local time and its zone: 2026-11-22T22:00:03+01:00."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return dt.datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="seconds")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # what another formatter has made of it
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Type and place, whoever logs it: its text, and that of its causes, may quote a message."""
        return "\n".join([type(ei[1]).__name__, *places(ei[1])])


_LINE = _Clock("%(asctime)s %(levelname)s %(message)s")


def places(error: BaseException) -> list[str]:
    """Where an exception came by, in lines without any text of its own."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"at {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames] or [
        "at an unknown place"
    ]


def daemon_logging(home: Home, *, foreground: bool) -> None:
    """jarvisd.log, ten files of a megabyte; also stderr when somebody watches."""
    path = home.logs / "jarvisd.log"
    path.touch(mode=0o600)
    handlers: list[logging.Handler] = [logging.handlers.RotatingFileHandler(path, maxBytes=1_000_000, backupCount=9)]
    if foreground:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(_LINE)
        root.addHandler(handler)
    quiet_libraries()


def quiet_libraries() -> None:
    """Two libraries log more than we may: Huey its routine, peewee every statement with its values.

    And a line that cannot be written, because the disk is full, is lost without a traceback on stderr.
    """
    logging.raiseExceptions = False
    for name in ("huey", "peewee"):
        logging.getLogger(name).setLevel(logging.WARNING)


def logger(home: Home, run_id: str, job_name: str) -> logging.Logger:
    """What a job says: into its own log (stderr of the child) and into the run's experiment.log."""
    log = logging.getLogger(f"jarvisd.job.{job_name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in (logging.StreamHandler(sys.stderr), logging.FileHandler(run_log(home, run_id))):
        handler.setFormatter(_Clock(f"%(asctime)s {job_name}: %(message)s"))
        log.addHandler(handler)
    return log


def run_log(home: Home, run_id: str) -> Path:
    """The run's experiment.log."""
    return home.run_folder(run_id) / "experiment.log"


def make_folder(home: Home, run_id: str) -> Path:
    """The run's folder. Raises OSError where a link stands for it: a run writes nowhere else."""
    folder = home.run_folder(run_id)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def append(home: Home, run_id: str, line: str) -> None:
    """Append a line of the daemon's to the story of the run. A story that cannot be told stops nobody."""
    try:
        _append(make_folder(home, run_id) / "experiment.log", line)
    except OSError as error:
        logging.getLogger("jarvisd").warning("experiment.log of %s cannot be written: %s", run_id, error.strerror)


def _append(path: Path, line: str) -> None:
    moment = database.now().astimezone().isoformat(timespec="seconds")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as out:
        out.write(f"{moment} {line}\n")
