"""A Mac as far as jarvisd can see one: its programs, on PATH, that record their calls and answer as macOS does."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import plistlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from jarvisd.host import processes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLUGGED = "Now drawing from 'AC Power'\n -InternalBattery-0 (id=4653155)\t100%; charged; 0:00 remaining present: true\n"
BATTERY = PLUGGED.replace("AC Power", "Battery Power").replace("100%; charged; 0:00", "{}%; discharging; 3:10")
ANSWERS = {
    "pmset -g batt": PLUGGED,
    "pmset -g sched": "Repeating power events:\n  wakepoweron at 9:58PM every day\n",
    "pmset -g": " sleep                1\n lowpowermode         0\n",
    "sysctl -n kern.bootsessionuuid": "6D1B2B0C-0000-4000-8000-000000000001\n",
    "sysctl -n machdep.cpu.brand_string": "Apple M2\n",
    "sysctl -n hw.optional.arm64": "1\n",
    "sw_vers -productVersion": "15.5\n",
}


class FakeMac:
    """The folder with the programs, what they were called with, and what they shall answer."""

    def __init__(self, folder: Path) -> None:
        if sys.platform == "darwin":
            pytest.skip("the stand-ins for macOS's programs are written for Linux")
        self.bin, self.user = folder / "bin", folder / "user"
        self.bin.mkdir(parents=True)
        self.user.mkdir()
        (self.bin / "site").symlink_to(HERE / "site")
        self.program("launchctl", "launchctl")
        for name in ("caffeinate", "pmset", "osascript", "sysctl", "sw_vers"):
            self.program(name, "answer")
        self.answers()

    def program(self, name: str, source: str) -> None:
        path = self.bin / name
        text = (HERE / "programs" / f"{source}.py").read_text()
        path.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{text}")
        path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """The environment that makes jarvisd believe in this Mac."""
        return {
            "HOME": str(self.user),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.bin / "site"),
        }

    def answers(self, **more: str) -> None:
        (self.bin / "answers.json").write_text(json.dumps(ANSWERS | more))

    def answer(self, command: str, text: str) -> None:
        self.answers(**{command: text})

    def orders(self, **orders: Any) -> None:
        """What shall go wrong: busy=2 (error 5 so often), lingers_s=9 (an agent stays so long after its
        bootout), old_macos=True (error 37 meanwhile), refused=[label], forbidden=[label], no_session=True."""
        (self.bin / "orders.json").write_text(json.dumps(orders))

    def set_clock(self, moment: dt.datetime) -> None:
        """Set the time for every program of jarvisd that starts after the first call.

        The clock then runs on as the real one does; see fakes/site/sitecustomize.py.
        """
        fresh = self.bin / "clock.new"
        fresh.write_text(repr(moment.timestamp() - time.time()))
        fresh.replace(self.bin / "clock")

    def now(self) -> dt.datetime:
        """What this Mac's clock shows."""
        return dt.datetime.fromtimestamp(time.time() + float((self.bin / "clock").read_text())).astimezone()

    def sleep(self, pid: int) -> list[psutil.Process]:
        """Stop a process and all below it, as sleep does, where each of them stands. Returns them for `wake`."""
        asleep: dict[int, psutil.Process] = {}
        while fresh := [each for each in processes.tree(pid) if each.pid not in asleep]:  # one may just start another
            for process in fresh:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
                    asleep[process.pid] = process
        return list(asleep.values())

    def wake(self, asleep: list[psutil.Process]) -> None:
        for process in asleep:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def disable(self, label: str) -> None:
        state = self._stored()
        state["disabled"].append(label)
        (self.bin / "state.json").write_text(json.dumps(state))

    def state(self) -> dict[str, Any]:
        """What is loaded, and not about to be unloaded, and what is disabled."""
        state = self._stored()
        kept = {label: row for label, row in state["loaded"].items() if label not in state["leaving"]}
        return state | {"loaded": kept}

    def _stored(self) -> dict[str, Any]:
        path = self.bin / "state.json"
        empty = {"loaded": {}, "leaving": {}, "disabled": []}
        return empty | (json.loads(path.read_text()) if path.exists() else {})

    def calls(self, *words: str) -> list[list[str]]:
        """Every call so far that begins with these words."""
        path = self.bin / "calls.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row for row in rows if row[: len(words)] == list(words)]

    def agent(self, label: str) -> dict[str, Any]:
        return plistlib.loads((self.user / "Library" / "LaunchAgents" / f"{label}.plist").read_bytes())

    def fire(self, label: str) -> subprocess.CompletedProcess[str]:
        """Run a one-shot agent as launchd does when its time has come."""
        agent = self.agent(label)
        zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}  # as launchctl.py passes it on
        environment = {**zone, **self.environment, **agent["EnvironmentVariables"]}
        environment["PATH"] = f"{self.bin}:{environment['PATH']}"
        return subprocess.run(
            agent["ProgramArguments"], env=environment, capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )

    def close(self) -> None:
        """End what launchd has started."""
        for row in self._stored()["loaded"].values():
            command = Path(f"/proc/{row['pid']}/cmdline")
            if row["pid"] and command.exists() and "jarvisd" in command.read_text():
                os.kill(row["pid"], signal.SIGKILL)
        shutil.rmtree(self.bin, ignore_errors=True)
