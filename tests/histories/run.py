"""One history: a home, some clients, one nemesis, then quiet, and the evidence.

python -m tests.histories.run --seconds 600 --seed 7
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import psutil

from jarvisd.paths import Home
from tests.acceptance.conftest import ROOT, until
from tests.histories import rules, trigger
from tests.histories.clients import Clients
from tests.histories.nemesis import Nemesis
from tests.histories.record import History

#: A plan of the tests' own kind: two jobs of five checkpoints, two rounds, a report for each.
_PLAN = "title: Pieces\npieces: {jobs: 2, pieces: 5, rounds: 2, pause_s: 0.05}\nreport: {}\n"
#: Longest time until one more job is settled, once submissions and kills have ended.
QUIET_S = 300


def history(folder: Path, seconds: float, seed: int, clients: int = 4) -> rules.Evidence:
    """Let clients and faults go on for `seconds`, then wait until all is settled."""
    root = folder / "home"
    (root / "config" / "plans").mkdir(parents=True)
    (root / "config" / "plans" / "pieces.yaml").write_text(_PLAN)
    trigger.install(Home(root, "--home"))
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "packages"), os.environ.get("PYTHONPATH", "")])}
    record = History(folder / "marks")
    all_clients = Clients(root, folder, record, environment)
    nemesis = Nemesis(root, record, all_clients, environment)
    chance = random.Random(seed)
    threads = [threading.Thread(target=nemesis.keep_a_daemon), threading.Thread(target=nemesis.harm, args=(chance,))]
    threads += [
        threading.Thread(target=all_clients.work, args=(random.Random(chance.random()),)) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    all_clients.stop.set()
    nemesis.stop.set()
    for thread in threads:
        thread.join()
    _settle(root, all_clients, nemesis)
    record.leftovers = left(root)
    return rules.Evidence.of(record, root / "var" / "jarvis.db")


def _settle(root: Path, clients: Clients, nemesis: Nemesis) -> None:
    """Quiet: no pause, no fault, one daemon, until nothing is open; then the daemon ends cleanly."""
    clients.call("resume", ["resume"])
    nemesis.ensure_a_daemon()
    database = root / "var" / "jarvis.db"

    def settles(open_jobs: int) -> bool:
        nemesis.ensure_a_daemon()  # the last fault may have asked it to end, which takes a moment
        return _open(database) < open_jobs

    while open_jobs := _open(database):
        until(lambda most=open_jobs: settles(most), QUIET_S, "one more job is settled")
    assert nemesis.daemon is not None
    nemesis.daemon.send_signal(signal.SIGTERM)
    assert nemesis.daemon.wait(timeout=30) == 0


def _open(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        return int(connection.execute("SELECT count(*) FROM job WHERE status IN ('queued', 'running')").fetchone()[0])


def left(root: Path) -> list[str]:
    """Processes of this home that should be gone."""
    processes = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["pid"] != os.getpid() and any(str(root) in word for word in words):
            processes.append(f"{process.info['pid']} {process.info['status']} {words}")
    return processes


def line(evidence: rules.Evidence, broken: dict[str, list[str]], seed: int) -> str:
    """The outcome in one line."""

    def count(rule: str) -> int:
        return len(broken.get(rule, []))

    calls, faults = len(evidence.history.calls), sum(evidence.history.faults.values())
    lost = count("no_acknowledged_submission_is_missing") + count("a_retry_starts_once_more")
    doubled = count("attempts_are_bounded") + count("nothing_starts_after_an_acknowledged_cancel")
    others = sum(map(len, broken.values())) - lost - doubled - count("no_two_ran_at_once")
    return (
        f"history: {calls:,} calls, {faults:,} faults, {lost} lost, {doubled} doubled, "
        f"{count('no_two_ran_at_once')} overlaps, {others} other breaches, "
        f"{evidence.history.most_mb:.0f} MB, {evidence.history.most_files} files, seed {seed}"
    )


def broken_rules(evidence: rules.Evidence) -> dict[str, list[str]]:
    checked = {rule.__name__: rule(evidence) for rule in rules.RULES}
    return {name: breaches for name, breaches in checked.items() if breaches}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        evidence = history(Path(folder), options.seconds, options.seed, options.clients)
        broken = broken_rules(evidence)
        print(line(evidence, broken, options.seed), evidence.history.faults)
        for name, breaches in broken.items():
            print(f"{name}:", *breaches[:8], sep="\n  ")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
