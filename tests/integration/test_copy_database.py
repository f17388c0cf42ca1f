"""`database copy`: a whole history to a server and back, every row the same, the source untouched."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import peewee
import pytest

from jarvisd.errors import JarvisError, LedgerError, UsageError
from jarvisd.host import lockfile
from jarvisd.operations import copy_database
from jarvisd.paths import Home
from jarvisd.store import copying, database, machines, migrations, queries, queue
from jarvisd.store import postgres as dialect
from jarvisd.store.models import Dependency, GivenRun, Job, Run, Status
from jobs.lib.results.tables import Ranking, Reply, TurnExample
from tests import postgres
from tests.claiming import claimed, finish
from tests.integration.comparison_nights import Night

MakeRun = Callable[..., Run]


@pytest.fixture
def address(cluster: postgres.Cluster) -> Iterator[str]:
    url = cluster.create()
    yield url
    database.disconnect()
    cluster.drop(url)


@pytest.fixture
def history(home: Home, make_run: MakeRun) -> Home:
    """A home with values of every type, and with a character that PostgreSQL cannot store."""
    first = make_run("mine", "evaluate:a", "report")
    job = claimed()
    finish(job)
    make_run("mine", plan="other", after=[Dependency(of_run=first.id, any_end=True)])
    Job.update(pid_started=1764240000.123, memory_mb=2**40, status=Status.SUCCEEDED).execute()
    Ranking.create(job=job, run=first, space="float32", weights=bytes(range(256)), figures={"n": 1.5})
    for place in range(700):
        TurnExample.create(run=first, place=place, incoming=f"é {place}", answer="a\0b" if place == 3 else "")
    database.disconnect()
    return home


def dump(home: Home) -> list[str]:
    with closing(sqlite3.connect(home.database)) as connection:
        return list(connection.iterdump())


def test_a_history_goes_to_a_server_and_back_and_every_row_is_the_same(
    history: Home, address: str, tmp_path: object
) -> None:
    before = dump(history)
    counts = copy_database.to_server(history, address)
    assert (counts["run"], counts["job"], counts["turn_example"]) == (2, 4, 700)
    assert database.is_server()
    assert Job.get().pid_started == 1764240000.123
    database.disconnect()
    assert dump(history) == before
    back = Home(history.root.parent / "back", "--home")
    back.make()
    assert copy_database.from_server(back, address) == counts
    assert Ranking.get().weights == bytes(range(256))
    database.disconnect()
    lines = {line.replace("a' || char(0) || 'b", "a\ufffdb") for line in before if "INSERT INTO" in line}
    copied = {line for line in dump(back) if "INSERT INTO" in line}
    unlike = {line for line in lines ^ copied if '"migration"' not in line and '"task"' not in line}
    assert {line for line in unlike if "turn_example" not in line} == set()
    assert len(unlike) <= 2  # the row with NUL


def test_new_rows_on_the_server_get_numbers_above_the_copied_ones(history: Home, address: str) -> None:
    copy_database.to_server(history, address)
    run = Run.get()
    newest = TurnExample.select(peewee.fn.MAX(TurnExample.id)).scalar()
    assert TurnExample.create(run=run, place=9999, incoming="", answer="").id == newest + 1
    assert queries.next_job_id() == 5


def test_an_interrupted_copy_goes_on(history: Home, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, calls = copying._rows, []

    def ends_early(connected: peewee.Database, model: type[peewee.Model], keys: list[object]) -> object:
        calls.append(model)
        if calls.count(TurnExample) == 2:
            raise KeyboardInterrupt
        return rows(connected, model, keys)

    monkeypatch.setattr(copying, "_rows", ends_early)
    with pytest.raises(KeyboardInterrupt):
        copy_database.to_server(history, address)
    monkeypatch.undo()
    assert TurnExample.select().count() == 300
    assert copy_database.to_server(history, address)["turn_example"] == 700


@pytest.mark.parametrize("change", ["another row", "another value"])
def test_a_target_with_other_rows_is_refused_and_left_as_it_is(history: Home, address: str, change: str) -> None:
    copy_database.to_server(history, address)
    if change == "another row":
        GivenRun.create(id="of the target")
    else:
        Job.update(note="changed").where(Job.id == 1).execute()
    TurnExample.delete().execute()
    with pytest.raises(LedgerError, match="holds other rows"):
        copy_database.to_server(history, address)
    assert TurnExample.select().count() == 0


def test_a_wrong_row_after_the_copy_is_noticed(
    history: Home, address: str, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(model: type[peewee.Model]) -> None:
        if model is Reply:
            cluster.sql("UPDATE job SET note = 'x' WHERE id = 1", postgres.name_of(address))

    monkeypatch.setattr(database, "reset_numbers", spoil)
    with pytest.raises(LedgerError, match="the table job is not the same"):
        copy_database.to_server(history, address)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_an_open_job_is_not_copied_because_it_would_run_in_both(history: Home, address: str, status: Status) -> None:
    database.connect(history.database)
    Job.update(status=status).where(Job.id == 1).execute()
    with pytest.raises(LedgerError, match="1 job of the database to copy would run in both"):
        copy_database.to_server(history, address)
    assert Run.select().count() == 0


def test_a_job_of_a_copied_history_is_retried_where_that_is_asked_for(history: Home, address: str) -> None:
    """Another machine has other messages, and perhaps not the program."""
    copy_database.to_server(history, address)
    machines.register("other", "other", "1", {"models": [], "largest_job_mb": 2**50})
    machines.register("here", "here", "1", {"models": [], "largest_job_mb": 2**50})
    queue.retry([Job.get_by_id(1)], here="here")
    assert queries.next_due("other", database.now()) is None
    due = queries.next_due("here", database.now())
    assert due is not None and due.id == 1


def test_a_history_of_another_version_is_not_copied(history: Home, address: str) -> None:
    """Its columns may mean something else, even where they have the same names."""
    with closing(sqlite3.connect(history.database)) as connection, connection:
        connection.execute("INSERT INTO migration VALUES ('jarvisd', 99, 'future', '2026-11-28T00:00:00.000000+00:00')")
    with pytest.raises(LedgerError, match="the schema of another version") as caught:
        copy_database.to_server(history, address)
    assert "Nothing was written" in str(caught.value)
    assert Run.select().count() == 0


def test_a_server_lets_a_copy_of_it_take_long(history: Home, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transaction does nothing while a batch of rows is written to the file."""
    monkeypatch.setattr(dialect, "IDLE_IN_TRANSACTION_S", 0.1)
    copy_database.to_server(history, address)
    with database.opened_to_read(history.database, address) as source:
        before = source.execute_sql("SELECT COUNT(*) FROM job").fetchone()
        threading.Event().wait(0.5)
        assert source.execute_sql("SELECT COUNT(*) FROM job").fetchone() == before == (4,)


def test_while_a_daemon_runs_and_for_an_unsafe_address_nothing_is_copied(history: Home, address: str) -> None:
    with pytest.raises(UsageError, match="the address must hold no password") as caught:
        copy_database.to_server(history, "postgresql://me:s3cret@localhost/x")
    assert "s3cret" not in str(caught.value)
    with lockfile.opened(history.lock) as lock:
        assert lockfile.take(lock, wait=False)
        lockfile.write(lock, {"pid": 1, "since": "", "version": "1"})
        with pytest.raises(JarvisError, match="a daemon runs here"):
            copy_database.to_server(history, address)


def test_a_comparison_is_copied_with_all_its_tables(night: Night, home: Home, address: str) -> None:
    """Every table of results that the tests of the comparison fill."""
    database.disconnect()
    migrations.migrate(home)
    database.disconnect()
    assert set(copy_database.to_server(home, address)) >= {"reply", "score", "vote", "template", "mining"}
