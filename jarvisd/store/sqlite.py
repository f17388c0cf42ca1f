"""All that is particular to SQLite: connections, write transactions, the meaning of its errors, backups.

Beside this file only `salvage.py`, which reads damaged files, and `worker/light.py` speak to SQLite.
"""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import peewee

from jarvisd.errors import LedgerError
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store import fence
from jarvisd.store.dialect import ErrorKind

_log = logging.getLogger("jarvisd.store.sqlite")

NAME = "var/jarvis.db"
#: What to do about a file that is no database of jarvisd.
SET_ASIDE = "Nothing was changed. Move it away and start again; `jarvisd` sets such a file aside by itself."
#: What to do about a damaged database.
MEND = "`jarvisctl restart` keeps the file, and saves every run and job that can be read."
DAMAGE = f"{NAME} is damaged or is not a database. {MEND}"
#: Copies of the database from before a migration.
KEPT_BACKUPS = 3
#: Pause between two tries to begin a write transaction.
_RETRY_S = 0.1
_INCREMENTAL = 2  # of PRAGMA auto_vacuum
_PRAGMAS = {
    "journal_mode": "wal",
    **fence.DURABLE,
    "foreign_keys": 1,
    "cache_size": -8000,  # 8 MB
}


#: Words of SQLite's messages. A full disk is an "I/O error" where SQLite maps the file into memory.
_BY_WORDS = {
    "is full": ErrorKind.DISK_FULL,
    "disk i/o error": ErrorKind.DISK_FAILS,
    "readonly": ErrorKind.READ_ONLY,
    "unable to open": ErrorKind.CANNOT_OPEN,
    "locked": ErrorKind.BUSY,
    "busy": ErrorKind.BUSY,
    "not a database": ErrorKind.DAMAGED,
    "malformed": ErrorKind.DAMAGED,
}


def open_database(path: Path, wait_s: float = fence.BUSY_TIMEOUT_S) -> peewee.Database:
    """The database in this file. Its connections are opened when they are first used, one per thread.

    `wait_s`: how long a statement waits for another process.
    """
    is_new = not path.exists() or not path.stat().st_size
    first = (
        {"auto_vacuum": _INCREMENTAL} if is_new else {}
    )  # of an older one it would take the write lock; see `shrink`
    return peewee.SqliteDatabase(str(path), timeout=wait_s, pragmas=first | _PRAGMAS)


#: What begins a transaction that reads one state of the database.
SNAPSHOT = ("DEFERRED",)


def open_to_read(path: Path) -> peewee.Database:
    """The database in this file, which is not changed."""
    return peewee.SqliteDatabase(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=fence.BUSY_TIMEOUT_S)


def reset_numbers(_database: peewee.Database, _model: type[peewee.Model]) -> None:
    """Nothing: a new row's number is above those that are stored."""


def changes(database: peewee.Database) -> str:
    """What changes with every commit: `data_version` with those of other connections, the total with this one's."""
    (version,) = database.execute_sql("PRAGMA data_version").fetchone()
    return f"{version}.{database.connection().total_changes}"


def place(_database: peewee.Database) -> str:
    """Which database this is, in words."""
    return f"the database {NAME}"


def refusal(_error: BaseException) -> str:
    """ "": there is no server."""
    return ""


def measure_clock(_database: peewee.Database) -> None:
    """Nothing: the database has no clock of its own."""


def clock_ahead() -> dt.timedelta:
    """How far the database's clock is ahead of this computer's: not at all."""
    return dt.timedelta()


@contextmanager
def write_transaction(database: peewee.Database, patience_s: float) -> Iterator[None]:
    """A transaction that holds the write lock from its beginning.

    A transaction that began by reading could not become a writer once another process has written. While another
    process holds the lock, this tries for at least `patience_s` seconds to begin; then it raises OperationalError.
    """
    end = time.monotonic() + patience_s
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(database.atomic("IMMEDIATE"))
                break
            except peewee.OperationalError as error:
                if describe_error(error) is not ErrorKind.BUSY or time.monotonic() >= end:
                    raise
            time.sleep(_pause_s())
        yield


