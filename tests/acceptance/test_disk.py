"""A disk that is full, that refuses, that comes back: a night survives it, and no final name is half a file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import House, until

SIZE = 8 << 20
#: One job: it lives until the file `go` is there, so that the disk can be filled in its middle.
PATIENT = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)\n"


def _mount(folder: Path, *words: str) -> bool:
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(house: House) -> Iterator[Path]:
    """var/ of the home on a file system of its own, of 8 MB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small file system can be mounted only by root on Linux")
    var = house.root / "var"
    var.mkdir(parents=True, mode=0o700)
    if not _mount(var, "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs"):
        pytest.skip("this container may not mount a tmpfs")
    (house.root / "config" / "plans").mkdir(parents=True)
    (house.root / "config" / "settings.yaml").write_text("disk: {keep_free_mb: 0}\nrestart: {next_pause_s: 1}\n")
    yield var
    house.close()
    house.daemons.clear()
    subprocess.run(["umount", "-l", str(var)], check=True)


def night(house: House, count: int = 6) -> str:
    """Jobs of which the second waits for `go`, then a report."""
    (house.folder / "patient.py").write_text(PATIENT)
    rows = [f"  - {{run: [{sys.executable}, {house.folder}/patient.py, {house.folder}/go], name: patient}}"]
    rows += [f"  - {{run: [echo, '{number}'], name: quick-{number}}}" for number in range(count)]
    rows[0], rows[1] = rows[1], rows[0]
    (house.root / "config" / "plans" / "quick.yaml").write_text("command:\n" + "\n".join(rows) + "\nreport: {}\n")
    return house.enqueue("quick")


def fill(var: Path) -> Path:
    """Take every byte that is left."""
    filler = var / "filler"
    with filler.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while out.write(b"\0" * 4096):
            pass
    return filler


def intact(house: House) -> bool:
    with contextlib.closing(sqlite3.connect(house.root / "var" / "jarvis.db")) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def half_files(house: House) -> list[Path]:
    """Temporary files that a failed write left behind, and pages without their end."""
    results = house.root / "var" / "results"
    left = [path for path in results.rglob(".*") if path.is_file()]
    pages = [path for path in results.rglob("report.html") if "</html>" not in path.read_text()]
    return left + pages


def test_a_night_goes_on_when_space_returns(house: House, small_disk: Path) -> None:
    run_id = night(house)
    daemon = house.daemon()
    until(lambda: house.jobs(run_id)["command:patient"]["status"] == "running", what="the patient job runs")
    filler = fill(small_disk)
    (house.folder / "go").touch()
    asked = house.ctl("enqueue", "command", "--", "echo", "more", code=None)
    assert asked.returncode == 1
    assert "the disk is full" in asked.stderr
    assert daemon.poll() is None
    filler.unlink()
    jobs = house.settled(run_id, 120)
    assert {name: (job["status"], job["reason"]) for name, job in jobs.items() if job["status"] != "succeeded"} == {}
    assert half_files(house) == []
    assert intact(house)
    house.settled(house.enqueue("command", "--", "echo", "afterwards"))


@pytest.mark.slow
def test_a_disk_that_fills_up_before_a_claim_costs_no_job(house: House, small_disk: Path) -> None:
    """The ledger itself cannot be written: nothing can be claimed, nothing is lost, and the daemon looks again."""
    daemon = house.daemon()
    house.ctl("pause", "--for", "15s")  # it ends by itself: on a full disk `resume` could not
    run_id = night(house, 3)
    (house.folder / "go").touch()
    filler = fill(small_disk)
    assert {job["status"] for job in house.jobs(run_id).values()} == {"queued"}
    until(lambda: not house.status()["daemon"]["paused"], what="the pause is over")
    refused = house.ctl("cancel", run_id, code=None)
    assert refused.returncode in (0, 1)
    assert daemon.poll() is None
    filler.unlink()
    jobs = house.settled(run_id, 120)
    assert {job["status"] for job in jobs.values()} <= {"succeeded", "cancelled"}
    assert intact(house)
    assert half_files(house) == []


def test_a_read_only_disk_is_said_and_nothing_changes(house: House, small_disk: Path) -> None:
    run_id = night(house, 1)
    if not _mount(small_disk, "-o", "remount,ro"):
        pytest.skip("this container may not remount")
    for words in (["enqueue", "command", "--", "echo"], ["cancel", run_id], ["retry", run_id], ["start"]):
        refused = house.ctl(*words, code=1)
        assert refused.stderr.startswith("jarvisctl: ")
        assert refused.stderr.count("\n") == 1
        assert "unexpected" not in refused.stderr
        assert any(word in refused.stderr for word in ("read-only", "cannot write")), refused.stderr
    assert _mount(small_disk, "-o", "remount,rw")
    assert [job["status"] for job in house.jobs(run_id).values()] == ["queued"] * 3
