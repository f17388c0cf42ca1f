"""The lines of run logs as rows, where several machines share a database: each writes its own, and any shows them all.

A database of one machine has none: the log is the file experiment.log alone.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque

import peewee

from jarvisd.store import database
from jarvisd.store.models import RunLine

#: Lines that are kept while they cannot be stored, and seconds until the next try: one may take as long as a
#: connection takes to fail.
_MOST_KEPT, _REST_S = 1000, 10.0

_lock = threading.Lock()
_kept: deque[dict[str, object]] = deque(maxlen=_MOST_KEPT)
_next_try = 0.0


def add(run_id: str, text: str, at: dt.datetime) -> None:
    """Store a line, and those before it that could not be stored. Raises nothing: the file has them as well."""
    global _next_try
    with _lock:
        _kept.append({"run": run_id, "text": text, "at": at})
        if time.monotonic() < _next_try:
            return
        try:
            RunLine.insert_many(list(_kept)).execute()
        except peewee.PeeweeException as error:
            _next_try = time.monotonic() + _REST_S
            if database.may_pass(error):
                return
        _kept.clear()  # stored, or of a run that was pruned


def exist(run_id: str) -> bool:
    """Whether a machine has written a line of this run."""
    return bool(RunLine.select().where(RunLine.run == run_id).exists())


def after(run_id: str, last: int = 0) -> list[RunLine]:
    """The lines that were stored after the one with that id, in that order."""
    return list(RunLine.select().where(RunLine.run == run_id, RunLine.id > last).order_by(RunLine.id))


def printed(row: RunLine) -> str:
    """2026-11-22T22:00:03+01:00 mine begins"""
    return f"{row.at.astimezone().isoformat(timespec='seconds')} {row.text}"


def text(run_id: str) -> bytes:
    """The whole log, as the file would hold it."""
    return "".join(f"{printed(row)}\n" for row in after(run_id)).encode()
