"""kill -9 again and again: of the daemon, of the child, of both; half of them just after a checkpoint."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from jarvisd.store.transitions import MAX_STARTS_WITHOUT_PROGRESS
from tests.acceptance import test_night
from tests.acceptance.conftest import DEADLINE_S, House, until
from tests.acceptance.nights import OPEN, Night

#: An orphan ends itself within this time after its daemon's death.
ORPHAN_S = 2.0


@dataclass
class Killer:
    """Submits nights, keeps a daemon alive, and kills."""

    night: Night
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    daemon: subprocess.Popen[str] | None = None

    def kill(self) -> None:
        """One kill, at a moment of chance or right after the next checkpoint."""
        if not self.night.runs or self.night.settled():
            self.night.submit()
        if self.daemon is None or self.daemon.poll() is not None:
            self.daemon = self.night.start()
        if self.chance.random() < 0.5:
            self._wait_for_a_checkpoint()
        else:
            time.sleep(self.chance.uniform(0, 1.2))
        self._spare_the_last_start()
        self._strike(self.chance.choice(("daemon", "child", "both")))

    def _wait_for_a_checkpoint(self) -> None:
        before = self.night.stored()
        until(lambda: self.night.stored() > before or self.night.settled(), what="another checkpoint, or the end")

    def _spare_the_last_start(self) -> None:
        """Three starts in a row that come to nothing end a job, and rightly: let the third one work."""
        last = (
            f"SELECT 1 FROM job WHERE {OPEN} AND (starts_without_progress >= {MAX_STARTS_WITHOUT_PROGRESS} "
            f"OR (status = 'queued' AND starts_without_progress >= {MAX_STARTS_WITHOUT_PROGRESS - 1}))"
        )
        until(lambda: not self.night.ask(last), what="the last start comes to something")

    def _strike(self, whom: str) -> None:
        if whom != "daemon":
            until(lambda: self.night.children() or self.night.settled(), what="a child to kill, or the end")
            self._spare_the_last_start()  # the child that came meanwhile may be a third one
        children = self.night.children() if whom != "daemon" else []
        whom = whom if children else "daemon"
        victims = [*children, psutil.Process(self.daemon.pid)] if whom == "both" else children
        self.chance.shuffle(victims)
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.killed[whom] += 1
        if whom != "child":
            self.daemon.kill()
            self.daemon.wait()
            until(lambda: not self.night.children(), ORPHAN_S, "an orphan ends itself")

    def finish(self) -> None:
        if self.daemon is None or self.daemon.poll() is not None:
            self.daemon = self.night.start()
        until(self.night.settled, what="the night ends")
        self.daemon.send_signal(signal.SIGTERM)
        assert self.daemon.wait(timeout=DEADLINE_S) == 0
        self.night.check()


@pytest.mark.parametrize("kills", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_kill_9_loses_no_checkpoint_doubles_none_and_every_night_has_its_reports(
    house: House, kills: int, say: Callable[[str], None]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when this fails
    night = Night(house, jobs=2, pieces=30, rounds=2, pause_s=0.01)
    killer = Killer(night, random.Random(seed))
    for _ in range(kills):
        killer.kill()
    killer.finish()
    (jobs,) = night.ask("SELECT count(*) FROM job WHERE kind != 'report' AND status = 'succeeded'")[0]
    (reports,) = night.ask("SELECT count(*) FROM job WHERE kind = 'report' AND status = 'succeeded'")[0]
    whom = ", ".join(f"{name} {times}" for name, times in sorted(killer.killed.items()))
    say(
        f"{sum(killer.killed.values())} kills survived ({whom}), {len(night.runs)} nights, {jobs} jobs, "
        f"{night.expected} checkpoints expected, {night.stored()} stored, {reports} reports, "
        f"integrity ok, seed {seed}"
    )
    assert sum(killer.killed.values()) == kills


# ------------------------------------------------------------------------------------------------------ a real night

SAMPLES = 12


@pytest.mark.slow
def test_twenty_kills_on_a_real_night_cost_no_reply_and_double_none(
    house: House, small_models: Path, say: Callable[[str], None]
) -> None:
    """Mining with a real embedder, replies of a real model; half of the kills right after a reply, half anywhere."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance, killed = random.Random(seed), Counter[str]()
    run_id = test_night.night(house, small_models, "--set", f"evaluate.samples={SAMPLES}")
    daemon = house.daemon()
    while killed.total() < 20:
        _wait_to_strike(house, chance)
        whom = chance.choice(("daemon", "child", "both"))
        for pid in test_night.children(house) if whom != "daemon" else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        killed[whom] += 1
        if whom != "child":
            daemon.kill()
            daemon.wait()
            until(lambda: not test_night.children(house), ORPHAN_S, "an orphan ends itself")
            daemon = house.daemon()
    jobs = house.settled(run_id, 400)
    assert {job["status"] for job in jobs.values()} == {"succeeded"}, jobs
    stored = test_night.replies(house)
    assert len(stored) == len(set(stored)) == 2 * SAMPLES
    assert _ask(house, "PRAGMA integrity_check") == [("ok",)]
    whom_killed = ", ".join(f"{name} {times}" for name, times in sorted(killed.items()))
    say(
        f"{killed.total()} kills survived ({whom_killed}) on a real night, {len(jobs)} jobs, "
        f"{2 * SAMPLES} replies expected, {len(stored)} found, 1 report, integrity ok, seed {seed}"
    )


def _wait_to_strike(house: House, chance: random.Random) -> None:
    """Until another reply is committed, or a moment of chance; but never a third start in a row without progress."""
    before = len(test_night.replies(house))
    if chance.random() < 0.5 and before:
        until(lambda: len(test_night.replies(house)) > before or _is_over(house), 120, "another reply, or the end")
    else:
        time.sleep(chance.uniform(0, 6))
    last = f"SELECT 1 FROM job WHERE starts_without_progress >= {MAX_STARTS_WITHOUT_PROGRESS - 1} AND {OPEN}"
    until(lambda: not _ask(house, last), 120, "the last start comes to something")


def _is_over(house: House) -> bool:
    return not _ask(house, f"SELECT 1 FROM job WHERE {OPEN}")


def _ask(house: House, question: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(house.root / "var" / "jarvis.db", timeout=30)) as database:
        return database.execute(question).fetchall()
