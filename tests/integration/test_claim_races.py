"""Two claimers at once: each job has one winner, and the loser tries the next job."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from jarvisd.daemon.supervisor import Supervisor
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, queries, transitions, wakeup
from jarvisd.store.models import Job, Run, Status
from tests.claiming import claimed, due, finish

MakeRun = Callable[..., Run]


class Rival:
    """Another machine's claimer that takes the next due job between this one's query and its UPDATE.

    SQLite lets no other process in there, a server does; so the rival works inside the same transaction.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.query, self.claims = queries.next_due, 0
        monkeypatch.setattr(queries, "next_due", self.next_due)

    def next_due(self, machine: str, at: dt.datetime) -> Job | None:
        job = self.query(machine, at)
        if job is not None and not self.claims and database.db.in_transaction():
            self.claims += 1
            assert transitions.claim("elsewhere", "boot", at) is not None
        return job


def test_a_claimer_that_loses_a_race_claims_nothing_and_the_row_keeps_its_winner(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine", "evaluate:a")
    rival = Rival(monkeypatch)
    assert due() is None
    assert rival.claims == 1
    assert [(job.name, job.machine, job.attempt) for job in Job.select().where(Job.status == Status.RUNNING)] == [
        ("mine", "elsewhere", 1)
    ]
    assert claimed().name == "evaluate:a"


def test_the_supervisor_looks_again_after_a_lost_race_and_does_the_next_job(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine", "evaluate:a")
    rival = Rival(monkeypatch)
    done: list[str] = []
    service = Supervisor(home, "here", Settings(), threading.Event())
    monkeypatch.setattr(service, "_begin", lambda job: done.append(job.name))
    monkeypatch.setattr(service, "attempt", lambda job: type("Done", (), {"run": lambda _self: finish(job)})())
    service.work()
    assert (rival.claims, done) == (1, ["evaluate:a"])


def test_two_claimers_at_once_take_every_job_once(home: Home, make_run: MakeRun) -> None:
    make_run(*[f"evaluate:{number}" for number in range(30)])
    taken: list[int] = []

    def take(machine: str) -> None:
        while (job := transitions.claim(machine, "boot", database.now())) is not None:
            taken.append(job.id)
            finish(job)
        database.db.close()

    claimers = [threading.Thread(target=take, args=(machine,)) for machine in ("here", "elsewhere")]
    for claimer in claimers:
        claimer.start()
    for claimer in claimers:
        claimer.join(60)
    assert sorted(taken) == [job.id for job in Job.select().order_by(Job.id)]


def test_the_queue_of_messages_is_built_once_per_connection(home: Home, make_run: MakeRun) -> None:
    before = wakeup.messages()
    make_run("mine")
    assert wakeup.messages() is before
    database.connect(home.database)
    assert wakeup.messages() is not before


@pytest.mark.sqlite
def test_no_other_process_writes_between_the_query_and_the_claim(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine")
    looks, real = [], queries.next_due

    def look(machine: str, at: dt.datetime) -> Job | None:
        job = real(machine, at)
        other = sqlite3.connect(home.database, timeout=0)
        with closing(other), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE job SET status = 'cancelled'")
        looks.append(job)
        return job

    monkeypatch.setattr(queries, "next_due", look)
    assert [claimed()] == looks


# ------------------------------------------------------------------------------------------------- planted in the queue


@pytest.mark.parametrize(("memory_mb", "starts"), [(0, "evaluate:a"), (4096, None)])
def test_a_claimer_whose_job_another_machine_took_claims_the_next_one_if_it_needs_no_more_memory(
    make_run: MakeRun, memory_mb: int, starts: str | None
) -> None:
    make_run("mine", "evaluate:a")
    Job.update(memory_mb=memory_mb).where(Job.name == "evaluate:a").execute()
    at = database.now()
    admitted = queries.next_due("here", at)
    assert transitions.claim("elsewhere", "boot", at) is not None
    job = transitions.claim("here", "boot", at, admitted=admitted)
    assert (job.name if job else None) == starts
