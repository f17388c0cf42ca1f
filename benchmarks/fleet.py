"""How many machines can share one queue: claims per second, waiting, connections and memory of the server?

python -m benchmarks fleet

50 processes on this computer, each with a connection of its own, do what a daemon does: look each second, claim by the
real supervisor, settle. The child is left out, a job does nothing, so no machine of a night ever asks for so much. The
server is Debian's PostgreSQL in a temporary folder, and flushes each commit.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psutil

from jarvisd import store
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.operations import this_machine
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, machines, migrations, queue, wakeup
from jarvisd.store.models import Job, Run, Status
from tests import postgres
from tests.postgres import Cluster, name_of

FLEETS = (1, 4, 50)
JOBS = 6000  #: more than any fleet does in the time
LOAD_S, IDLE_S = 15.0, 10.0
STARTS = 40
#: Writes that a Mac makes per second in the busiest minute of a night: checkpoints, progress, settling, its heartbeat.
WRITES_OF_A_MAC = 3
_FORK = multiprocessing.get_context("fork")  # a process that has imported everything, in a moment
Row = tuple[str, str, str]


def main() -> None:
    if postgres.programs() is None:
        print("  there is no PostgreSQL server on this computer: Debian's package is `postgresql`")
        return
    store.show_driver()
    with postgres.running(postgres.DURABLE) as cluster:
        for what, figure, aim in chain(_claims(cluster), _waiting(cluster), _one_writer(cluster)):
            print(f"  {what:<66} {figure:>22}   {aim}".rstrip(), flush=True)


# ------------------------------------------------------------------------------------------------------------- a fleet


class _Attempt:
    """A job that does nothing."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self) -> None:
        queue.settle(self.job, Status.SUCCEEDED, None, database.now())


class _Daemon(Supervisor):
    """The supervisor without what it does on its own disk."""

    def attempt(self, job: Job) -> Any:
        return _Attempt(job)

    def _begin(self, job: Job) -> None:
        """No folder and no log."""


def _work(url: str, name: str, stop: Event) -> None:
    """One machine, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), "--home")
        home.make()
        database.connect(home.database, server=url)
        machine_id = this_machine.identity(home)
        machines.register(machine_id, name, "benchmark", {"models": [], "largest_job_mb": 8192})
        storage = wakeup.messages(machine_id).huey.storage
        daemon = _Daemon(home, machine_id, Settings(), stop)  # type: ignore[arg-type]
        while not stop.wait(0 if storage.queue_size() else 1.0):
            while storage.dequeue() is not None:
                daemon.work()
        database.disconnect()


@contextmanager
def _fleet(cluster: Cluster, count: int, work: Callable[..., None] = _work) -> Iterator[str]:
    """So many machines on a new database, whose address this yields."""
    with tempfile.TemporaryDirectory() as folder:
        home, url = Home(Path(folder), "--home"), cluster.create()
        postgres.name_server(home, url)
        migrations.migrate(home)
        database.disconnect()
        stop = _FORK.Event()
        workers = [_FORK.Process(target=work, args=(url, f"mac{number}", stop)) for number in range(count)]
        for worker in workers:
            worker.start()
        try:
            yield url
        finally:
            stop.set()
            for worker in workers:
                worker.join()
            cluster.drop(url)


def _submit(url: str, number: int, jobs: int) -> None:
    """A run of jobs that do nothing, and that any machine may do."""
    database.connect(Path("/nowhere/jarvis.db"), server=url)
    run = Run(id=f"run-{number}", plan="p", night="n", created_at=database.now(), snapshot={}, number=number)
    rows = [Job(run=run, name=f"command:{place}", kind="command", place=place, params={}) for place in range(jobs)]
    run.warnings = []
    queue.submit(run, rows)
    database.disconnect()


def _until_registered(cluster: Cluster, url: str, count: int) -> None:
    while _number(cluster, url, "SELECT count(*) FROM machine") < count:
        time.sleep(0.2)


def _number(cluster: Cluster, url: str, statement: str) -> float:
    ((number,),) = cluster.sql(statement, name_of(url))
    return float(str(number or 0))


# -------------------------------------------------------------------------------------------------------------- claims

_SETTLED = "SELECT count(*) FROM job WHERE status = 'succeeded'"
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


def _claims(cluster: Cluster) -> Iterator[Row]:
    """Jobs claimed and settled per second, of one run that any machine may do."""
    for count in FLEETS:
        with _fleet(cluster, count) as url:
            _until_registered(cluster, url, count)
            _submit(url, 1, JOBS)
            time.sleep(3)
            before, began = _number(cluster, url, _SETTLED), time.monotonic()
            time.sleep(LOAD_S)
            done = _number(cluster, url, _SETTLED) - before
            per_s = done / (time.monotonic() - began)
            twice = _number(cluster, url, "SELECT count(*) FROM job WHERE attempt > 1")
            machines_text = "1 machine" if count == 1 else f"{count} machines"
            yield f"{machines_text}: jobs claimed and settled", f"{per_s:.0f} per second", f"{twice:.0f} started twice"
            if count == max(FLEETS):
                yield from _server(cluster, url, "at work")


def _server(cluster: Cluster, url: str, when: str) -> Iterator[Row]:
    yield f"  connections, {when}", f"{_number(cluster, url, _CONNECTIONS):.0f}", ""
    yield f"  memory of the server, {when}", f"{_memory_mb(cluster):.0f} MB", "shared pages counted once"


def _memory_mb(cluster: Cluster) -> float:
    """Memory of the server's processes: of what several share each has its part (PSS)."""
    return _sum(cluster, lambda process: process.memory_full_info().pss) / 2**20


