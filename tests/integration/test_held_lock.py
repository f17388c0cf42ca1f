"""Another process holds the write lock for longer than a statement waits: work is delayed, and none of it fails."""

from __future__ import annotations

import datetime as dt
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import peewee
import pytest

from jarvisd.daemon.supervisor import Supervisor
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.registry import Outcome
from jarvisd.store import database, fence, queue, transitions, wakeup
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker import main as worker
from tests import claiming
from tests.claiming import claimed

MakeRun = Callable[..., Run]

#: How long the other process holds the lock; a statement waits for a tenth of it.
HELD_S = 1.5
_HOLD = (
    "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(float(sys.argv[2])); c.execute('ROLLBACK')"
)


@contextmanager
def held(home: Home, seconds: float = HELD_S) -> Iterator[None]:
    """Another process holds the write lock for so many seconds; at the end it is gone."""
    words = [sys.executable, "-c", _HOLD, str(home.database), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            holder.kill()


@pytest.fixture
def patient(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose statements wait briefly and whose transactions try for a minute, as a worker's try for ten."""
    monkeypatch.setattr(fence, "BUSY_TIMEOUT_S", HELD_S / 10)
    database.connect(home.database, patience_s=60)
    return home


def test_a_checkpoint_waits_until_the_lock_is_free(patient: Home, make_run: MakeRun) -> None:
    make_run("mine")
    context = claiming.claim(patient)
    with held(patient), context.checkpoint():
        Job.update(note="kept").where(Job.id == context.job_id).execute()
    assert Job.get().note == "kept"


def test_an_outcome_waits_until_the_lock_is_free(patient: Home, make_run: MakeRun) -> None:
    make_run("mine")
    context = claiming.claim(patient)
    with held(patient):
        worker._commit(context, Outcome(reason="done"))
    assert Job.get().outcome["reason"] == "done"


def test_an_outcome_that_a_full_disk_refused_is_stored_at_the_next_try(patient: Home, make_run: MakeRun) -> None:
    make_run("mine")
    tries = []

    def write() -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise peewee.OperationalError("database or disk is full")

    worker._patiently(claiming.claim(patient), "the outcome", write)
    assert len(tries) == 2


def test_a_progress_note_that_cannot_be_written_is_dropped_and_the_next_one_counts(
    patient: Home, make_run: MakeRun
) -> None:
    make_run("mine")
    context = claiming.claim(patient)
    with held(patient, 60):
        context.progress(1, 1, "lost")
    assert Job.get().note is None
    context.progress(1, 1, "kept")
    assert Job.get().note == "kept"


def test_the_daemon_records_a_child_and_settles_and_requeues_jobs_once_the_lock_is_free(
    patient: Home, make_run: MakeRun
) -> None:
    make_run("mine", "evaluate:a")
    job = claimed()
    with held(patient):
        transitions.record_child(job, 4242, 1.0)
    with held(patient):
        queue.requeue(job, "again")
    assert (Job.get(name="mine").status, Job.get(name="mine").reason) == (Status.QUEUED, "again")
    job = claimed()
    with held(patient):
        queue.settle(job, Status.CANCELLED, "cancelled", database.now())
    assert Job.get(name="mine").status == Status.CANCELLED


def test_a_lock_that_is_never_released_is_reported_at_last(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine")
    monkeypatch.setattr(fence, "BUSY_TIMEOUT_S", 0.05)
    database.connect(home.database, patience_s=0.3)
    began = time.monotonic()
    with held(home, 60), pytest.raises(peewee.OperationalError, match="locked"), database.write():
        pass
    assert time.monotonic() - began >= 0.3
    with database.write():
        Job.update(note="as before").execute()
    assert Job.get().note == "as before"


def test_a_job_that_a_held_lock_kept_from_starting_waits(home: Home, make_run: MakeRun) -> None:
    """The lock was held for longer than the daemon tries: nothing of the job was done."""
    make_run("mine")
    supervisor = Supervisor(home, "here", Settings(), threading.Event())

    def held_too_long(_job: Job) -> None:
        raise peewee.OperationalError("database is locked")

    supervisor._begin = held_too_long  # type: ignore[method-assign]
    assert supervisor.run_next()
    job = Job.get()
    assert (job.status, job.reason) == (Status.QUEUED, "waiting: another process holds the database")
    assert job.not_before - database.now() <= dt.timedelta(seconds=15)


def test_the_queue_s_reader_says_once_that_the_database_is_held(
    patient: Home, make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    make_run("mine")
    messages = wakeup.messages().huey
    with held(patient, 60), caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert messages.dequeue() is None
            assert messages.read_schedule() == []
    assert [record.message for record in caplog.records] == [
        "another process holds the database; jobs start when it has let go"
    ]
    assert messages.dequeue() is not None
