"""The schema, as ordered functions. Each is applied in one transaction with its record, so that none is half done.

A migration is identified by its package and number. jarvisd's own come first, then those of the packages in
`registry.MIGRATIONS`. A released function is never changed; a later change is a new one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import peewee

from jarvisd import __version__, failpoints, registry
from jarvisd.errors import LedgerError
from jarvisd.host import files
from jarvisd.host.lockfile import lock_holder
from jarvisd.paths import Home
from jarvisd.store import database, location, schema
from jarvisd.store.database import InstantField, Record

Migration = Callable[[], None]
#: Seconds that a starting daemon gets to bring the schema up to date.
_DAEMON_STARTS_S = 5.0


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
    _tables_of_messages()


def _tables_of_messages() -> None:
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


def _start_conditions() -> None:
    schema.script("jarvisd.store", "6_start_conditions.sql")


def _machines() -> None:
    schema.script("jarvisd.store", "7_machines.sql")


def _run_lines() -> None:
    schema.script("jarvisd.store", "8_run_lines.sql")


OWN: Sequence[Migration] = (
    _first_tables,
    _durations,
    _names_and_env,
    _start_numbers,
    _numbers_and_begun_work,
    _start_conditions,
    _machines,
    _run_lines,
)


def applied() -> dict[str, int]:
    """The highest number of each package that this database has; empty for a new one."""
    tables = database.db.get_tables()
    if "migration" not in tables:
        if tables:
            raise database.foreign()
        return {}
    rows = Applied.select(Applied.package, peewee.fn.MAX(Applied.number)).group_by(Applied.package).tuples()
    return {str(package): int(number) for package, number in rows}


def known() -> dict[str, Sequence[Migration]]:
    return {"jarvisd": OWN, **{package: registry.load(dotted) for package, dotted in registry.MIGRATIONS.items()}}


def folders() -> dict[str, str]:
    """Package -> dotted name of the package that holds its scripts."""
    modules = {package: dotted.partition(":")[0] for package, dotted in registry.MIGRATIONS.items()}
    return {"jarvisd": "jarvisd.store"} | {package: module.rpartition(".")[0] for package, module in modules.items()}


def refuse_newer(have: dict[str, int], lists: dict[str, Sequence[Migration]]) -> None:
    """Raise LedgerError when a newer version of one of these packages wrote the database."""
    for package, migrations in lists.items():
        if have.get(package, 0) > len(migrations):
            raise LedgerError(
                f"the database was written by a newer version ({package} schema {have[package]}, "
                f"this version knows {len(migrations)})",
                "Upgrade jarvisd, or choose another home with --home DIR.",
            )


def matches_code() -> bool:
    """Whether the open database has exactly the schema that this code knows."""
    return _is_current(applied(), known())


def _is_current(have: dict[str, int], lists: dict[str, Sequence[Migration]]) -> bool:
    return all(have.get(package, 0) == len(migrations) for package, migrations in lists.items())


def _refuse_under_another_daemon(home: Home) -> None:
    """Raise LedgerError while a daemon runs that did not bring the schema up to date at its start: it does not know it.

    A daemon that is just starting gets a moment to do so.
    """
    end = time.monotonic() + _DAEMON_STARTS_S
    while (holder := _living_holder(home)) is not None and holder["pid"] != os.getpid():
        if _is_current(applied(), known()):
            return
        if holder["version"] not in (None, __version__) or time.monotonic() > end:
            raise LedgerError(
                f"jarvisd {holder['version']} runs (pid {holder['pid']}), and this is version {__version__}, which "
                "needs a newer schema of the database",
                "`jarvisctl restart` starts the daemon of this version.",
            )
        time.sleep(0.1)


def _living_holder(home: Home) -> dict[str, object] | None:
    """The daemon that holds the lock. One that has just taken it may not have replaced its predecessor's entry yet."""
    for _ in range(10):
        holder = lock_holder(home)
        if holder is None or _exists(holder["pid"]):
            return holder
        time.sleep(0.03)
    return None


def _exists(pid: object) -> bool:
    """Whether a process of this user has that id."""
    try:
        os.kill(int(str(pid)), 0)
    except (ValueError, OSError):
        return False
    return True


def migrate(home: Home, *, patience_s: float = database.CLIENT_PATIENCE_S) -> None:
    """Open the database of `home` and bring its schema up to date. Creates `var/` and the database where missing."""
    home.make()
    bring_up(home, location.server(home), patience_s=patience_s)


def bring_up(home: Home, server: str, *, patience_s: float = database.CLIENT_PATIENCE_S) -> None:
    """Open the database at that address, or for "" the file, and bring its schema up to date."""
    if not server and not home.database.exists():
        files.flush_folder(home.root)  # else a power cut may take the name of var/, and all that is below it
    database.connect(home.database, server=server, patience_s=patience_s)
    with database.usable(home):
        have = applied()
        if have == {package: schema.newest(folder) for package, folder in folders().items()}:
            return
        lists = known()
        refuse_newer(have, lists)
        if _is_current(have, lists):
            return
        if have:
            _refuse_under_another_daemon(home)
            if _is_current(applied(), lists):
                return
            database.back_up(home, have)
        with database.write():
            Applied.create_table(safe=True)
        for package, migrations in lists.items():
            if database.is_server():
                _begin_whole(package, migrations)
            for number, function in enumerate(migrations, 1):
                _apply(package, number, function)


def _begin_whole(package: str, migrations: Sequence[Migration]) -> None:
    """Make all tables of a package at once where it has none, and record every step that they stand for."""
    folder = folders()[package]
    last, name = schema.whole_on_server(folder)
    with database.write():
        if Applied.select().where(Applied.package == package).exists():
            return
        schema.script(folder, name)
        if package == "jarvisd":
            _tables_of_messages()
        for number, function in enumerate(migrations[:last], 1):
            _record(package, number, function)


def _apply(package: str, number: int, function: Migration) -> None:
    with database.write():
        if Applied.get_or_none(package=package, number=number):
            return  # another process was quicker
        function()
        _record(package, number, function)
        failpoints.failpoint("migrate.before-commit")
    failpoints.failpoint("migrate.committed")


def _record(package: str, number: int, function: Migration) -> None:
    Applied.create(package=package, number=number, name=function.__name__.strip("_"), at=database.now())


def open_existing(home: Home) -> bool:
    """Open the database to read it. False when there is none yet. Imports no job package, so that it is fast."""
    server = location.server(home)
    if not server and not home.database.exists():
        return False
    database.connect(home.database, server=server)
    with database.usable(home):
        have = applied()
        if server and not have:
            return False
        refuse_newer(have, {"jarvisd": OWN})
        if have.get("jarvisd", 0) < len(OWN):
            migrate(home)
    return True