@contextmanager
def unflushed(database: peewee.Database) -> Iterator[None]:
    """Commits that reach the disk with the next flushed one: for what may come back after a power cut.

    The database stays whole, because its write-ahead log is flushed before anything is moved out of it.
    """
    database.execute_sql("PRAGMA synchronous = 1")
    try:
        yield
    finally:
        database.execute_sql(f"PRAGMA synchronous = {fence.DURABLE['synchronous']}")


def empty_log(database: peewee.Database) -> bool:
    """Move the write-ahead log into the database and empty it, as it holds what was deleted. False while it is read."""
    busy, *_ = database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def describe_error(error: BaseException) -> ErrorKind | None:
    """What a database error is about. None for an exception that is none."""
    if not isinstance(error, peewee.DatabaseError | sqlite3.Error):
        return None
    message = str(error).lower()
    return next((kind for words, kind in _BY_WORDS.items() if words in message), ErrorKind.OTHER)


def shrink(database: peewee.Database) -> None:
    """Give the pages of deleted rows back to the disk. A database from before incremental vacuuming is rewritten once.

    Where another process holds it, this is left to the next time.
    """
    try:
        if database.execute_sql("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
            database.execute_sql("PRAGMA auto_vacuum = 2")
            database.execute_sql("VACUUM")
        database.connection().executescript("PRAGMA incremental_vacuum")  # `execute` would free one page and stop
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except (peewee.OperationalError, sqlite3.OperationalError) as error:
        _log.info("the database was not made smaller: %s", describe_error(error))


@contextmanager
def usable(home: Home) -> Iterator[None]:
    """Raise LedgerError, with its remedy, for a database that cannot be used."""
    refuse_no_file(home)
    try:
        yield
    except peewee.DatabaseError as error:
        match describe_error(error):
            case ErrorKind.DAMAGED:
                raise LedgerError(f"{home.database} is damaged or is not a database", MEND) from error
            case ErrorKind.READ_ONLY | ErrorKind.CANNOT_OPEN:
                remedy = "Make the file and its folder writable."
                raise LedgerError(f"cannot write to {home.database}", remedy) from error
            case ErrorKind.BUSY:
                message = f"{home.database} is busy: another process holds it"
                raise LedgerError(message, "Try again in a moment.") from error
        raise


def refuse_no_file(home: Home) -> None:
    """Raise LedgerError where the database is a folder, a pipe or a device: opening one may never return."""
    if home.database.exists() and not home.database.is_file():
        raise LedgerError(f"{home.database} is not a file", "Nothing was changed. Move it away and start again.")


def _pause_s() -> float:
    """A pause that differs between processes, so that those that wait do not all try at the same moment."""
    import random  # late: few transactions wait, and `status` must start fast

    return _RETRY_S * random.uniform(0.5, 1.5)  # noqa: S311


def back_up(home: Home, have: dict[str, int]) -> Path:
    """Copy the database to var/backups, under a name with its schema versions; keep the newest KEPT_BACKUPS.

    Two processes that migrate at the same time make the same copy: the file is replaced in one step.
    """
    import tempfile  # late: it takes 5 ms, and few processes migrate

    folder = home.var / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"jarvis-{'-'.join(f'{package}{number}' for package, number in sorted(have.items()))}.db"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".backup.") as temporary:
        copy = Path(temporary) / "copy.db"
        copy.touch(mode=0o600)
        with closing(sqlite3.connect(home.database)) as source, closing(sqlite3.connect(copy)) as destination:
            source.backup(destination)
        files.replace(target, copy.read_bytes())
    for old in sorted(folder.glob("jarvis-*.db"), key=lambda path: path.stat().st_mtime)[:-KEPT_BACKUPS]:
        old.unlink()
    return target
