"""The schema, as ordered functions. Each is applied in one transaction with its record, so that none is half done.

A migration is named by its package and number. jarvisd's own come first; those of the packages in
`kinds.MIGRATIONS` follow. A function once released is never changed: what comes later is a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import peewee

from jarvisd import kinds, ledger
from jarvisd.errors import LedgerError
from jarvisd.home import Home
from jarvisd.ledger import InstantField, Record

Migration = Callable[[], None]


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

    tables = [ledger.Run, ledger.Job, ledger.Machine, *queue.tables()]
    ledger.database.create_tables(tables, safe=False)


OWN: Sequence[Migration] = (_first_tables,)


def applied() -> dict[str, int]:
    """The highest number of each package that this database has; empty for a new one."""
    if not ledger.database.table_exists("migration"):
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


def migrate(home: Home) -> None:
    """Open the database of `home` and bring its schema up to date. Makes `var/` and the database if need be."""
    home.make()
    ledger.connect(home.database)
    with _one_line(home):
        have, lists = applied(), known()
        refuse_newer(have, lists)
        if all(have.get(package, 0) == len(migrations) for package, migrations in lists.items()):
            return
        with ledger.write():
            Applied.create_table(safe=True)
        for package, migrations in lists.items():
            for number, function in enumerate(migrations, 1):
                _apply(package, number, function)


def _apply(package: str, number: int, function: Migration) -> None:
    with ledger.write():
        if Applied.get_or_none(package=package, number=number):
            return  # another process was quicker
        function()
        Applied.create(package=package, number=number, name=function.__name__.strip("_"), at=ledger.now())


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
    try:
        yield
    except peewee.DatabaseError as error:
        said = str(error).lower()
        if "not a database" in said or "malformed" in said:
            raise LedgerError(
                f"{home.database} is damaged or is not a database",
                "Nothing was changed. Move it away and start again; `jarvisd` sets a damaged one aside by itself.",
            ) from error
        if "readonly" in said or "unable to open" in said:
            raise LedgerError(f"cannot write to {home.database}", "Make the file and its folder writable.") from error
        if "locked" in said or "busy" in said:
            raise LedgerError(f"{home.database} is busy: another process holds it", "Try again in a moment.") from error
        raise