def _processor_s(cluster: Cluster) -> float:
    """Seconds of a processor that the server has used, its ended processes included."""
    return _sum(cluster, lambda process: sum(process.cpu_times()[:4]))


def _sum(cluster: Cluster, measure: Callable[[psutil.Process], float]) -> float:
    head = psutil.Process(int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0]))
    total = 0.0
    for process in [head, *head.children()]:
        with contextlib.suppress(psutil.NoSuchProcess):  # one of a connection that has just ended
            total += measure(process)
    return total


# ------------------------------------------------------------------------------------------------------------- waiting


def _waiting(cluster: Cluster) -> Iterator[Row]:
    """From the commit of a submission to the commit of its claim, while all machines wait; and what waiting costs."""
    count = max(FLEETS)
    with _fleet(cluster, count) as url:
        _until_registered(cluster, url, count)
        for number in range(1, STARTS + 1):
            _submit(url, number, 1)
            time.sleep(0.7)
        while _number(cluster, url, _SETTLED) < STARTS:
            time.sleep(0.2)
        database.connect(Path("/nowhere/jarvis.db"), server=url)
        jobs = Job.select(Job, Run).join(Run).where(Job.started_at.is_null(False))
        times = sorted((job.started_at - job.run.created_at).total_seconds() * 1000 for job in jobs)
        database.disconnect()
        last = times[round(0.95 * (len(times) - 1))]
        figure = f"p50 {statistics.median(times):.0f}, p95 {last:.0f} ms"
        yield f"{count} idle machines: enqueue to claim", figure, "each looks every second"
        statements = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        before, used = _number(cluster, url, statements), _processor_s(cluster)
        time.sleep(IDLE_S)
        per_s = (_number(cluster, url, statements) - before) / IDLE_S
        yield "  transactions while nothing happens", f"{per_s:.0f} per second", ""
        yield "  the server's processor", f"{(_processor_s(cluster) - used) / IDLE_S:.1%} of a core", ""
        yield from _server(cluster, url, "idle")


# ---------------------------------------------------------------------------------------------------------- one writer

_LOCKED = "SELECT id FROM job WHERE status = 'queued' ORDER BY id LIMIT 1"
_CLAIM = "UPDATE job SET status = 'running', machine = %s, attempt = attempt + 1 WHERE id = ({}) RETURNING id"
_SETTLE = "UPDATE job SET status = 'succeeded' WHERE id = %s"


def _under_the_lock(url: str, name: str, stop: Event) -> None:
    """Claim and settle by two bare statements, each in a transaction that holds the lock of all writers."""
    database.connect(Path("/nowhere/jarvis.db"), server=url)
    while not stop.is_set():
        with database.write(patience_s=60):
            row = database.db.execute_sql(_CLAIM.format(_LOCKED), (name,)).fetchone()
        if row is None:
            time.sleep(0.1)
            continue
        with database.write(patience_s=60):
            database.db.execute_sql(_SETTLE, row)
    database.disconnect()


def _side_by_side(url: str, name: str, stop: Event) -> None:
    """The same statements without that lock: each passes over the rows that others hold."""
    database.connect(Path("/nowhere/jarvis.db"), server=url)
    claim = _CLAIM.format(f"{_LOCKED} FOR UPDATE SKIP LOCKED")
    while not stop.is_set():
        row = database.db.execute_sql(claim, (name,)).fetchone()
        if row is None:
            time.sleep(0.1)
            continue
        database.db.execute_sql(_SETTLE, row)
    database.disconnect()


def _one_writer(cluster: Cluster) -> Iterator[Row]:
    """What the lock of all writers costs: the two statements of a claim alone, with it and without."""
    rates = []
    for what, work in (("one writer at a time", _under_the_lock), ("SKIP LOCKED, all at once", _side_by_side)):
        with _fleet(cluster, max(FLEETS), work) as url:
            _submit(url, 1, 20_000)
            time.sleep(3)
            before = _number(cluster, url, _SETTLED)
            time.sleep(LOAD_S)
            rates.append((_number(cluster, url, _SETTLED) - before) / LOAD_S)
            yield f"{max(FLEETS)} connections, bare claim and settle: {what}", f"{rates[-1]:.0f} jobs per second", ""
    writes = 2 * rates[0]
    aim = f"one writer: {writes:.0f} writes per second, or {writes / WRITES_OF_A_MAC:.0f} Macs at work"
    yield "  SKIP LOCKED does times as many", f"{rates[1] / rates[0]:.1f}", aim


if __name__ == "__main__":
    main()
