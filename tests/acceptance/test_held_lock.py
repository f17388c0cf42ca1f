"""A database browser with an unsaved change, or a client that was stopped, holds the write lock for a while."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jarvisd.store import database, fence
from tests.acceptance.conftest import House, until
from tests.acceptance.nights import Night

#: A program that ends when it is let go.
WAITS = """
import pathlib, time
pathlib.Path("runs").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
"""


OLD_DATABASE = Path(__file__).parents[1] / "fixtures" / "jarvis-0.1.0.sql"


@contextmanager
def held(house: House, seconds: float = fence.BUSY_TIMEOUT_S + 3) -> Iterator[None]:
    """Another program holds the write lock from here on, for longer than a statement waits."""
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db", timeout=30, isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        yield
        time.sleep(seconds)
        browser.execute("ROLLBACK")


@pytest.mark.slow
def test_a_held_lock_delays_the_checkpoints_of_jobs_and_fails_none(house: House) -> None:
    night = Night(house, jobs=2, pieces=20, pause_s=0.3)
    run = night.submit()
    house.daemon()
    until(lambda: night.stored() > 1, what="the first job works")
    with held(house):
        assert night.stored() < night.expected
    jobs = house.settled(run)
    assert [(job["status"], job["attempt"]) for job in jobs.values()] == [("succeeded", 1)] * 3
    assert night.stored() == night.expected
    assert "ERROR" not in (house.root / "var" / "logs" / "jarvisd.log").read_text()


def test_a_command_that_ends_while_the_lock_is_held_has_succeeded(house: House) -> None:
    program = (
        "import pathlib, time; pathlib.Path('runs').touch()\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    )
    run = house.enqueue("command", "--", sys.executable, "-c", program)
    house.daemon()
    until((house.folder / "runs").exists, what="the program runs")
    with held(house):
        (house.folder / "go").touch()
    (job,) = house.settled(run).values()
    assert (job["status"], job["attempt"]) == ("succeeded", 1)


@pytest.mark.slow
def test_a_daemon_that_has_to_migrate_waits_for_a_lock_longer_than_a_client_would(house: House) -> None:
    (house.root / "var").mkdir(mode=0o700, parents=True)
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db")) as old:
        old.execute("PRAGMA journal_mode=wal")
        old.executescript(OLD_DATABASE.read_text())
    log = house.root / "var" / "logs" / "jarvisd.log"
    with held(house, database.CLIENT_PATIENCE_S + fence.BUSY_TIMEOUT_S + 8):
        daemon = house.launch()
    until(lambda: "started, pid" in log.read_text(), what="the daemon serves")
    assert daemon.poll() is None
    assert "ERROR" not in log.read_text()
