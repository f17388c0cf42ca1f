"""A database of every released version is brought up to date, and what the models say is what the schema has."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import peewee
import pytest

from jarvisd.errors import LedgerError
from jarvisd.paths import Home
from jarvisd.store import database as store_database
from jarvisd.store import migrations, models, queries, schema
from jarvisd.store.database import Record
from jarvisd.store.models import Run
from jobs.lib.comparison.explain import left_out
from jobs.lib.comparison.load import load
from jobs.lib.results import tables as result_tables

RELEASED = sorted((Path(__file__).parents[1] / "fixtures").glob("jarvis-*.sql"))


def shape(path: Path) -> dict[str, Any]:
    """Table -> its columns (name, type, must it have a value) and its indexes (columns, unique)."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        shapes: dict[str, Any] = {}
        for table in tables:
            columns = sorted((row[1], row[2], row[3]) for row in connection.execute(f"PRAGMA table_info({table})"))
            indexes = sorted(
                (tuple(part[2] or "" for part in connection.execute(f"PRAGMA index_info({row[1]})")), row[2])
                for row in connection.execute(f"PRAGMA index_list({table})")
            )
            shapes[table] = {"columns": columns, "indexes": indexes}
        return shapes


@pytest.fixture
def released(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    """A home whose database was written by a released version, with a run, its replies and a message in it."""
    home = Home(tmp_path / "old", "--home")
    home.var.mkdir(parents=True)
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.executescript(request.param.read_text())
    yield home
    store_database.db.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "new", "--home")
    migrations.migrate(home)
    yield home
    store_database.db.close()


def test_there_is_a_database_of_every_released_version() -> None:
    assert [path.stem for path in RELEASED] == ["jarvis-0.1.0"]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_jobs_of_an_old_database_keep_how_long_they_took_by_the_wall_clock(released: Home) -> None:
    with closing(sqlite3.connect(released.database)) as connection, connection:
        connection.execute("UPDATE job SET ended_at = '2026-11-21T22:05:30.250000+00:00' WHERE id = 1")
    migrations.migrate(released)
    assert [job.took_s for job in models.Job.select().order_by(models.Job.id)] == [
        pytest.approx(330.25, abs=0.002),
        None,
    ]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_models_that_a_round_left_out_move_from_the_params_of_its_job_to_a_table(released: Home) -> None:
    """The newest round that has begun counts; a job of another name says nothing."""
    params = json.dumps({"layers": True, "left_out": {"a": "0.12 behind b"}})
    with closing(sqlite3.connect(released.database)) as connection, connection:
        connection.execute("UPDATE job SET name = 'layers', kind = 'evaluate', params = ? WHERE id = 1", (params,))
    migrations.migrate(released)
    assert [(row.round, row.model, row.cause) for row in result_tables.LeftOut.select()] == [(1, "a", "told")]
    assert left_out(load("2026-11-21-overnight").left_out["a"]) == "0.12 behind b"


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_an_old_database_gets_the_schema_of_a_new_one_and_keeps_what_it_holds(released: Home, tmp_path: Path) -> None:
    migrations.migrate(released)
    run = Run.get()
    assert (run.id, run.snapshot["plan"]["evaluate"]["samples"]) == ("2026-11-21-overnight", 1)
    assert [job.status for job in queries.jobs_of(run)] == ["succeeded", "queued"]
    reply = result_tables.Reply.get()
    assert (reply.reply, reply.round, reply.batched, reply.thinking) == ("No worries!", 1, False, 0)
    assert result_tables.ModelLoad.get().load_time_s == 1.5
    store_database.db.close()
    new = Home(tmp_path / "new", "--home")
    migrations.migrate(new)
    store_database.db.close()
    assert shape(released.database) == shape(new.database)


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_renamed_columns_keep_their_values_and_a_library_s_switch_becomes_an_empty_environment(released: Home) -> None:
    with closing(sqlite3.connect(released.database)) as connection, connection:
        connection.execute("UPDATE job SET attempts = 3, attempts_from = 2, fruitless = 1, preload_blas = 1")
    migrations.migrate(released)
    for job in models.Job.select():
        assert (job.max_attempts, job.attempt_base, job.starts_without_progress, job.env) == (3, 2, 1, {})


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_a_copy_of_the_old_database_is_kept_and_private(released: Home) -> None:
    before = shape(released.database)
    migrations.migrate(released)
    (copy,) = (released.var / "backups").iterdir()
    assert shape(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    migrations.migrate(released)
    assert len(list(copy.parent.iterdir())) == 1


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_of_the_copies_the_newest_three_are_kept(released: Home) -> None:
    folder = released.var / "backups"
    folder.mkdir()
    for age in range(4):
        (folder / f"jarvis-jarvisd0-{age}.db").touch()
        os.utime(folder / f"jarvis-jarvisd0-{age}.db", (1000 - age, 1000 - age))
    (folder / "mine.txt").touch()
    migrations.migrate(released)
    left = {path.name for path in folder.iterdir()}
    assert {"mine.txt", "jarvis-jarvisd0-0.db", "jarvis-jarvisd0-1.db"} < left
    assert len(left) == 4


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_a_migration_that_fails_leaves_the_database_as_it_was(released: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> None:
        store_database.db.execute_sql('ALTER TABLE "run" ADD COLUMN "half" TEXT')
        raise OSError("power")

    before = shape(released.database)
    monkeypatch.setattr(migrations, "OWN", (migrations.OWN[0], half))
    with pytest.raises(OSError, match="power"):
        migrations.migrate(released)
    store_database.db.close()
    assert shape(released.database) == before


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem, indirect=True)
def test_a_newer_database_is_refused_and_not_touched(released: Home) -> None:
    with closing(sqlite3.connect(released.database)) as connection:
        connection.execute("INSERT INTO migration VALUES ('jarvisd', 99, 'from the future', '2030')")
        connection.commit()
    content = released.database.read_bytes()
    with pytest.raises(LedgerError, match="newer version"):
        migrations.migrate(released)
    store_database.db.close()
    assert released.database.read_bytes() == content


def test_the_schema_is_what_the_models_say(fresh: Home, tmp_path: Path) -> None:
    """The migrations are written by hand; a column that only the model has would fail at night."""
    store_database.db.close()
    expected = tmp_path / "models.db"
    database = peewee.SqliteDatabase(str(expected))
    with database.bind_ctx(_models()), database:
        database.create_tables(_models())
    wanted = shape(expected)
    tables = shape(fresh.database)
    assert {table: tables[table] for table in wanted} == wanted


def _models() -> list[type[peewee.Model]]:
    return [
        model
        for model in Record.__subclasses__()
        if model.__module__ in ("jarvisd.store.models", "jobs.lib.results.tables")
    ]


def test_the_scripts_of_each_package_number_its_migrations() -> None:
    """So that a program that submits need not import them to see that the schema is the present one."""
    lists = migrations.known()
    assert {name: schema.newest(folder) for name, folder in migrations.folders().items()} == {
        name: len(functions) for name, functions in lists.items()
    }
