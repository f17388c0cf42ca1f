"""What only SQLite needs: backups, damaged files, and its errors in one line."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import peewee

from jarvisd.errors import LedgerError
from jarvisd.host import disk_errors, files
from jarvisd.paths import Home

_log = logging.getLogger("jarvisd.store.sqlite")


SET_ASIDE = "Nothing was changed. Move it away and start again; `jarvisd` sets such a file aside by itself."


#: Copies of the database from before a migration.
KEPT_BACKUPS = 3


def refuse_no_file(home: Home) -> None:
    """Raise LedgerError where the database is a folder, a pipe or a device: to open one may wait for ever."""
    if home.database.exists() and not home.database.is_file():
        raise LedgerError(f"{home.database} is not a file", "Nothing was changed. Move it away and start again.")


def back_up(home: Home, have: dict[str, int]) -> Path:
    """A copy of the database as it is, named by its schema; the newest KEPT_BACKUPS are kept.

    A second process that migrates at the same time makes the same copy: the file is replaced in one step.
    """
    folder = home.var / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"jarvis-{'-'.join(f'{package}{number}' for package, number in sorted(have.items()))}.db"
    with tempfile.TemporaryDirectory(dir=folder) as room:
        copy = Path(room) / "copy.db"
        copy.touch(mode=0o600)
        with closing(sqlite3.connect(home.database)) as source, closing(sqlite3.connect(copy)) as made:
            source.backup(made)
        files.replace(target, copy.read_bytes())
    for old in sorted(folder.glob("jarvis-*.db"), key=lambda path: path.stat().st_mtime)[:-KEPT_BACKUPS]:
        old.unlink()
    return target


@contextmanager
def one_line(home: Home) -> Iterator[None]:
    """Turn what SQLite says of a file it cannot use into one clear line."""
    refuse_no_file(home)
    try:
        yield
    except peewee.DatabaseError as error:
        said = str(error).lower()
        if "not a database" in said or "malformed" in said:
            raise LedgerError(
                f"{home.database} is damaged or is not a database",
                SET_ASIDE,
            ) from error
        if "readonly" in said or "unable to open" in said:
            raise LedgerError(f"cannot write to {home.database}", "Make the file and its folder writable.") from error
        if "locked" in said or "busy" in said:
            raise LedgerError(f"{home.database} is busy: another process holds it", "Try again in a moment.") from error
        raise


#: What a database of SQLite begins with.
_MAGIC = b"SQLite format 3\0"


def set_damaged_aside(home: Home) -> None:
    """Move a damaged or foreign database away under a dated name, and say so. Only the holder of the lock does this."""
    refuse_no_file(home)
    if not home.database.exists() or _is_ours(home):
        return
    aside = _free_name(home)
    for suffix in ("", "-wal", "-shm"):
        damaged = home.database.with_name(home.database.name + suffix)
        if damaged.exists():
            damaged.rename(aside.with_name(aside.name + suffix))
    _log.error("the database was damaged, or another program's; it is kept as var/%s, a new one is made", aside.name)


def _is_ours(home: Home) -> bool:
    """Whether it is a whole database, and empty or with our list of migrations.

    A file without the mark of a database is not opened as one: SQLite would write a journal left beside it into it.
    """
    with home.database.open("rb") as file:
        if file.read(len(_MAGIC)) not in (b"", _MAGIC):
            return False
    connection = sqlite3.connect(home.database)
    try:
        whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            what = disk_errors.disk_error(error) or "another process holds it"
            raise LedgerError(f"{home.database} cannot be looked at: {what}", "Try again in a moment.") from error
        return False
    finally:
        connection.close()
    return whole and (not tables or "migration" in tables)


def _free_name(home: Home) -> Path:
    """A dated name that no file has: what was set aside before is never overwritten."""
    stamp = dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        name = f"jarvis-damaged-{stamp}.db" if number == 1 else f"jarvis-damaged-{stamp}-{number}.db"
        if not any(os.path.lexists(home.var / f"{name}{suffix}") for suffix in ("", "-wal", "-shm")):
            return home.var / name
    raise AssertionError("there is always a next number")
