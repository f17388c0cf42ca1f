"""The schema, as ordered functions. Each is applied in one transaction with its record, so that none is half done.

A migration is identified by its package and number. jarvisd's own come first, then those of the packages in
`registry.MIGRATIONS`. A released function is never changed; a later change is a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import peewee

from jarvisd import failpoints, registry
from jarvisd.errors import LedgerError
from jarvisd.paths import Home
from jarvisd.store import database, schema, sqlite
from jarvisd.store.database import InstantField, Record

Migration = Callable[[], None]


class Applied(Record):
    """A migration that was applied to this database."""

    package = peewee.CharField()
    number = peewee.IntegerField()
    name = peewee.CharField()
    at = InstantField()

    class Meta:
        table_name = "migration"
        primary_key = peewee.CompositeKey("package", "number")


def _first_tables() -> None:
    """Runs, jobs, machines, and the tables of Huey's queue."""
    schema.script("jarvisd.store", "1_first_tables.sql")
    from jarvisd.store import wakeup  # late: it imports Huey, which `status` does not need

    database.db.create_tables(wakeup.messages().tables, safe=False)


def _durations() -> None:
    schema.script("jarvisd.store", "2_durations.sql")


def _names_and_env() -> None:
    schema.script("jarvisd.store", "3_names_and_env.sql")


def _start_numbers() -> None:
    schema.script("jarvisd.store", "4_start_numbers.sql")


def _numbers_and_begun_work() -> None:
    schema.script("jarvisd.store", "5_numbers_and_begun_work.sql")


OWN: Sequence[Migration] = (_first_tables, _durations, _names_and_env, _start_numbers, _numbers_and_begun_work)


def applied() -> dict[str, int]:
    """The highest number of each package that this database has; empty for a new one."""
    tables = database.db.get_tables()
    if "migration" not in tables:
        if tables:
            raise LedgerError("var/jarvis.db is a database of another program", sqlite.SET_ASIDE)
        return {}
    rows = Applied.select(Applied.package, peewee.fn.MAX(Applied.number)).group_by(Applied.package).tuples()
    return {str(package): int(number) for package, number in rows}


def known() -> dict[str, Sequence[Migration]]:
    return {"jarvisd": OWN, **{package: registry.load(dotted) for package, dotted in registry.MIGRATIONS.items()}}


def refuse_newer(have: dict[str, int], lists: dict[str, Sequence[Migration]]) -> None:
    """Raise LedgerError when a newer version of one of these packages wrote the database."""
    for package, migrations in lists.items():
        if have.get(package, 0) > len(migrations):
            raise LedgerError(
                f"the database was written by a newer version ({package} schema {have[package]}, "
                f"this version knows {len(migrations)})",
                "Upgrade jarvisd, or choose another home with --home DIR.",
            )


def migrate(home: Home, *, patience_s: float = 0.0) -> None:
    """Open the database of `home` and bring its schema up to date. Creates `var/` and the database where missing."""
    home.make()
    database.connect(home.database, patience_s=patience_s)
    with sqlite.usable(home):
        have, lists = applied(), known()
        refuse_newer(have, lists)
        if all(have.get(package, 0) == len(migrations) for package, migrations in lists.items()):
            return
        if have:
            sqlite.back_up(home, have)
        with database.write():
            Applied.create_table(safe=True)
        for package, migrations in lists.items():
            for number, function in enumerate(migrations, 1):
                _apply(package, number, function)


def _apply(package: str, number: int, function: Migration) -> None:
    with database.write():
        if Applied.get_or_none(package=package, number=number):
            return  # another process was quicker
        function()
        Applied.create(package=package, number=number, name=function.__name__.strip("_"), at=database.now())
        failpoints.failpoint("migrate.before-commit")
    failpoints.failpoint("migrate.committed")


def open_existing(home: Home) -> bool:
    """Open the database to read it. False when there is none yet. Imports no job package, so that it is fast."""
    if not home.database.exists():
        return False
    database.connect(home.database)
    with sqlite.usable(home):
        have = applied()
        refuse_newer(have, {"jarvisd": OWN})
        if have.get("jarvisd", 0) < len(OWN):
            migrate(home)
    return True
