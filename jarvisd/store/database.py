"""The connection, its write transactions, and the field types that every table uses."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import peewee

from jarvisd import store
from jarvisd.errors import LedgerError, OutOfReach
from jarvisd.host import disk_errors
from jarvisd.paths import Home
from jarvisd.store import fence, sqlite
from jarvisd.store.dialect import Dialect, ErrorKind, ServerFacts
from jarvisd.words import plain

db = peewee.DatabaseProxy()
OperationalError = peewee.OperationalError
#: The kind of the open database.
_dialect: Dialect = sqlite
#: The folder of the wake-up channel.
_folder: Path | None = None

#: How long the daemon and the jobs try to begin a write transaction while another process holds the write lock: a
#: client that was stopped, a database browser with an unsaved change. An hour's work may be at stake.
LONG_PATIENCE_S = 600.0
#: How long this process tries, beyond what each statement waits.
_patience_s = 0.0
#: How long a client's write transaction tries to begin, in seconds: with 200 clients at once on two cores none may be
#: refused, and SQLite's waiting is not fair.
CLIENT_PATIENCE_S = 60.0


def now() -> dt.datetime:
    """The time by the clock of the database: several computers agree on that one."""
    return dt.datetime.now(dt.UTC) + _dialect.clock_ahead()


def measure_clock() -> None:
    """Compare this computer's clock with the database's again: a connection lasts for days, and a clock may be set."""
    _dialect.measure_clock(db)


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


def connect(
    path: Path,
    *,
    server: str = "",
    patience_s: float = CLIENT_PATIENCE_S,
    wait_s: float = fence.BUSY_TIMEOUT_S,
    reach_s: float = 0.0,
) -> None:
    """Bind the models to the database at `path`, or on a server. Nothing is created; see `jarvisd.store.migrations`.

    `patience_s`: how long a write transaction tries to begin, beyond the database's own waiting. `wait_s`: how long a
    statement waits for another process. `reach_s`: how long a read and the beginning of a write transaction try while
    the server is out of reach. The wake-up channel is beside `path` in both cases.
    """
    global _dialect, _folder, _patience_s
    store.show_driver()
    disconnect()
    _patience_s, _folder = patience_s, path.parent
    if server:
        postgres = _postgres()
        _dialect, opened = postgres, postgres.open_database(server, wait_s, reach_s)
    else:
        _dialect, opened = sqlite, sqlite.open_database(path, wait_s)
    db.initialize(opened)


@contextmanager
def opened_to_read(path: Path, server: str = "") -> Iterator[peewee.Database]:
    """Another database beside the open one, as it is at one moment."""
    dialect: Any = _postgres() if server else sqlite
    opened = dialect.open_to_read(server or path)
    try:
        with opened.atomic(*dialect.SNAPSHOT):
            yield opened
    finally:
        opened.close()


def server_facts() -> ServerFacts:
    """What the server of the open database is, where it is on one."""
    return cast(ServerFacts, _postgres().facts(db))


def reset_numbers(model: type[Record]) -> None:
    """Have the next row get a number above those that are stored. Needed where rows came with their numbers."""
    _dialect.reset_numbers(db, model)


def _postgres() -> Any:
    """The module for PostgreSQL. Raises LedgerError where its driver is not installed."""
    try:
        from jarvisd.store import postgres  # late: it imports psycopg, which SQLite does not need
    except ImportError as error:
        if not (error.name or "").startswith("psycopg") and "pq wrapper" not in str(error):
            raise
        message = "settings.yaml names a database server, and the extra `fleet` is not installed"
        raise LedgerError(message, "pip install 'jarvisd[fleet]'") from None
    return postgres


def is_server() -> bool:
    """Whether the open database is on a server."""
    return _dialect is not sqlite


def is_shared() -> bool:
    """Whether several machines may work on this database. SQLite is a file of one machine."""
    return is_server()


def foreign() -> LedgerError:
    """The error for a database that holds the tables of another program."""
    return LedgerError(f"{_dialect.NAME} is a database of another program", _dialect.SET_ASIDE)


@contextmanager
def usable(home: Home) -> Iterator[None]:
    """Raise LedgerError, with its remedy, for a database that cannot be used."""
    try:
        with _dialect.usable(home):
            yield
    except peewee.PeeweeException as error:
        if is_out_of_reach(error):
            raise out_of_reach(error) from error
        raise


def back_up(home: Home, have: dict[str, int]) -> Path | None:
    """Copy the database to var/backups before a migration; None where its server keeps the backups."""
    return _dialect.back_up(home, have)


def changes() -> str:
    """A text that differs after every committed change of this database, by this process or by another one."""
    return _dialect.changes(db)


def unflushed() -> AbstractContextManager[None]:
    """Commits that reach the disk with the next flushed one: for what may come back after a power cut."""
    return _dialect.unflushed(db)


def shrink() -> None:
    """Give the space of deleted rows back to the disk."""
    _dialect.shrink(db)


def empty_log() -> bool:
    """Erase what was deleted from the database's log. False while another process reads it."""
    return _dialect.empty_log(db)


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
    with _dialect.write_transaction(db, _patience_s if patience_s is None else patience_s):
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


