"""A damaged database at the daemon's start: keep the file, mend its indexes, or copy every row that can be read.

mend(home)          # does nothing to an undamaged database; only the holder of the daemon's lock calls it
message(home)       # for a day afterwards: what was saved, and what was not
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from jarvisd.errors import LedgerError
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store import sqlite
from jarvisd.store.dialect import ErrorKind

_log = logging.getLogger("jarvisd.store.salvage")

#: How long `status` and `start` show what was saved.
SHOWN_FOR = dt.timedelta(hours=24)
#: Single rows that are tried between the readable parts of a table.
MOST_PROBES = 20_000
#: How long another process's write transaction is waited for, in seconds.
BUSY_S = 10.0
#: The first bytes of every SQLite database.
_MAGIC = b"SQLite format 3\0"
#: Not among them: read-only, which a damaged header may claim.
_PASSING = frozenset({ErrorKind.BUSY, ErrorKind.DISK_FULL, ErrorKind.DISK_FAILS, ErrorKind.CANNOT_OPEN})
_SUFFIXES = ("", "-wal", "-shm")
#: The tables whose rows are counted for people.
_COUNTED = ("run", "job")


@dataclass(frozen=True)
class Rescue:
    """What became of a damaged database."""

    at: str  #: ISO 8601
    kept: str  #: the damaged file's new name below var/
    saved: dict[str, int]  #: rows of `run` and `job` in the new database; empty where nothing could be read
    total: dict[str, int | None]  #: rows that there were; None where that cannot be read

    def sentence(self) -> str:
        """The database was damaged. Saved: 7 of 8 runs, 120 of 130 jobs. The damaged file is kept as var/..."""
        kept = f"The damaged file is kept as var/{self.kept}."
        if not self.saved:
            return f"The database was damaged or not one of jarvisd's. A new one was made, without its runs. {kept}"
        return f"The database was damaged. Saved: {', '.join(map(self._part, _COUNTED))}. {kept}"

    def _part(self, table: str) -> str:
        saved, total = self.saved[table], self.total.get(table)
        return f"{saved:,} of {'an unknown number of' if total is None else f'{total:,}'} {table}s"


def message(home: Home) -> str | None:
    """What was saved of a damaged database within the last day, in sentences; else None."""
    try:
        rescue = Rescue(**json.loads(home.rescue_note.read_text("utf-8")))
        age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(rescue.at)
        return rescue.sentence() if age < SHOWN_FOR else None
    except (OSError, ValueError, TypeError, LookupError):
        return None


def mend(home: Home) -> None:
    """Mend or replace a damaged or foreign database, and keep its file under a dated name.

    Raises LedgerError where another process holds the database, or where the disk does not allow it.
    """
    sqlite.refuse_no_file(home)
    if not home.database.exists():
        return
    try:
        damaged = not _is_whole(home)
        rescue = (_rescue(home) if _is_ours(home) else _set_aside(home)) if damaged else None
    except sqlite3.OperationalError as error:
        trouble = (sqlite.describe_error(error) or ErrorKind.OTHER).value
        raise LedgerError(f"{home.database} cannot be read: {trouble}", "Try again in a moment.") from error
    except OSError as error:
        raise LedgerError(f"{home.database} is damaged, and cannot be kept: {error.strerror}", "Mend that.") from error
    if rescue is not None:
        files.replace(home.rescue_note, json.dumps(asdict(rescue)))
        _log.error("%s", rescue.sentence())


# --------------------------------------------------------------------------------------------------- what is wrong


def _has_magic(home: Home) -> bool:
    with home.database.open("rb") as file:
        return file.read(len(_MAGIC)) in (b"", _MAGIC)


def _is_whole(home: Home) -> bool:
    """Whether the file is an undamaged database, and empty or with the table of migrations.

    A file without SQLite's first bytes is not opened: SQLite would write a journal left beside it into the file.
    """
    return _has_magic(home) and _check(home) in ([], ["migration"])


def _is_ours(home: Home) -> bool:
    """Whether a file that is not whole is a damaged database of jarvisd, and not a file of another program."""
    return _has_magic(home) and _check(home) != ["foreign"]


def _check(home: Home) -> list[str]:
    """[] for an empty database, else one word: migration (it is whole), foreign or damaged."""
    with closing(sqlite3.connect(home.database)) as connection:
        try:
            sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
            tables = _tables(connection)
        except sqlite3.DatabaseError as error:
            _raise_if_passing(error)
            return ["damaged"]
    if tables and "migration" not in tables:
        return ["foreign"]
    return (["migration"] if tables else []) if sound else ["damaged"]


def _raise_if_passing(error: sqlite3.Error) -> None:
    """Raise an error that says nothing about the file's content, such as another process's lock or a full disk."""
    if sqlite.describe_error(error) in _PASSING:
        raise error


def _tables(connection: sqlite3.Connection) -> dict[str, str]:
    """The tables by name, each with its statement, without SQLite's own."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return dict(rows.fetchall())


