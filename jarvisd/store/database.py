"""The connection, its write transactions, and the field types that every table uses."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

from jarvisd.host import disk_errors
from jarvisd.store import fence, sqlite
from jarvisd.words import plain

db = peewee.DatabaseProxy()

#: How long the daemon and the jobs try to begin a write transaction while another process holds the write lock: a
#: client that was stopped, a database browser with an unsaved change. An hour's work may be at stake.
LONG_PATIENCE_S = 600.0
#: How long this process tries, beyond what each statement waits.
_patience_s = 0.0
#: How long a client's write transaction tries to begin, in seconds: with 200 clients at once on two cores none may be
#: refused, and SQLite's waiting is not fair.
CLIENT_PATIENCE_S = 60.0


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class InstantField(peewee.TextField):
    """An instant as ISO 8601 in UTC with a fixed width, so that text order is time order on every database."""

    def db_value(self, value: dt.datetime | None) -> str | None:
        return None if value is None else value.astimezone(dt.UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | None) -> dt.datetime | None:
        return None if value is None else dt.datetime.fromisoformat(value)


class PlainText(peewee.TextField):
    """One line for people, such as a reason. It is stored without control characters; see `words.plain`."""

    def db_value(self, value: str | None) -> str | None:
        return None if value is None else plain(value)


class PlainLines(peewee.TextField):
    """A list of lines for people, such as warnings, each stored as PlainText stores one."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps([plain(line) for line in value], ensure_ascii=False)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


class JSONText(peewee.TextField):
    """A JSON document as text."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


class Record(peewee.Model):
    """A table of this database."""

    class Meta:
        database = db
        legacy_table_names = False


def connect(path: Path, *, patience_s: float = CLIENT_PATIENCE_S, wait_s: float = fence.BUSY_TIMEOUT_S) -> None:
    """Bind the models to the database at `path`. Nothing is created; see `jarvisd.store.migrations`.

    `patience_s`: how long a write transaction tries to begin, beyond SQLite's own waiting. `wait_s`: how long a
    statement waits for another process.
    """
    global _patience_s
    disconnect()
    _patience_s = patience_s
    db.initialize(sqlite.open_database(path, wait_s))


def changes() -> str:
    """A text that differs after every committed change of this database, by this process or by another one."""
    return sqlite.changes(db)


def disconnect() -> None:
    """Close this thread's connection, if it has one."""
    if db.obj is not None:
        db.close()


@contextmanager
def write(*, patience_s: float | None = None) -> Iterator[None]:
    """One write transaction. Inside another one, it is a part of that one. `patience_s` replaces the connection's."""
    if db.in_transaction():
        yield
        return
    _pending.calls = []
    with sqlite.write_transaction(db, _patience_s if patience_s is None else patience_s):
        yield
    for call in dict.fromkeys(_pending.calls):
        call()


class _Pending(threading.local):
    """What this thread calls when its write transaction is committed."""

    calls: list[Callable[[], None]]


_pending = _Pending()


def after_commit(call: Callable[[], None]) -> None:
    """Make this call when the current write transaction is committed, once; at once where there is none."""
    if db.in_transaction():
        _pending.calls.append(call)
    else:
        call()


def is_shared() -> bool:
    """Whether several machines may work on this database. SQLite is a file of one machine."""
    return False


def folder() -> Path | None:
    """The folder that holds the open database; None where it is no file."""
    name = getattr(db.obj, "database", None)
    return Path(name).parent if name and name != ":memory:" else None


@contextmanager
def savepoint() -> Iterator[None]:
    """A part of a write transaction: an exception undoes this part, and the caller may go on with the rest."""
    with db.atomic():
        yield


def is_database_error(error: BaseException) -> bool:
    return sqlite.describe_error(error) is not None


def is_busy(error: BaseException) -> bool:
    """Whether another process held the database for longer than a statement waits."""
    return sqlite.describe_error(error) is sqlite.ErrorKind.BUSY


def may_pass(error: BaseException) -> bool:
    """Whether the same write may succeed later: another process holds the database, or the disk takes nothing."""
    return is_busy(error) or disk_error(error) is not None


def damage(error: BaseException) -> str | None:
    """What to say of an error that means a damaged database of jarvisd; else None.

    Only peewee's errors count: a job may have opened another database through sqlite3.
    """
    damaged = isinstance(error, peewee.DatabaseError) and sqlite.describe_error(error) is sqlite.ErrorKind.DAMAGED
    return f"var/jarvis.db is damaged or is not a database. {sqlite.MEND}" if damaged else None


def disk_error(error: BaseException | None) -> str | None:
    """What is wrong with the disk, in words, or None when the exception is about something else.

    The cause may hide behind another exception: SQLite ends a transaction by itself when the disk is full, and peewee
    then complains that there is none to roll back.
    """
    while error is not None:
        if reason := disk_errors.of_system_call(error) or sqlite.disk_trouble(error):
            return reason
        error = error.__cause__ or error.__context__
    return None
