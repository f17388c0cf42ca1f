"""The database is as large as what is in it, and a paused daemon leaves it alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from jarvisd.operations import retention
from jarvisd.paths import Home
from jarvisd.store import database, queue, wakeup
from jarvisd.store.models import Job, Run
from tests.claiming import claimed, finish

MakeRun = Callable[..., Run]


def size(home: Home) -> int:
    """Bytes of the database and its write-ahead log."""
    files = (home.database, home.database.with_name(home.database.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def make_old(home: Home) -> None:
    """As the first version made it: without incremental vacuuming."""
    database.disconnect()
    with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = 0")
        connection.execute("PRAGMA journal_mode = delete")
        connection.execute("VACUUM")
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (0,)


@pytest.mark.parametrize("is_old", [False, True])
def test_the_database_shrinks_after_a_prune(home: Home, make_run: MakeRun, is_old: bool) -> None:
    if is_old:
        make_old(home)
    for _ in range(4):
        run = make_run("command:a")
        Job.update(params={"text": "x" * 500_000}).where(Job.run == run).execute()
        finish(claimed())
    assert database.db.execute_sql("PRAGMA auto_vacuum").fetchone() == (0 if is_old else 2,)
    database.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # else emptying the log would do
    before = size(home)
    assert before > 2_000_000
    assert retention.remove(home, retention.removable(1)) == 3
    assert size(home) < 0.5 * before
    assert Job.select().count() == 1


def test_opening_the_database_needs_no_write_lock(home: Home) -> None:
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        database.connect(home.database)
        assert Job.select().count() == 0
    assert time.monotonic() - began < 5


def test_a_paused_daemon_sends_no_message(home: Home, make_run: MakeRun) -> None:
    make_run("command:a")
    messages = wakeup.messages().huey.storage
    messages.flush_all()
    queue.pause("here", database.now(), None)
    assert not wakeup.wake_if_due("here")
    assert messages.queue_size() == 0
    queue.resume("here")
    messages.flush_all()
    assert wakeup.wake_if_due("here")
    assert messages.queue_size() == 1
