"""One history of several machines: a server, four daemons, three clients, faults, then quiet, and the evidence.

python -m tests.fleet.run --jobs 2000 --seed 7
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jarvisd import store
from jarvisd.paths import Home
from jarvisd.store import database, migrations
from tests import postgres
from tests.acceptance.conftest import until
from tests.fleet import audit, macs
from tests.fleet.macs import Mac
from tests.fleet.nemesis import FleetNemesis
from tests.fleet.proxy import proxies
from tests.fleet.rules import FleetEvidence, broken
from tests.histories.record import History
from tests.histories.rules import Evidence, Row
from tests.histories.run import left
from tests.postgres import Cluster, name_of

MACHINES, CLIENTS = 4, 3
#: A machine is lost after ten minutes; here that is divided.
LOST_AFTER_S = 600.0
#: The clock of the last machine is ahead by so much, in seconds.
AHEAD_S = 600.0
#: Longest time until everything is settled, once submissions and faults have ended.
QUIET_S = 900.0
#: With more jobs than these waiting no client submits a plan of many: the faults are to meet jobs that run.
MOST_OPEN = 80


def history(
    folder: Path, seed: int, *, seconds: float, jobs: int = 0, hurry: float = 40, batch: int = 20
) -> FleetEvidence:
    """Let clients and faults go on for at least `seconds`, and until so many `jobs` have ended; then wait for the rest.

    `hurry`: by what the limits of a fleet are divided, so that a machine is lost within seconds.
    `batch`: jobs per plan.
    """
    record = History(folder / "marks")
    with _server() as (cluster, url), ExitStack() as stack:
        ways = stack.enter_context(proxies(cluster.folder / ".s.PGSQL.5432", MACHINES))
        known: dict[str, int] = {}
        machines = [_machine(folder, number, url, cluster, ways, record, hurry, known) for number in range(MACHINES)]
        for machine in machines:
            stack.callback(machine.kill)
            machine.client.names, machine.client.batch = [each.name for each in machines], batch
        threads = _threads(cluster, machines, record, LOST_AFTER_S / hurry, random.Random(seed))
        _let_go_on(cluster, url, machines, threads, seconds, jobs)
        _settle(cluster, url, machines)
        record.leftovers = [process for machine in machines for process in left(machine.root)]
        return _evidence(cluster, url, record)


@contextmanager
def _server() -> Iterator[tuple[Cluster, str]]:
    """A server with a database that has jarvisd's tables and the triggers of the test."""
    store.show_driver()
    with postgres.running() as cluster, tempfile.TemporaryDirectory() as folder:
        url, home = cluster.create(), Home(Path(folder), "--home")
        postgres.name_server(home, url)
        migrations.migrate(home)
        database.disconnect()
        audit.install(cluster, url)
        yield cluster, url


def _machine(
    folder: Path,
    number: int,
    url: str,
    cluster: Cluster,
    ways: list[macs.Proxy],
    record: History,
    hurry: float,
    known: dict[str, int],
) -> Mac:
    name = f"mac{number + 1}"
    address = macs.address(cluster, url, name, ways[number])
    ahead_s = AHEAD_S if number == MACHINES - 1 else 0.0
    return macs.make(folder, name, address, ways[number], record, ahead_s=ahead_s, hurry=hurry, jobs=known)


