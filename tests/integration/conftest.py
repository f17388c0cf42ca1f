"""A real ledger: in a real SQLite file, and for the tests of the queue on a real PostgreSQL server too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jarvisd.operations import this_machine
from jarvisd.paths import Home
from jarvisd.registry import JobSpec
from jarvisd.store import database, machines, migrations, queries
from jarvisd.store.models import Dependency, Job, Run
from tests import claiming, postgres, ready_homes
from tests.integration.comparison_nights import Night

#: The tests of the queue, which run on both databases; one that is about SQLite alone has the mark `sqlite`.
ON_BOTH = {
    *("test_ledger", "test_claim_races", "test_next_round", "test_start_counts", "test_start_conditions"),
    *("test_ids", "test_bad_rows", "test_operations", "test_lost_machines"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_of_queue = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH
    if "home" in metafunc.fixturenames and is_of_queue and not metafunc.definition.get_closest_marker("sqlite"):
        metafunc.parametrize("home", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def home(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    made = Home(tmp_path / "home", "--home")
    if getattr(request, "param", "sqlite") == "postgres":
        postgres.name_server(made, request.getfixturevalue("server_database"))
        monkeypatch.setattr(this_machine, "identity", lambda _home: claiming.HERE)
    ready_homes.prepare(made)
    if database.is_server():
        machines.register(claiming.HERE, claiming.HERE, "0", {})
    yield made
    database.db.close()


@pytest.fixture
def server_database(cluster: postgres.Cluster, migrated_database: str, tmp_path: Path) -> Iterator[str]:
    """The address of a database of jarvisd on a server, empty but for its tables."""
    cluster.empty(migrated_database)
    yield migrated_database
    database.connect(tmp_path / "no.db")  # a later test in this process does not begin with a server


@pytest.fixture(scope="session")
def migrated_database(cluster: postgres.Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = cluster.create()
    home = Home(tmp_path_factory.mktemp("migrated"), "--home")
    postgres.name_server(home, url)
    migrations.migrate(home)
    database.disconnect()
    return url


@pytest.fixture
def night(home: Home) -> Night:
    return Night()


@pytest.fixture
def make_run(home: Home) -> Callable[..., Run]:
    """A stored run with jobs of these names; `kind` is the part before the colon."""

    def make(*names: str, plan: str = "test", after: Sequence[Dependency] = (), **fields: Any) -> Run:
        from jarvisd.store import queue

        run = Run(
            plan=plan, night="2026-11-22", created_at=database.now(), snapshot={"plan": {}}, warnings=[], **fields
        )
        run.number = queries.next_number()
        run.id = queries.fresh_run_id(run.night, plan)
        jobs = [
            Job(run=run, name=name, kind=name.partition(":")[0], place=place, params={})
            for place, name in enumerate(names)
        ]
        queue.submit(run, jobs, after)
        return run

    return make


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several machines, and a file in place of the server: how a server is connected is tested elsewhere."""
    monkeypatch.setattr(database, "is_shared", lambda: True)


@pytest.fixture
def submit_specs(home: Home) -> Callable[..., Run]:
    """A stored run of these jobs, submitted on the machine `on`."""

    def make(*specs: JobSpec, on: str = "here") -> Run:
        from jarvisd.store import queue

        run = Run(plan="test", night="2026-11-22", created_at=database.now(), snapshot={"plan": {}}, warnings=[])
        run.number, run.machine = queries.next_number(), on
        run.id = queries.fresh_run_id(run.night, "test")
        rows = [(place, spec.name.partition(":")[0], spec.columns()) for place, spec in enumerate(specs)]
        queue.submit(run, [Job(run=run, place=place, kind=kind, **columns) for place, kind, columns in rows])
        return run

    return make
