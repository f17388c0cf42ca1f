"""The triggers note what is really written: without the fence a late write would be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store import database, fence, migrations, queue, transitions
from jarvisd.store.models import Job, Run, Status
from tests import postgres
from tests.fleet import audit, rules
from tests.fleet.rules import FleetEvidence
from tests.histories.record import History
from tests.histories.rules import Evidence
from tests.postgres import Cluster


@pytest.fixture
def server(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """A database with the triggers, and one job that two machines have started one after the other."""
    url, home = cluster.create(), Home(tmp_path / "home", "--home")
    postgres.name_server(home, url)
    migrations.migrate(home)
    audit.install(cluster, url)
    run = Run(id="r", plan="p", night="n", created_at=database.now(), snapshot={}, warnings=[], number=1)
    queue.submit(run, [Job(run=run, name="pieces:1", kind="pieces", place=0, params={})])
    job = transitions.claim("m1", "boot", database.now())
    assert job is not None
    transitions.requeue(job, "m1 is silent", pinned_to=None)
    assert transitions.claim("m2", "boot", database.now()) is not None
    yield url
    database.disconnect()
    cluster.drop(url)


def evidence(cluster: Cluster, url: str, tmp_path: Path) -> FleetEvidence:
    one = Evidence.over(History(tmp_path / "marks"), [], tmp_path, Counter())
    return FleetEvidence(one, audit.read(cluster, url), [], [])


def write_checkpoint(attempt: int) -> None:
    with transitions.fenced(Job.get().id, attempt):
        database.db.execute_sql("INSERT INTO piece VALUES (%s, 0, %s)", (Job.get().id, attempt))


def test_what_the_current_attempt_writes_breaks_no_rule(server: str, cluster: Cluster, tmp_path: Path) -> None:
    write_checkpoint(2)
    transitions.record_outcome(Job.get().id, 2, {"attempt": 2, "ok": True})
    queue.settle(Job.get(), Status.SUCCEEDED, None, database.now())
    seen = evidence(cluster, server, tmp_path)
    assert [(entry.what, entry.status, entry.attempt, entry.written_by) for entry in seen.entries][-3:] == [
        ("piece", "running", 2, 2),
        ("job", "running", 2, 2),
        ("job", "succeeded", 2, None),
    ]
    assert [rule.__name__ for rule in rules.OF_SEVERAL[:3] if rule(seen)] == []


def test_without_the_fence_the_checkpoint_and_the_outcome_of_a_machine_that_wakes_are_seen(
    server: str, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "CURRENT", "SELECT 1 FROM job WHERE id = ? AND ? > 0")
    write_checkpoint(1)
    transitions.record_outcome(Job.get().id, 1, {"attempt": 1, "ok": True})
    assert len(rules.no_late_write_is_accepted(evidence(cluster, server, tmp_path))) == 2


def test_a_second_job_of_one_machine_is_seen(server: str, cluster: Cluster, tmp_path: Path) -> None:
    run = Run(id="s", plan="p", night="n", created_at=database.now(), snapshot={}, warnings=[], number=2)
    queue.submit(run, [Job(run=run, name="pieces:1", kind="pieces", place=0, params={})])
    assert transitions.claim("m2", "boot", database.now()) is None  # it is occupied
    Job.update(status=Status.RUNNING, attempt=1, machine="m2").where(Job.run == "s").execute()
    assert len(rules.each_machine_runs_one_job_at_a_time(evidence(cluster, server, tmp_path))) == 1
