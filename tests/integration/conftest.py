"""A real ledger in a real SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
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
