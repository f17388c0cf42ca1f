"""Clients: each calls one verb of jarvisctl after the other, chosen by chance."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.conftest import BIN
from tests.histories.record import Call, History

MARK = Path(__file__).parent / "mark.py"
#: How often each verb is called, relative to the others.
WEIGHTS = {
    "enqueue": 36,
    "rounds": 3,
    "cancel": 14,
    "cancel-running": 8,
    "retry": 12,
    "status": 12,
    "pause": 2,
    "resume": 3,
    "wait": 3,
    "runs": 2,
    "logs": 2,
    "prune": 3,
}
_numbers = itertools.count(1)


def new_tag() -> str:
    """The name of a job, of which no other call of this process has had one."""
    return f"t{next(_numbers)}"


@dataclass
class Clients:
    """The jobs that were submitted, and the client processes that are alive, for all threads together."""

    root: Path
    folder: Path
    history: History
    environment: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    jobs: dict[str, int] = field(default_factory=dict)  #: tag -> job id, once it is known
    alive: list[subprocess.Popen[str]] = field(default_factory=list)
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)

    def work(self, chance: random.Random) -> None:
        """One client, until it is stopped."""
        verbs, weights = list(self.weights), list(self.weights.values())
        while not self.stop.is_set():
            (verb,) = chance.choices(verbs, weights)
            getattr(self, f"_{verb.replace('-', '_')}")(chance)
            time.sleep(chance.uniform(0, 0.3))

    def call(self, verb: str, words: list[str], tag: str = "", *, attempts: int = 1, status: int = 0) -> Call:
        began = time.monotonic_ns()
        process = subprocess.Popen(
            [BIN / "jarvisctl", *words],
            cwd=self.folder,
            env=os.environ | self.environment | {"JARVISD_HOME": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.alive.append(process)
        out, error = process.communicate()
        self.alive.remove(process)
        code = self.code(process.returncode, error)
        call = Call(verb, tag, began, time.monotonic_ns(), code, out, error, attempts, status)
        self.history.add(call)
        return call

    def code(self, returncode: int, error: str) -> int | None:
        """The exit code of a call; None where it may have done its work all the same."""
        return None if returncode < 0 else returncode

    # ------------------------------------------------------------------------------------------------------- verbs

    def _enqueue(self, chance: random.Random) -> None:
        tag = new_tag()
        attempts, status = chance.choice([1, 1, 2, 3]), chance.choice([0, 0, 0, 3])
        options = ["--name", tag, "--attempts", str(attempts), "--json", *self.placed(chance)]
        words = ["enqueue", "command", *options, "--", *self.program(chance, tag, status)]
        call = self.call("enqueue", words, tag, attempts=attempts, status=status)
        if call.is_acknowledged:
            self.jobs[tag] = json.loads(call.out)["jobs"][0]["id"]

    def program(self, chance: random.Random, tag: str, status: int) -> list[str]:
        """The words of a job's program, which ends with that exit status."""
        seconds = chance.choice([0, 0, 0.2, 0.5, 2.0])
        return [sys.executable, "-S", "-E", str(MARK), str(self.history.marks_file), tag, str(seconds), str(status)]

    def placed(self, chance: random.Random) -> list[str]:
        """Options that say where a job runs; none where there is one machine."""
        return []

    def _rounds(self, chance: random.Random) -> None:
        """A run of two rounds with their reports, of the tests' own kind."""
        self.call("rounds", ["enqueue", "pieces", "--set", "pieces.rounds=2", "--json"])

    def _cancel(self, chance: random.Random) -> None:
        if self.jobs:
            self._on(chance.choice(list(self.jobs)), "cancel")

    def _cancel_running(self, chance: random.Random) -> None:
        """Cancel what a look at the marks shows as running."""
        started = {mark.tag for mark in self.history.marks() if mark.event == "S"}
        ended = {mark.tag for mark in self.history.marks() if mark.event == "E"}
        running = sorted((started - ended) & set(self.jobs))
        if running:
            self._on(running[-1], "cancel")

    def _retry(self, chance: random.Random) -> None:
        if self.jobs:
            self._on(chance.choice(list(self.jobs)), "retry")

    def _on(self, tag: str, verb: str) -> None:
        self.call(verb, [verb, str(self.jobs[tag])], tag)

    def _status(self, chance: random.Random) -> None:
        self.call("status", ["status", "--json"])

    def _pause(self, chance: random.Random) -> None:
        self.call("pause", ["pause", "--for", "2s"])

    def _resume(self, chance: random.Random) -> None:
        self.call("resume", ["resume"])

    def _wait(self, chance: random.Random) -> None:
        self.call("wait", ["wait", "--timeout", "1"])

    def _runs(self, chance: random.Random) -> None:
        self.call("runs", ["runs"])

    def _logs(self, chance: random.Random) -> None:
        self.call("logs", ["logs"])

    def _prune(self, chance: random.Random) -> None:
        self.call("prune", ["prune", "--keep", "40", "--yes"])
