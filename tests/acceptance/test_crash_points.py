"""A crash at every step: whichever process dies wherever, the night ends as if nothing had happened."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jarvisd import failpoints
from tests.acceptance.conftest import BIN, DEADLINE_S, ROOT, House, until
from tests.acceptance.nights import Night

CLIENT = [name for name in failpoints.POINTS if name.startswith("client:")]
NIGHT = [name for name in failpoints.POINTS if not name.startswith("client:")]
#: So many nights share the points: each meets every sixth one, in the order of a night.
CHAINS = 6
#: In every night: a daemon that dies with a child at work, and a child that dies at work.
ALWAYS = ["daemon:child.released", "child:checkpoint.committed:3"]


def crashing(points: list[str], folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {failpoints.AT: ",".join(points), failpoints.ONCE: str(folder)}


def test_every_point_in_the_source_is_in_the_list_and_the_other_way_round() -> None:
    called = set()
    for path in ROOT.glob("jarvisd/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.failpoint":
                called.add(ast.literal_eval(node.args[0]))
    assert called == {name.partition(":")[2] for name in failpoints.POINTS}


def started_by(way: str, house: House) -> list[str]:
    home = ["--home", str(house.root)]
    return {
        "jarvisd": [str(BIN / "jarvisd"), *home],
        "as launchd does": [str(BIN / "jarvisd"), "--wait", *home],
        "python -m": [sys.executable, "-P", "-m", "jarvisd.daemon", *home],
        "jarvisctl start": [str(BIN / "jarvisctl"), *home, "start"],
        "jarvisctl as a module": [sys.executable, "-P", "-m", "jarvisd.cli", *home, "start"],
    }[way]


@pytest.mark.parametrize("point", ["daemon:recovery.begun", "child:attempt.begun"])
@pytest.mark.parametrize("way", ["jarvisd", "as launchd does", "python -m", "jarvisctl start", "jarvisctl as a module"])
def test_a_failpoint_fires_however_the_daemon_was_started(house: House, tmp_path: Path, way: str, point: str) -> None:
    """The child is always started by the daemon, so the daemon's way of starting must not matter to it either."""
    night = Night(house, jobs=1, pieces=1)
    run_id = night.submit()
    crashed = tmp_path / "crashed"
    environment = os.environ | house.environment | crashing([point], crashed)
    log = (tmp_path / "output").open("wb")
    program = subprocess.Popen(started_by(way, house), cwd=house.folder, env=environment, stdout=log, stderr=log)
    try:
        until((crashed / point).exists, what=f"{point} was reached")
        if point.startswith("child:"):
            assert house.settled(run_id)["pieces:1"]["attempt"] == 2
    finally:
        house.ctl("stop", code=None)
        program.wait(DEADLINE_S)
        log.close()


@pytest.mark.parametrize("point", CLIENT)
def test_a_submission_that_dies_leaves_the_whole_run_or_nothing_and_can_be_repeated(
    house: House, tmp_path: Path, point: str
) -> None:
    night = Night(house, jobs=2, pieces=1, plan="once: nightly\n")
    house.environment |= crashing([point], tmp_path / "crashed")
    house.ctl("enqueue", "night", code=-signal.SIGKILL)
    house.ctl("enqueue", "night")
    assert night.ask("PRAGMA integrity_check") == [("ok",)]
    assert night.ask("SELECT count(*) FROM run") == [(1,)]
    assert night.ask("SELECT name, status FROM job ORDER BY place") == [
        ("pieces:1", "queued"),
        ("pieces:2", "queued"),
        ("report", "queued"),
    ]
    assert night.ask("SELECT count(*) FROM task") != [(0,)]


@pytest.mark.parametrize(
    "chain", [*range(2), *(pytest.param(chain, marks=pytest.mark.slow) for chain in range(2, CHAINS))]
)
def test_a_night_with_crashes_ends_as_if_nothing_had_happened(house: House, tmp_path: Path, chain: int) -> None:
    points = sorted({*ALWAYS, *NIGHT[chain::CHAINS]})
    night = Night(house, jobs=2, pieces=5, rounds=2)
    night.submit()
    variables = crashing(points, tmp_path / "crashed")
    for _ in range(len(points) + 1):
        daemon = night.start(**variables)
        until(lambda daemon=daemon: daemon.poll() is not None or night.settled(), what="a crash, or the end")
        if daemon.poll() is None:
            break
        assert daemon.returncode == -signal.SIGKILL, daemon.stderr.read()
    else:
        pytest.fail("the daemon died more often than there are points")
    assert sorted(path.name for path in (tmp_path / "crashed").iterdir()) == points
    stop(daemon)
    night.check()


def stop(daemon: subprocess.Popen[str]) -> None:
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=DEADLINE_S) == 0