# ------------------------------------------------------------------------------------------------------- the old file


def _set_aside(home: Home) -> Rescue:
    """Rename a file of another program, with its journals."""
    aside = _free_name(home)
    for suffix in _SUFFIXES:
        path = home.database.with_name(home.database.name + suffix)
        if path.exists():
            path.rename(aside.with_name(aside.name + suffix))
    return _rescued(aside, {}, {})


def _keep_copy(home: Home) -> Path:
    """Copy the damaged database, byte by byte, before anything opens it to write."""
    aside = _free_name(home)
    for suffix in ("-wal", ""):
        path = home.database.with_name(home.database.name + suffix)
        if path.exists():
            target = aside.with_name(aside.name + suffix)
            with path.open("rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                files.flush(copy.fileno())
    return aside


def _free_name(home: Home) -> Path:
    """A dated name that no file has, so that no file set aside earlier is overwritten."""
    stamp = dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        name = f"jarvis-damaged-{stamp}.db" if number == 1 else f"jarvis-damaged-{stamp}-{number}.db"
        if not any(os.path.lexists(home.var / f"{name}{suffix}") for suffix in _SUFFIXES):
            return home.var / name
    raise AssertionError("there is always a next number")


# ------------------------------------------------------------------------------------------------------ what is saved


def _rescue(home: Home) -> Rescue:
    """Keep a copy of the damaged database, then mend it in place, or replace its content by what can be read."""
    kept = _keep_copy(home)
    with closing(sqlite3.connect(home.database, isolation_level=None, timeout=BUSY_S)) as damaged:
        if _reindex(damaged):
            counts = {table: _count(damaged, table) for table in _COUNTED}
            return _rescued(kept, {table: count or 0 for table, count in counts.items()}, counts)
        total = {table: _count(damaged, table) for table in _COUNTED}
        _lock(damaged)
        with closing(sqlite3.connect("", isolation_level=None)) as new:  # a private file that SQLite removes itself
            if _copy_readable(damaged, new) and _overwrite(damaged, new):
                saved = {table: _count(new, table) or 0 for table in _COUNTED}
                return _rescued(kept, saved, total)
    for suffix in reversed(_SUFFIXES):
        home.database.with_name(home.database.name + suffix).unlink(missing_ok=True)
    return _rescued(kept, {}, {})


def _lock(damaged: sqlite3.Connection) -> None:
    """Let no other process write until the content is replaced, where the damage allows that."""
    try:
        damaged.execute("BEGIN IMMEDIATE")
    except sqlite3.DatabaseError as error:
        _raise_if_passing(error)


def _rescued(kept: Path, saved: dict[str, int], total: dict[str, int | None]) -> Rescue:
    return Rescue(dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), kept.name, saved, total)


def _reindex(damaged: sqlite3.Connection) -> bool:
    """Build every index anew. True when the database is whole then; else it is left as it was."""
    with suppress(sqlite3.DatabaseError):
        damaged.execute("BEGIN IMMEDIATE")
        try:
            damaged.execute("REINDEX")
            if damaged.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok":
                damaged.execute("COMMIT")
                return True
        finally:
            if damaged.in_transaction:
                damaged.execute("ROLLBACK")
    return False


def _count(connection: sqlite3.Connection, table: str) -> int | None:
    """The number of rows, from an index or from the table itself. None where neither can be read."""
    for how in ("", "NOT INDEXED"):
        with suppress(sqlite3.DatabaseError):
            return int(connection.execute(f'SELECT COUNT(*) FROM "{table}" {how}').fetchone()[0])  # noqa: S608
    return None


