"""Many callers, jobs and runs at once: no call waits long or fails, and no list is printed at full length."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jarvisd.operations import retention, status
from jarvisd.paths import Home
from jarvisd.store import database as store_database
from jarvisd.store import migrations, models, queries, queue, transitions, wakeup
from jarvisd.store.models import Job, Run
from tests.acceptance.conftest import House

MANY = 10_000
CALLS, AT_A_TIME = 200, 16
#: Of processor time, on this process alone: a busy machine makes nothing of this slower.
LIMIT_S = 2.0


@pytest.mark.slow
def test_two_hundred_callers_sixteen_at_a_time_while_jobs_run(house: House) -> None:
    house.daemon()

    house.enqueue("command", "--", "true")

    def call(number: int) -> str:
        words = ("status",) if number % 2 else ("enqueue", "command", "--", "true")
        return house.ctl(*words, timeout_s=120).stderr

    over = threading.Event()
    with ThreadPoolExecutor(AT_A_TIME) as pool, ThreadPoolExecutor(1) as beside:
        waits = beside.submit(write_lock_waits, house.root / "var" / "jarvis.db", over)
        try:
            outputs = list(pool.map(call, range(CALLS)))
        finally:
            over.set()  # or a call that fails would leave this waiting for ever
    assert [line for line in outputs if line] == []
    assert len(waits.result()) > 20
    assert max(waits.result()) < 5
    assert (
        len(house.ctl("runs", "-n", "1000").stdout.splitlines()) == 1 + 1 + CALLS // 2
    )  # header, the first, then every second call


def write_lock_waits(path: Path, over: threading.Event) -> list[float]:
    """How long one more writer waits for the database, again and again until it is over, in seconds."""
    waits = []
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
        while not over.wait(0.1):
            began = time.monotonic()
            database.execute("BEGIN IMMEDIATE")
            waits.append(time.monotonic() - began)
            database.execute("ROLLBACK")
    return waits


@pytest.fixture
def huge(tmp_path: Path) -> Any:
    """A home whose one run has ten thousand queued jobs."""
    home = Home(tmp_path / "home", "--home")
    migrations.migrate(home)
    run = Run(
        plan="many", night="2026-11-22", created_at=store_database.now(), snapshot={"plan": {}}, warnings=[], number=1
    )
    run.id = "2026-11-22-many"
    params = {"program": ["true"], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"}}
    jobs = [
        Job(run=run, name=f"command:{n}", kind="command", place=n, params=params, max_attempts=1) for n in range(MANY)
    ]
    within(LIMIT_S, lambda: queue.submit(run, jobs))
    with closing(store_database.db):
        yield home, run


def within(limit_s: float, call: Callable[[], Any]) -> Any:
    """Call it, and see that it took no longer."""
    began = time.process_time()
    result = call()
    took = time.process_time() - began
    assert took < limit_s, took
    return result


def test_ten_thousand_jobs_are_claimed_cancelled_and_retried_within_seconds(huge: tuple[Home, Run]) -> None:
    home, run = huge
    huey = wakeup.messages().huey
    assert huey.storage.queue_size() == 1  # one message says "look"; it need not be said ten thousand times
    job = within(0.2, lambda: transitions.claim("here", "boot", store_database.now()))
    within(0.2, lambda: queue.settle(job, models.Status.SUCCEEDED, None, store_database.now()))
    within(0.2, lambda: status.summary(run, 40))
    within(
        0.2,
        lambda: (queries.wait_is_over(store_database.now()), wakeup.wake_if_due("here"), queries.is_settled(run)),
    )
    assert len(within(LIMIT_S, lambda: queue.cancel_run(run, store_database.now()))) == MANY - 1
    assert len(within(LIMIT_S, lambda: queue.retry(queries.jobs_of(run)))) == MANY
    assert {(row.status, row.attempt_base, row.attempt) for row in queries.jobs_of(run)} == {
        ("queued", 0, 0),
        ("queued", 1, 1),
    }
    within(LIMIT_S, lambda: queue.cancel_run(run, store_database.now()))
    assert len(within(2 * LIMIT_S, lambda: queue.retry(queries.jobs_of(run), fresh=True))) == MANY
    assert within(LIMIT_S, lambda: wakeup.requeue_wakeups("here")) == MANY
    within(LIMIT_S, lambda: queue.cancel_run(run, store_database.now()))
    assert within(LIMIT_S, lambda: retention.remove(home, retention.removable(0))) == 1
    assert Job.select().count() == 0


def test_a_run_of_ten_thousand_jobs_is_shown_as_a_summary(huge: tuple[Home, Run], house: House) -> None:
    page = house.ctl("status").stdout.splitlines()
    assert len(page) < 15
    assert "0 of 10,000 jobs done" in "\n".join(page)
    assert "10,000 queued" in page[-1]
    assert house.ctl("runs").stdout.count("\n") == 2
    assert house.ctl("cancel", "command:17").stdout == "18 command:17: cancelled\n"
    assert house.ctl("cancel", "latest").stdout.count("\n") == MANY - 1
    assert house.ctl("wait", code=1).returncode == 1
