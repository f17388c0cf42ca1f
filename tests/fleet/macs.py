"""The machines of a history: each a home with a daemon, its own way to the server, and some of them with a client."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from tests.acceptance.conftest import ROOT
from tests.fleet.proxy import Proxy
from tests.histories.clients import Clients, new_tag
from tests.histories.nemesis import Nemesis
from tests.histories.record import History
from tests.postgres import Cluster, name_of

_PACKAGES = (ROOT / "tests" / "packages", ROOT / "tests" / "fleet" / "inside", ROOT)
#: A run of two rounds: its jobs may run on any machine, and move from a lost one.
_PLAN = "title: Pieces\npieces: {jobs: 2, pieces: 5, rounds: 2, pause_s: 0.05, anywhere: true}\nreport: {}\n"
#: Faults of one machine; `nemesis.py` here has those of several.
FAULTS = (
    *("kill daemon", "kill daemon", "kill worker", "kill worker", "kill both", "terminate daemon"),
    *("stop daemon", "stop worker", "kill client", "stop client"),
)
WEIGHTS = {
    "enqueue": 30,
    "batch": 8,
    "cancel-run": 4,
    "rounds": 3,
    "cancel": 12,
    "cancel-running": 8,
    "retry": 10,
    "status": 4,
    "pause": 2,
    "resume": 3,
    "wait": 1,
    "runs": 1,
    "logs": 1,
}
#: Parts of the error of a call whose transaction may have been committed before the connection was lost.
_UNKNOWN = ("out of reach", "does not answer", "connection", "server")


@dataclass
class Client(Clients):
    """A client of one machine."""

    names: list[str] = field(default_factory=list)  #: of all machines
    batches: dict[str, list[str]] = field(default_factory=dict)  #: run -> the tags of its jobs
    batch: int = 20  #: jobs of one plan of that verb
    is_full: bool = False  #: so much waits that no such plan is submitted

    def placed(self, chance: random.Random) -> list[str]:
        """Anywhere, on a machine by its name, or here."""
        return chance.choice([["--on", "any"], ["--on", "any"], ["--on", chance.choice(self.names)], []])

    def code(self, returncode: int, error: str) -> int | None:
        is_unknown = returncode == 1 and any(part in error for part in _UNKNOWN)
        return None if is_unknown else super().code(returncode, error)

    def _batch(self, chance: random.Random) -> None:
        """A plan of several programs, of which each counts as a submission of its own."""
        if self.is_full:
            return
        programs = {new_tag(): chance.choice([0, 0, 0, 3]) for _ in range(self.batch)}
        plan = self.root / "config" / "plans" / f"{next(iter(programs))}.yaml"
        lines = [
            f"  - {{name: {tag}, run: {json.dumps(self.program(chance, tag, status))}}}"
            for tag, status in programs.items()
        ]
        plan.write_text("command:\n" + "\n".join(lines) + "\n")
        call = self.call("plan", ["enqueue", plan.stem, "--json"])
        answer = json.loads(call.out) if call.is_acknowledged else {"run": "", "jobs": [{}] * self.batch}
        for (tag, status), job in zip(programs.items(), answer["jobs"], strict=True):
            out = json.dumps({"run": f"{answer['run']} {tag}", "jobs": [job]})
            self.history.add(replace(call, verb="enqueue", tag=tag, out=out, exit_status=status))
            if call.is_acknowledged:
                self.jobs[tag] = job["id"]
        if call.is_acknowledged:
            self.batches[answer["run"]] = list(programs)

    def _cancel_run(self, chance: random.Random) -> None:
        """Cancel what is open of a plan of several programs."""
        if self.batches:
            run = chance.choice(list(self.batches))
            call = self.call("cancel-run", ["cancel", run])
            for tag in self.batches[run]:
                self.history.add(replace(call, verb="cancel", tag=tag))


@dataclass
class Mac:
    """One machine."""

    name: str
    root: Path
    proxy: Proxy
    client: Client
    nemesis: Nemesis

    def processes(self) -> list[psutil.Process]:
        """Its daemon, the children of it, and the programs of these."""
        daemon = self.nemesis.daemon
        heads = [psutil.Process(daemon.pid)] if daemon is not None and daemon.poll() is None else []
        heads += self.nemesis.workers()
        family = {process for head in heads for process in [head, *head.children(recursive=True)]}
        return sorted(family, key=lambda process: process.pid)

    def sleep(self, seconds: float) -> None:
        """Stop all of it for so long, as a closed lid does: the server only hears nothing more."""
        stopped: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            stopped = self.processes()
        self.proxy.is_held_up = True
        try:
            _send(stopped, signal.SIGSTOP)
            time.sleep(seconds)
        finally:
            _send(stopped, signal.SIGCONT)
            self.proxy.is_held_up = False

    def set_clock(self, ahead_s: float) -> None:
        """Only where its clock was wrong from the beginning."""
        clock = self.root.parent / "inside" / "clock"
        if clock.readlink() != Path("0"):
            (clock.parent / "next").symlink_to(f"{ahead_s:g}.0")  # never "0", which means the real clock
            (clock.parent / "next").replace(clock)

    def kill(self) -> None:
        """End what is left of it, whatever happened before."""
        with contextlib.suppress(psutil.NoSuchProcess):
            _send(self.processes(), signal.SIGKILL)

    def end(self) -> None:
        daemon = self.nemesis.daemon
        assert daemon is not None
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=60) == 0


def _send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def address(cluster: Cluster, url: str, name: str, proxy: Proxy) -> str:
    """The database through the proxy; the server knows the machine by the name of its connections."""
    return f"postgresql://jarvis@127.0.0.1:{proxy.port}/{name_of(url)}?application_name={name}"


def make(
    folder: Path,
    name: str,
    url: str,
    proxy: Proxy,
    history: History,
    *,
    ahead_s: float,
    hurry: float,
    jobs: dict[str, int],
) -> Mac:
    """A home that uses this address. `jobs` is shared by all clients; `ahead_s`, `hurry`: see `inside/`."""
    root, inside = folder / name / "home", folder / name / "inside"
    (root / "config" / "plans").mkdir(parents=True)
    inside.mkdir()
    (root / "config" / "plans" / "pieces.yaml").write_text(_PLAN)
    pauses = "restart: {first_pause_s: 0.5, next_pause_s: 1}"
    (root / "config" / "settings.yaml").write_text(f'database: "{url}"\nmachine: {name}\n{pauses}\n')
    (inside / "clock").symlink_to(f"{ahead_s:g}")
    limits = f"import machine_of_test\n\nmachine_of_test.apply({str(inside / 'clock')!r}, {hurry})\n"
    (inside / "sitecustomize.py").write_text(limits)
    environment = {"PYTHONPATH": os.pathsep.join(map(str, (inside, *_PACKAGES)))}
    client = Client(root, folder / name, history, environment, jobs=jobs, weights=WEIGHTS)
    nemesis = Nemesis(root, history, client, environment, faults=FAULTS, pause_s=(4, 16))
    return Mac(name, root, proxy, client, nemesis)
