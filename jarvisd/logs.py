"""Logs: jarvisd.log, which rotates; one log per job; one run log (experiment.log) per run.

Where several machines share a database, each writes the lines of a run into its own file and into the database.

No text of a message goes into any of them. Each record is one line of plain text, so that no name or foreign error can
forge a line or move a terminal's cursor. What the program of a `command` job prints is kept as it is.
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
from jarvisd.store import database, run_lines
from jarvisd.words import plain


class _Clock(logging.Formatter):
    """Plain lines that begin with a local time and its zone: 2026-11-22T22:00:03+01:00."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return dt.datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="seconds")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another formatter has cached the text, which may quote a message
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return plain(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Type and place only: the text of an exception, and of its causes, may quote a message."""
        return "\n".join(map(plain, [type(ei[1]).__name__, *places(ei[1])]))


_LINE = _Clock("%(asctime)s %(levelname)s %(message)s")


def places(error: BaseException) -> list[str]:
    """The places that an exception passed, one per line, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"at {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames] or [
        "at an unknown place"
    ]


def daemon_logging(home: Home, *, foreground: bool, is_daemon: bool = True) -> None:
    """Log to jarvisd.log, ten files of one megabyte each; in the foreground to stderr too.

    Only the daemon begins a new file: if two processes did, one would go on writing to the old file.
    """
    path = home.logs / "jarvisd.log"
    path.touch(mode=0o600)
    rotating = logging.handlers.RotatingFileHandler(
        path, maxBytes=1_000_000 * is_daemon, backupCount=9, encoding="utf-8"
    )
    handlers: list[logging.Handler] = [rotating]
    if foreground:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(_LINE)
        root.addHandler(handler)
    quiet_libraries()


def quiet_libraries() -> None:
    """Silence Huey's routine, and peewee's statements, whose values may be text of a message.

    A line that cannot be written because the disk is full is lost without a traceback on stderr.
    """
    logging.raiseExceptions = False
    for name in ("huey", "peewee"):
        logging.getLogger(name).setLevel(logging.WARNING)


def logger(home: Home, run_id: str, job_name: str) -> logging.Logger:
    """The logger of a job: it writes to the job's own log (stderr of the child) and to the run log."""
    log = logging.getLogger(f"jarvisd.job.{job_name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    name = job_name.replace("%", "%%")
    for handler in (logging.StreamHandler(sys.stderr), logging.FileHandler(run_log(home, run_id), encoding="utf-8")):
        handler.setFormatter(_Clock(f"%(asctime)s {name}: %(message)s"))
        log.addHandler(handler)
    log.addHandler(_ForAll(run_id, job_name))
    return log


class _ForAll(logging.Handler):
    """Gives a job's lines to the other machines that share the database."""

    def __init__(self, run_id: str, job_name: str) -> None:
        super().__init__()
        self.run_id, self.job_name = run_id, job_name

    def emit(self, record: logging.LogRecord) -> None:
        _share(self.run_id, f"{self.job_name}: {record.getMessage()}", database.now())


def _share(run_id: str, line: str, at: dt.datetime) -> None:
    """Store a line of the run log for the other machines that share the database; nothing where it is of one machine.

    The only place that writes these rows.
    """
    if database.is_shared():
        run_lines.add(run_id, line, at)


def run_log(home: Home, run_id: str) -> Path:
    """The run's experiment.log."""
    return home.run_folder(run_id) / "experiment.log"


def make_folder(home: Home, run_id: str) -> Path:
    """Make the run's folder. Raises OSError where a link has its name: a run writes nowhere else."""
    folder = home.run_folder(run_id)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def append(home: Home, run_id: str, line: str) -> None:
    """Append a line of the daemon to the run log. A line that cannot be written is only logged."""
    at = database.now()
    try:
        _append(make_folder(home, run_id) / "experiment.log", line, at)
    except OSError as error:
        logging.getLogger("jarvisd").warning("experiment.log of %s cannot be written: %s", run_id, error.strerror)
    _share(run_id, line, at)


def has_begun(home: Home, run_id: str) -> bool:
    """Whether the run log has a line, of this machine or of another one."""
    return run_log(home, run_id).exists() or (database.is_shared() and run_lines.exist(run_id))


def whole_run_log(home: Home, run_id: str) -> Path | bytes:
    """The run log: its file; where several machines share the database, what all of them wrote, if it is stored."""
    return (run_lines.text(run_id) if database.is_shared() else b"") or run_log(home, run_id)


def _append(path: Path, line: str, at: dt.datetime) -> None:
    moment = at.astimezone().isoformat(timespec="seconds")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as out:
        out.write(f"{moment} {plain(line)}\n")
