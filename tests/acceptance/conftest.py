"""The installed programs, driven from outside as a user would."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from jarvisd import paths as homes
from jarvisd.host.lockfile import lock_holder
from tests import ready_homes

BIN = Path(sys.executable).parent
#: How long a test waits for what must happen, in seconds. A test that passes waits no longer for it: this is only the
#: end of one that fails, so it is long enough for two busy cores. A test of how long something takes has its own limit.
DEADLINE_S = 120.0


def until(condition: Callable[[], Any], timeout_s: float = DEADLINE_S, what: str = "") -> Any:
    """Poll a condition until it holds and return its value; fail with what was awaited."""
    end = time.monotonic() + timeout_s
    while (began := time.monotonic()) < end:
        if value := condition():
            return value
        time.sleep(max(0.05, time.monotonic() - began))  # one that calls a program leaves the rest of a core to others
    raise AssertionError(f"not within {timeout_s} s: {what or condition.__doc__ or 'the condition'}")


@dataclass
class House:
    """One home, its programs, and the daemons started for it."""

    root: Path
    folder: Path  #: where the programs are called from
    daemons: list[subprocess.Popen[str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def ctl(
        self, *words: str, code: int | None = 0, timeout_s: float = DEADLINE_S, **options: Any
    ) -> subprocess.CompletedProcess:
        """Call jarvisctl and check its exit code (None: any)."""
        done = subprocess.run(
            [BIN / "jarvisctl", *words],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.folder,
            env=os.environ | {"JARVISD_HOME": str(self.root)} | self.environment,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert code is None or done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def enqueue(self, *words: str) -> str:
        """Submit, and return the run's id."""
        ready_homes.place(homes.Home(self.root, "--home"))
        return self.ctl("enqueue", *words).stdout.strip()

    def daemon(self, *under: str) -> subprocess.Popen[str]:
        """Start jarvisd in the foreground of its own, `under` another program, and wait until it holds the lock."""
        process, home = self.launch(*under), homes.Home(self.root, "--home")
        until(lambda: (lock_holder(home) or {}).get("pid") == process.pid, what="the daemon is up")
        log, signs = home.logs / "jarvisd.log", (f"pid {process.pid},", "cannot start yet")
        until(
            lambda: log.exists() and any(sign in log.read_text() for sign in signs), what="it serves, or says why not"
        )
        return process

    def launch(self, *under: str) -> subprocess.Popen[str]:
        """Start jarvisd, and do not wait for it."""
        ready_homes.place(homes.Home(self.root, "--home"))
        process = subprocess.Popen(
            [*under, BIN / "jarvisd", "--home", str(self.root)],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.daemons.append(process)
        return process

    def status(self, *words: str) -> dict[str, Any]:
        return json.loads(self.ctl("status", "--json", *words).stdout)

    def run(self, run_id: str) -> dict[str, Any]:
        return self.status(run_id)["runs"][0]

    def jobs(self, run_id: str) -> dict[str, dict[str, Any]]:
        return {job["name"]: job for job in self.run(run_id)["jobs"]}

    def settled(self, run_id: str, timeout_s: float = DEADLINE_S) -> dict[str, dict[str, Any]]:
        """Wait until the run is settled and return its jobs by name."""
        assert self.ctl("wait", run_id, "--timeout", str(timeout_s), code=None, timeout_s=timeout_s + 30).returncode < 2
        return self.jobs(run_id)

    def child_of(self, run_id: str) -> psutil.Process:
        """The running job's child process, once it has the go-ahead."""
        log = self.root / "var" / "results" / run_id / "experiment.log"

        def child() -> psutil.Process | None:
            for process in psutil.process_iter(["cmdline"]):
                words = process.info["cmdline"] or []
                if "jarvisd.worker" in words and str(self.root) in words:
                    return process
            return None

        assert until(log.exists, what="the run has begun")
        return until(child, what="a child runs")

    def close(self) -> None:
        for process in self.daemons:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stderr is not None
            process.stderr.close()
        if self.environment or self._has_processes():
            self.ctl("stop", code=None)

    def _has_processes(self) -> bool:
        """Whether a process of this home is left, such as the page or a daemon that a verb has started."""
        lines = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
        return any(str(self.root) in line for line in lines)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    made = House(tmp_path / "home", folder)
    yield made
    made.close()


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def small_models() -> Path:
    """A folder with all-MiniLM-L6-v2/ and smollm2-135m/: real models, from the cache of this checkout."""
    from jarvisd.paths import Home
    from jobs.verbs.demo.preparation import prepare

    (ROOT / "var").mkdir(mode=0o700, exist_ok=True)
    with (ROOT / "var" / "preparation.lock").open("w") as lock:  # tests may run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        return prepare(Home(ROOT, "checkout"), "small", print).embedder.parent
