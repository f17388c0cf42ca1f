"""A real ledger in a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.registry import JobSpec
from jarvisd.store import database, migrations, queries
from jarvisd.store.models import Dependency, Job, Run
from tests.integration.comparison_nights import Night


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home", "--home")
    migrations.migrate(made)
    yield made
    database.db.close()


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