def _copy_readable(damaged: sqlite3.Connection, new: sqlite3.Connection) -> bool:
    """Fill `new` with the schema and all readable rows. False where the schema or its version cannot be read."""
    try:
        tables = _tables(damaged)
        others = damaged.execute("SELECT sql FROM sqlite_master WHERE type != 'table' AND sql IS NOT NULL").fetchall()
        (page_size,) = damaged.execute("PRAGMA page_size").fetchone()
    except sqlite3.DatabaseError:
        return False
    new.execute(f"PRAGMA page_size = {int(page_size)}")
    new.execute("BEGIN")
    for statement in [*tables.values(), *(sql for (sql,) in others)]:
        new.execute(statement)
    whole = {table: _copy_table(damaged, new, table) for table in tables}
    _drop_orphans(new)
    new.execute("COMMIT")
    return whole.get("migration", False)


def _copy_table(damaged: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """Copy all readable rows of a table. Returns whether every page of it could be read."""
    names = [name for _, name, *_ in new.execute(f'PRAGMA table_info("{table}")')]
    columns = ", ".join(f'"{name}"' for name in names)
    places = ", ".join("?" * len(names))
    reader = _Reader(damaged, f'SELECT rowid, {columns} FROM "{table}" NOT INDEXED')  # noqa: S608
    for _, *row in reader.rows():
        with suppress(sqlite3.DatabaseError):  # a damaged row may break a constraint
            new.execute(f'INSERT OR IGNORE INTO "{table}" ({columns}) VALUES ({places})', row)  # noqa: S608
    return reader.whole


@dataclass
class _Reader:
    """Reads a table from both ends, and then row by row what lies between."""

    connection: sqlite3.Connection
    select: str
    whole: bool = True  #: False once a page could not be read

    def rows(self) -> Iterator[tuple[object, ...]]:
        last = 0
        for row in self._until_damage("ORDER BY rowid"):
            last = int(str(row[0]))
            yield row
        if self.whole:
            return
        first = last + MOST_PROBES
        for row in self._until_damage("AND rowid > ? ORDER BY rowid DESC", last):
            first = int(str(row[0]))
            yield row
        for rowid in range(last + 1, min(first, last + MOST_PROBES)):
            yield from self._until_damage("AND rowid = ?", rowid)

    def _until_damage(self, rest: str, *parameters: int) -> Iterator[tuple[object, ...]]:
        try:
            yield from self.connection.execute(f"{self.select} WHERE 1 {rest}", parameters)
        except sqlite3.DatabaseError:
            self.whole = False


def _drop_orphans(new: sqlite3.Connection) -> None:
    """Delete rows whose parent row could not be read: a job without its run has no plan."""
    while orphans := new.execute("PRAGMA foreign_key_check").fetchall():
        for table, rowid, *_ in orphans:
            new.execute(f'DELETE FROM "{table}" WHERE rowid = ?', (rowid,))  # noqa: S608


def _give_up_after(seconds: float) -> Callable[[int, int, int], None]:
    """What SQLite's backup calls after each step: without it, it would wait for another process for ever."""
    end = time.monotonic() + seconds

    def check(status: int, _remaining: int, _total: int) -> None:
        if status == sqlite3.SQLITE_BUSY and time.monotonic() > end:
            raise sqlite3.OperationalError("database is locked")

    return check


def _overwrite(damaged: sqlite3.Connection, new: sqlite3.Connection) -> bool:
    """Replace the whole content of the damaged database in one transaction, as SQLite's backup does.

    The file stays the same one, so that a program that has it open does not write into a removed file.
    """
    try:
        if damaged.in_transaction:
            damaged.execute("ROLLBACK")  # SQLite's backup takes the lock itself
        for pragma in ("synchronous = 2", "fullfsync = 1", "checkpoint_fullfsync = 1"):
            damaged.execute(f"PRAGMA {pragma}")
        new.backup(damaged, progress=_give_up_after(BUSY_S))
        return bool(damaged.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        _raise_if_passing(error)
        return False
