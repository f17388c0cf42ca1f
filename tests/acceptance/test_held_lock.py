"""A database browser with an unsaved change, or a client that was stopped, holds the write lock for a while."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from jarvisd.store import fence
from tests.acceptance.conftest import ROOT, House, until

PLAN = "pieces: {jobs: 2, pieces: 12, pause_s: 0.1}\n"


@pytest.mark.slow
def test_a_lock_that_is_held_for_longer_than_a_statement_waits_delays_the_jobs_and_fails_none(house: House) -> None:
    (house.root / "config" / "plans").mkdir(parents=True)
    (house.root / "config" / "plans" / "p.yaml").write_text(PLAN)
    house.environment["PYTHONPATH"] = str(ROOT / "tests" / "packages")
    house.daemon()
    run = house.enqueue("p")
    until(lambda: house.jobs(run)["pieces:1"]["status"] == "running", what="the first job runs")
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db", timeout=30, isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        time.sleep(fence.BUSY_TIMEOUT_S + 3)
        browser.execute("ROLLBACK")
    jobs = house.settled(run)
    assert [(job["status"], job["attempt"]) for job in jobs.values()] == [("succeeded", 1)] * 2
    log = (house.root / "var" / "logs" / "jarvisd.log").read_text()
    assert "ERROR" not in log
