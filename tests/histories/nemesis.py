"""Faults: kill -9, stops and terminations of daemon, worker and clients, and write locks held by others."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.acceptance.conftest import BIN
from tests.histories.clients import Clients
from tests.histories.record import History

#: Takes the write lock of FILE, says so, and keeps it for SECONDS.
_HOLD = (
    "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(float(sys.argv[2])); c.execute('ROLLBACK')"
)
FAULTS = (
    *("kill daemon", "kill daemon", "kill worker", "kill both", "terminate daemon"),
    *("stop daemon", "stop worker", "kill client", "stop client", "hold lock", "kill holder"),
)


@dataclass
class Nemesis:
    """Keeps one daemon running, and does it harm."""

    root: Path
    history: History
    clients: Clients
    environment: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    daemon: subprocess.Popen[bytes] | None = None
    faults: tuple[str, ...] = FAULTS
    pause_s: tuple[float, float] = (0.5, 4)  #: between two faults, at least and at most

    # --------------------------------------------------------------------------------------------------- the daemon

    def keep_a_daemon(self) -> None:
        """Start a daemon whenever there is none; look at its memory and its files."""
        while not self.stop.is_set():
            self.ensure_a_daemon()
            self._measure()
            time.sleep(0.2)

    def ensure_a_daemon(self) -> None:
        if self.daemon is None or self.daemon.poll() is not None:
            self.start()

    def start(self) -> None:
        with (self.root.parent / "daemon.err").open("ab") as log:
            self.daemon = subprocess.Popen(
                [BIN / "jarvisd", "--home", str(self.root)],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def _measure(self) -> None:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.daemon.pid) if self.daemon else None
            if process is not None and process.status() != psutil.STATUS_ZOMBIE:
                self.history.most_mb = max(self.history.most_mb, process.memory_info().rss / 2**20)
                self.history.most_files = max(self.history.most_files, process.num_fds())

    def workers(self) -> list[psutil.Process]:
        processes = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            if "jarvisd.worker" in words and str(self.root) in words and process.info["status"] != "zombie":
                processes.append(process)
        return processes

    # --------------------------------------------------------------------------------------------------------- harm

    def harm(self, chance: random.Random) -> None:
        """One fault after the other, until it is stopped."""
        while not self.stop.wait(chance.uniform(*self.pause_s)):
            name = chance.choice(self.faults)
            if self._do(name, chance):
                self.history.fault(name)

    def _do(self, name: str, chance: random.Random) -> bool:
        act, _, whom = name.partition(" ")
        if name == "hold lock":
            return self._hold(chance.uniform(0.5, 8), None)
        if name == "kill holder":
            return self._hold(60, chance.uniform(0.1, 2))
        victims = self._victims(whom)
        if not victims:
            return False
        numbers = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "stop": signal.SIGSTOP}
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(numbers[act])
        if act == "stop":
            time.sleep(chance.uniform(0.5, 6))
            for process in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)
        return True

    def _victims(self, whom: str) -> list[psutil.Process]:
        victims: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            if whom in ("daemon", "both") and self.daemon is not None and self.daemon.poll() is None:
                victims.append(psutil.Process(self.daemon.pid))
            if whom in ("worker", "both"):
                victims += self.workers()
            if whom == "client" and self.clients.alive:
                victims.append(psutil.Process(self.clients.alive[-1].pid))
        return victims

    def _hold(self, seconds: float, kill_after: float | None) -> bool:
        """Another process holds the write lock; `kill_after` so many seconds it is killed in its transaction."""
        database = self.root / "var" / "jarvis.db"
        if not database.exists():
            return False
        words = [sys.executable, "-c", _HOLD, str(database), str(seconds)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
            if kill_after is not None:
                time.sleep(kill_after)
                holder.kill()
            return holder.wait() is not None
