"""A daemon that has nothing to do sleeps, and one that has starts at once."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import House, until


@pytest.mark.skipif(sys.platform != "linux", reason="counts a process's switches in /proc")
def test_an_idle_daemon_wakes_at_most_twice_per_second(house: House) -> None:
    house.daemon()
    house.settled(house.enqueue("command", "--", "true"))
    pid = house.status()["daemon"]["pid"]
    time.sleep(2)  # what follows a job ends first
    before, began = _switches(pid), time.monotonic()
    time.sleep(8)
    assert (_switches(pid) - before) / (time.monotonic() - began) <= 2


def _switches(pid: int) -> int:
    """How often the threads of a process have gone to sleep."""
    lines = [
        line for task in Path(f"/proc/{pid}/task").iterdir() for line in (task / "status").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))


def test_a_file_in_the_place_of_the_channel_is_replaced_and_jobs_run(house: House) -> None:
    (house.root / "var").mkdir(parents=True)
    planted = house.root / "var" / "jarvisd.wake"
    planted.write_text("mine")
    house.daemon()
    until(lambda: stat.S_ISFIFO(planted.lstat().st_mode), what="the file is replaced")
    assert "replaced by a wake-up channel" in (house.root / "var" / "logs" / "jarvisd.log").read_text()
    assert house.settled(house.enqueue("command", "--", "true"))["command:true"]["status"] == "succeeded"


def test_a_folder_in_the_place_of_the_channel_is_refused_and_jobs_run(house: House) -> None:
    (house.root / "var" / "jarvisd.wake").mkdir(parents=True)
    house.daemon()
    log = house.root / "var" / "logs" / "jarvisd.log"
    until(lambda: "no wake-up channel" in log.read_text(), what="the log says so")
    assert house.settled(house.enqueue("command", "--", "true"))["command:true"]["status"] == "succeeded"


@pytest.mark.slow
def test_a_removed_channel_delays_a_job_by_half_a_minute_at_most(house: House) -> None:
    house.daemon()
    channel = house.root / "var" / "jarvisd.wake"
    until(channel.exists, what="the daemon listens")
    channel.unlink()
    began = time.monotonic()
    run = house.enqueue("command", "--", "true")
    assert house.settled(run, timeout_s=60)["command:true"]["status"] == "succeeded"
    assert time.monotonic() - began < 40