class _Threads:
    """Clients and faults, which end in this order of calls: `stop`, then `join`."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.flags: list[threading.Event] = []

    def add(self, flag: threading.Event, target: object, *arguments: object) -> None:
        self.flags.append(flag)
        self.threads.append(threading.Thread(target=target, args=arguments))  # type: ignore[arg-type]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        for flag in self.flags:
            flag.set()
        for thread in self.threads:
            thread.join()


def _threads(
    cluster: Cluster, machines: list[Mac], record: History, lost_after_s: float, chance: random.Random
) -> _Threads:
    threads = _Threads()
    for machine in machines:
        threads.add(machine.nemesis.stop, machine.nemesis.keep_a_daemon)
        threads.add(machine.nemesis.stop, machine.nemesis.harm, random.Random(chance.random()))
    for machine in machines[:CLIENTS]:
        threads.add(machine.client.stop, machine.client.work, random.Random(chance.random()))
    nemesis = FleetNemesis(cluster, machines, record, lost_after_s)
    threads.add(nemesis.stop, nemesis.harm, random.Random(chance.random()))
    return threads


def _let_go_on(cluster: Cluster, url: str, machines: list[Mac], threads: _Threads, seconds: float, jobs: int) -> None:
    """Until so many seconds are over and so many jobs have ended."""
    began = time.monotonic()
    threads.start()
    try:
        while time.monotonic() - began < seconds or _count(cluster, url, f"NOT ({_OPEN})") < jobs:
            is_full = _count(cluster, url, _OPEN) > MOST_OPEN
            for machine in machines:
                machine.client.is_full = is_full
            time.sleep(1)
    finally:
        threads.end()


#: A condition on rows of jobs.
_OPEN = "status IN ('queued', 'running')"


def _settle(cluster: Cluster, url: str, machines: list[Mac]) -> None:
    """Quiet: no pause, no fault, every daemon, until nothing is open; then the daemons end cleanly."""
    for machine in machines:
        machine.proxy.heal()
        machine.nemesis.ensure_a_daemon()
        machine.client.call("resume", ["resume"])

    def is_settled() -> bool:
        for machine in machines:
            machine.nemesis.ensure_a_daemon()  # the last fault may have asked it to end, which takes a moment
        return not _count(cluster, url, _OPEN)

    until(is_settled, QUIET_S, "everything is settled")
    for machine in machines:
        machine.end()


def _count(cluster: Cluster, url: str, condition: str) -> int:
    """How many jobs there are; -1 while the server is restarted."""
    import psycopg

    try:
        ((number,),) = cluster.sql(f"SELECT count(*) FROM job WHERE {condition}", name_of(url))
    except psycopg.OperationalError:
        return -1
    return int(str(number))


_REPORTS = """
SELECT run_id, round, count(*) FILTER (WHERE kind = 'report') FROM job
WHERE run_id IN (SELECT run_id FROM job WHERE kind = 'pieces') GROUP BY run_id, round
"""


def _evidence(cluster: Cluster, url: str, record: History) -> FleetEvidence:
    name = name_of(url)
    rows = [Row(*row) for row in cluster.sql("SELECT id, name, status, reason FROM job", name)]  # type: ignore[arg-type]
    checkpoints = cluster.sql("SELECT job, number FROM piece", name)
    rounds = cluster.sql(_REPORTS, name)
    entries = audit.read(cluster, url)
    one = Evidence.over(record, rows, cluster.folder, audit.begun(entries, {row.id: row.name for row in rows}))
    return FleetEvidence(one, entries, checkpoints, rounds)  # type: ignore[arg-type]


def line(evidence: FleetEvidence, breaches: dict[str, list[str]], seed: int) -> str:
    """The outcome in one line."""

    def count(*names: str) -> int:
        return sum(len(breaches.get(name, [])) for name in names)

    lost = ("no_acknowledged_submission_is_missing", "a_retry_starts_once_more", "no_stored_job_disappears")
    doubled = (
        *("attempts_are_bounded", "nothing_begins_after_an_acknowledged_cancel", "every_checkpoint_is_there_once"),
        *("every_round_has_one_report", "each_job_is_claimed_from_the_queue_and_its_attempts_grow"),
    )
    overlaps, late = ("no_two_ran_at_once", "each_machine_runs_one_job_at_a_time"), ("no_late_write_is_accepted",)
    others = sum(map(len, breaches.values())) - count(*lost, *doubled, *overlaps, *late)
    jobs, faults = len(evidence.by_job()), sum(evidence.one.history.faults.values())
    return (
        f"fleet: {jobs:,} jobs, {faults:,} faults, {count(*lost)} lost, {count(*doubled)} doubled, "
        f"{count(*overlaps)} overlaps, {count(*late)} late writes, {others} other breaches, "
        f"{evidence.one.history.most_mb:.0f} MB, seed {seed}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", help="the folder of the machines; without it one that is removed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet-") as temporary:
        folder = Path(options.keep or temporary)
        evidence = history(folder, options.seed, seconds=options.seconds, jobs=options.jobs)
        breaches = broken(evidence)
        print(line(evidence, breaches, options.seed), evidence.one.history.faults)
        for name, sentences in breaches.items():
            print(f"{name}:", *sentences[:8], sep="\n  ")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
