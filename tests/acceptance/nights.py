"""Small nights of the tests' own kind of job, daemons that are killed in them, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.conftest import BIN, ROOT, House, until

OPEN = "status IN ('queued', 'running')"
#: No pause that a test would have to wait for.
QUICK = "restart: {first_pause_s: 0, next_pause_s: 0}\n"


@dataclass
class Night:
    """A home with runs of the tests' kind."""

    house: House
    jobs: int
    pieces: int
    rounds: int = 1
    pause_s: float = 0.0
    first: list[str] = field(default_factory=list)  #: see the kind's Section
    plan: str = ""
    settings: str = QUICK
    runs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        packages = [str(ROOT / "tests" / "packages"), os.environ.get("PYTHONPATH", "")]
        self.house.environment["PYTHONPATH"] = os.pathsep.join(filter(None, packages))
        plans = self.house.root / "config" / "plans"
        plans.mkdir(parents=True)
        section = {name: getattr(self, name) for name in ("jobs", "pieces", "rounds", "pause_s", "first")}
        (plans / "night.yaml").write_text(f"pieces: {json.dumps(section)}\nreport: {{}}\n{self.plan}")
        (self.house.root / "config" / "settings.yaml").write_text(self.settings)

    def submit(self) -> str:
        self.runs.append(self.house.enqueue("night"))
        return self.runs[-1]

    def start(self, **variables: str) -> subprocess.Popen[Any]:
        """Start a daemon and wait for nothing: it may be dead before it takes its lock."""
        daemon = subprocess.Popen(
            [BIN / "jarvisd", "--home", str(self.house.root)],
            cwd=self.house.folder,
            env=os.environ | self.house.environment | variables,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.house.daemons.append(daemon)
        return daemon

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(
            sqlite3.connect(f"file:{self.house.root}/var/jarvis.db?mode=ro", uri=True, timeout=10)
        ) as database:
            return database.execute(question, values).fetchall()

    def change(self, statement: str, *values: object) -> None:
        """What a fault would do to the ledger behind everybody's back."""
        with closing(sqlite3.connect(self.house.root / "var" / "jarvis.db", timeout=10)) as database, database:
            assert database.execute(statement, values).rowcount == 1

    def settled(self) -> bool:
        return not self.ask(f"SELECT 1 FROM job WHERE {OPEN} LIMIT 1")

    def stored(self) -> int:
        """How many checkpoints are stored."""
        if not self.ask("SELECT 1 FROM sqlite_master WHERE name = 'piece'"):
            return 0
        return int(self.ask("SELECT count(*) FROM piece")[0][0])

    @property
    def expected(self) -> int:
        return len(self.runs) * self.rounds * self.jobs * self.pieces

    # ------------------------------------------------------------------------------------------- what must hold

    def check(self) -> None:
        """Every promise of the queue, whatever died in between."""
        assert [row[0] for row in self.ask("PRAGMA integrity_check")] == ["ok"]
        rows = self.ask("SELECT run_id, round, name, status, reason FROM job")
        assert [row for row in rows if row[3] != "succeeded"] == []
        names = ["report", *(f"pieces:{number}" for number in range(1, self.jobs + 1))]
        wanted = [(run, round_, name) for run in self.runs for round_ in range(1, self.rounds + 1) for name in names]
        assert sorted(row[:3] for row in rows) == sorted(wanted)
        self._check_pieces()
        for run in self.runs:
            self._check_report(run)
        latest = self.house.root / "var" / "results" / "latest"
        (newest,) = self.ask("SELECT id FROM run ORDER BY started_at DESC LIMIT 1")
        assert latest.readlink() == Path(newest[0])
        until(lambda: not self.children(), what="no child is left")

    def _check_pieces(self) -> None:
        twice = self.ask("SELECT job, number, count(*) FROM piece GROUP BY job, number HAVING count(*) > 1")
        assert twice == []
        assert self.stored() == self.expected

    def _check_report(self, run: str) -> None:
        """A report was written, and its end was told once a round at most: the daemon may have died before it could."""
        folder = self.house.root / "var" / "results" / run
        assert "is running" not in (folder / "REPORT.md").read_text().splitlines()[0]
        told = (folder / "experiment.log").read_text().count(" report succeeded after")
        assert told <= self.rounds

    def children(self) -> list[psutil.Process]:
        """Processes of this home that are no daemon."""
        processes = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            if "jarvisd.worker" in words and str(self.house.root) in words and process.info["status"] != "zombie":
                processes.append(process)
        return processes