def folder() -> Path | None:
    """The folder of the wake-up channel; None before a database was opened."""
    return _folder


@contextmanager
def savepoint() -> Iterator[None]:
    """A part of a write transaction: an exception undoes this part, and the caller may go on with the rest."""
    with db.atomic():
        yield


def kind_of(error: BaseException) -> ErrorKind | None:
    """What an error of the database is about. None for an exception that is none."""
    return _dialect.describe_error(error)


def is_database_error(error: BaseException) -> bool:
    return kind_of(error) is not None


def is_busy(error: BaseException) -> bool:
    """Whether another process held the database for longer than a statement waits."""
    return kind_of(error) is ErrorKind.BUSY


def is_out_of_reach(error: BaseException) -> bool:
    """Whether the server of the database did not answer."""
    return isinstance(error, OutOfReach) or kind_of(error) is ErrorKind.OUT_OF_REACH


def was_out_of_reach() -> bool:
    """Whether a statement of this process has failed because the server did not answer, however long it tried."""
    return bool(getattr(db.obj, "was_out_of_reach", False))


def out_of_reach(error: BaseException | None = None) -> OutOfReach:
    """The error for a server that does not answer. `error`: how that showed; it may say why the server refuses."""
    if isinstance(error, OutOfReach):
        return error
    refusal = _dialect.refusal(error) if error is not None else ""
    what = f"{_dialect.place(db.obj)} is out of reach{': ' if refusal else ''}{plain(refusal)}"
    return OutOfReach(what, "See that it runs, and `database` in settings.yaml.")


def may_pass(error: BaseException) -> bool:
    """Whether the same write may succeed later: the database is held or out of reach, or the disk takes nothing."""
    return is_busy(error) or is_out_of_reach(error) or disk_error(error) is not None


def damage(error: BaseException) -> str | None:
    """What to say of an error that means a damaged database of jarvisd; else None.

    Only peewee's errors count: a job may have opened another database through sqlite3.
    """
    damaged = isinstance(error, peewee.DatabaseError) and kind_of(error) is ErrorKind.DAMAGED
    return _dialect.DAMAGE if damaged else None


def disk_error(error: BaseException | None) -> str | None:
    """What is wrong with the disk, in words, or None when the exception is about something else.

    The cause may hide behind another exception: SQLite ends a transaction by itself when the disk is full, and peewee
    then complains that there is none to roll back.
    """
    while error is not None:
        if reason := disk_errors.of_system_call(error) or _disk_trouble(error):
            return reason
        error = error.__cause__ or error.__context__
    return None


def _disk_trouble(error: BaseException) -> str | None:
    """What is wrong with the disk, in words, where the database says so."""
    kind = kind_of(error)
    return kind.value if kind in (ErrorKind.DISK_FULL, ErrorKind.DISK_FAILS, ErrorKind.READ_ONLY) else None
