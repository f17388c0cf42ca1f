"""The schema, as ordered functions. Each is applied in one transaction with its record, so that none is half done.

A migration is named by its package and number. jarvisd's own come first; those of the packages in
`kinds.MIGRATIONS` follow. A function once released is never changed: what comes later is a new one.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import peewee

from jarvisd import crash, files, kinds, ledger, schema
from jarvisd.errors import LedgerError
from jarvisd.home import Home
from jarvisd.ledger import InstantField, Record

Migration = Callable[[], None]

_SET_ASIDE = "Nothing was changed. Move it away and start again; `jarvisd` sets such a file aside by itself."
#: Copies of the database from before a migration.
KEPT_BACKUPS = 3


class Applied(Record):
    """A migration that this database has."""

    package = peewee.CharField()
    number = peewee.IntegerField()
    name = peewee.CharField()
    at = InstantField()

    class Meta:
        table_name = "migration"
        primary_key = peewee.CompositeKey("package", "number")


def _first_tables() -> None:
    """Runs, jobs, machines, and the tables of Huey's queue beside them."""
    from jarvisd import queue

    schema.script("jarvisd", "1_first_tables.sql")
    ledger.database.create_tables(queue.tables(), safe=False)


def _durations() -> None:
    schema.script("jarvisd", "2_durations.sql")


OWN: Sequence[Migration] = (_first_tables, _durations)


def applied() -> dict[str, int]:
    """The highest number of each package that this database has; empty for a new one."""
    tables = ledger.database.get_tables()
    if "migration" not in tables:
        if tables:
            raise LedgerError("var/jarvis.db is a database of another program", _SET_ASIDE)
        return {}
    rows = Applied.select(Applied.package, peewee.fn.MAX(Applied.number)).group_by(Applied.package).tuples()
    return {str(package): int(number) for package, number in rows}


def known() -> dict[str, Sequence[Migration]]:
    return {"jarvisd": OWN, **{package: kinds.load(dotted) for package, dotted in kinds.MIGRATIONS.items()}}


def refuse_newer(have: dict[str, int], lists: dict[str, Sequence[Migration]]) -> None:
    """Raise LedgerError when the database was written by a newer version of a package we know."""
    for package, migrations in lists.items():
        if have.get(package, 0) > len(migrations):
            raise LedgerError(
                f"the database was written by a newer version ({package} schema {have[package]}, "
                f"this version knows {len(migrations)})",
                "Upgrade jarvisd, or choose another home with --home DIR.",
            )


def refuse_no_file(home: Home) -> None:
    """Raise LedgerError where the database is a folder, a pipe or a device: to open one may wait for ever."""
    if home.database.exists() and not home.database.is_file():
        raise LedgerError(f"{home.database} is not a file", "Nothing was changed. Move it away and start again.")


def migrate(home: Home) -> None:
    """Open the database of `home` and bring its schema up to date. Makes `var/` and the database if need be."""
    home.make()
    ledger.connect(home.database)
    with _one_line(home):
        have, lists = applied(), known()
        refuse_newer(have, lists)
        if all(have.get(package, 0) == len(migrations) for package, migrations in lists.items()):
            return
        if have:
            _back_up(home, have)
        with ledger.write():
            Applied.create_table(safe=True)
        for package, migrations in lists.items():
            for number, function in enumerate(migrations, 1):
                _apply(package, number, function)


def _back_up(home: Home, have: dict[str, int]) -> Path:
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


def _apply(package: str, number: int, function: Migration) -> None:
    with ledger.write():
        if Applied.get_or_none(package=package, number=number):
            return  # another process was quicker
        function()
        Applied.create(package=package, number=number, name=function.__name__.strip("_"), at=ledger.now())
        crash.point("migrate.before-commit")
    crash.point("migrate.committed")


def open_existing(home: Home) -> bool:
    """Open the database to look at it. False when there is none yet. Light: no job package is imported."""
    if not home.database.exists():
        return False
    ledger.connect(home.database)
    with _one_line(home):
        have = applied()
        refuse_newer(have, {"jarvisd": OWN})
        if have.get("jarvisd", 0) < len(OWN):
            migrate(home)
    return True


@contextmanager
def _one_line(home: Home) -> Iterator[None]:
    """Turn what SQLite says of a file it cannot use into one clear line."""
    refuse_no_file(home)
    try:
        yield
    except peewee.DatabaseError as error:
        said = str(error).lower()
        if "not a database" in said or "malformed" in said:
            raise LedgerError(
                f"{home.database} is damaged or is not a database",
                _SET_ASIDE,
            ) from error
        if "readonly" in said or "unable to open" in said:
            raise LedgerError(f"cannot write to {home.database}", "Make the file and its folder writable.") from error
        if "locked" in said or "busy" in said:
            raise LedgerError(f"{home.database} is busy: another process holds it", "Try again in a moment.") from error
        raise
