"""The queue as a machine of states: whatever people, clocks and crashes do in whatever order, its promises hold.

Everything is real but the processes and the time: the ledger in a SQLite file or on a PostgreSQL server, Huey's queue
in it, the functions that submit, claim, settle, cancel, retry, pause and recover. A child is the context that its
attempt would be given.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jarvisd.daemon import recovery
from jarvisd.daemon.attempt import EndReason
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.errors import StaleAttempt, UsageError
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.registry import JobSpec, Outcome
from jarvisd.store import database, dependencies, migrations, queries, queue, transitions, wakeup
from jarvisd.store.models import OPEN, SETTLED, Dependency, Job, Machine, Run, Status
from jarvisd.store.transitions import MAX_STARTS_WITHOUT_PROGRESS
from jarvisd.worker import main
from jarvisd.worker.context import JobContext
from tests import postgres

HERE = "0" * 32
#: A child that an earlier start of the computer left: nothing of it can still run.
BOOT = "another boot"
START = dt.datetime(2026, 11, 22, 22, tzinfo=dt.UTC)
#: No disk has to be waited for here; that commits last is what the kills of the acceptance tests are about.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
COUNT = "SELECT count(*) FROM piece"


@pytest.fixture(scope="module", autouse=True)
def empty_database() -> Any:
    """A new database takes a while, so every example gets a copy of one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), "--home")
        migrations.migrate(home)
        database.db.execute_sql("CREATE TABLE piece (job INTEGER, attempt INTEGER)")
        database.db.close()
        Queue.template = home.database
        yield


@pytest.fixture
def server_queue(cluster: postgres.Cluster, server_database: str) -> None:
    ServerQueue.cluster, ServerQueue.address = cluster, server_database
    database.connect(Path("/nowhere/jarvis.db"), server=server_database)
    database.db.execute_sql("CREATE TABLE IF NOT EXISTS piece (job BIGINT, attempt BIGINT)")
    database.db.close()


Draw = Callable[..., Any]
#: What may happen, and how often it does beside the rest.
EVENTS = {
    "a_run_is_submitted": 1,
    "the_owner_steers": 2,
    "the_owner_retries": 2,
    "the_clock_jumps": 1,
    "the_worker_goes_on": 6,
    "a_child_commits_a_piece": 3,
    "a_child_commits_its_outcome": 2,
    "the_child_ends": 2,
    "the_child_ends_well": 4,
    "the_daemon_dies_and_is_started_again": 2,
}


class Queue(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.home = Home(Path(self.folder.name), "--home")
        self.home.make()
        self._open()
        self.at, self.real_now = START, database.now
        database.now = lambda: self.at
        self.huey = wakeup.messages(HERE).huey
        self.supervisor = Supervisor(self.home, HERE, Settings(), threading.Event())
        self.statuses: dict[int, Status] = {}
        self.attempts: dict[int, int] = {}
        self.contexts: list[JobContext] = []
        self.retried: set[int] = set()
        self.pieces = 0
        self.working = False  #: whether the worker is on its way through the due rows
        self.poll_due = False  #: whether time has passed since the daemon last polled

    def _open(self) -> None:
        shutil.copyfile(self.template, self.home.database)
        database.connect(self.home.database)
        database.db.execute_sql("PRAGMA synchronous = 0")

    def teardown(self) -> None:
        try:
            self._to_the_end()
        finally:
            database.now = self.real_now
            database.db.close()
            self.folder.cleanup()

    # -------------------------------------------------------------------------------------------------- people

    @initialize()
    def one_night(self) -> None:
        self._submit(["mine", "evaluate:a"], report=True, hours=None)

    @rule(what=st.sampled_from([name for name, often in EVENTS.items() for _ in range(often)]), data=st.data())
    def something_happens(self, what: str, data: st.DataObject) -> None:
        """One rule for all: hypothesis leaves out half of the rules of each example, and no night comes of that."""
        getattr(self, what)(data.draw)

    def a_run_is_submitted(self, draw: Draw) -> None:
        names = draw(st.sampled_from([["mine"], ["mine", "evaluate:a"], ["command:x"]]))
        if len(self.statuses) < 12:
            after = [self._any_job(draw)] if draw(st.booleans()) and self.statuses else []
            awaited = [
                Dependency(of_run=job.run_id, of_job=draw(st.sampled_from([job.id, None])), any_end=draw(st.booleans()))
                for job in after
            ]
            self._submit(names, report=draw(st.booleans()), hours=draw(st.sampled_from([None, 1, 9])), after=awaited)

    def _submit(self, names: list[str], *, report: bool, hours: int | None, after: Sequence[Dependency] = ()) -> None:
        run = Run(plan="test", night="2026-11-22", created_at=self.at, snapshot={"plan": {}}, warnings=[])
        run.number, run.id = queries.next_number(), queries.fresh_run_id(run.night, "test")
        run.deadline = None if hours is None else self.at + dt.timedelta(hours=hours)
        rows = [
            Job(run=run, name=name, kind=name.partition(":")[0], place=place, params={})
            for place, name in enumerate([*names, *(["report"] if report else [])])
        ]
        for job in rows:
            job.max_attempts = 1 if job.kind == "command" else None
        queue.submit(run, rows, after)

    def the_owner_steers(self, draw: Draw) -> None:
        what = draw(
            st.sampled_from(["cancel", "cancel", "cancel the run", "pause", "pause an hour", "resume", "resume"])
        )
        if what == "cancel":
            queue.cancel([self._any_job(draw)], self.at)
        elif what == "cancel the run":
            queue.cancel_run(self._any_job(draw).run, self.at)
        elif what == "resume":
            queue.resume(HERE)
        else:
            queue.pause(HERE, self.at, self.at + dt.timedelta(hours=1) if "hour" in what else None)

    def the_owner_retries(self, draw: Draw) -> None:
        settled = [job_id for job_id, status in self.statuses.items() if status in SETTLED]
        job = Job.get_by_id(draw(st.sampled_from(settled or sorted(self.statuses))))
        try:
            revived = queue.retry([job], fresh=draw(st.booleans()))
        except UsageError:
            assert job.status in OPEN
            return
        for row in revived:
            assert row.id == job.id or self.statuses[row.id] != Status.CANCELLED, "a cancelled report came back"
        self.retried = {row.id for row in revived}

    def the_clock_jumps(self, draw: Draw) -> None:
        """Time passes, the computer sleeps, or the clock is set back."""
        self.at += dt.timedelta(minutes=draw(st.sampled_from([1, 1, 30, 60 * 6, -60 * 5])))
        self.poll_due = True

    # -------------------------------------------------------------------------------------------------- the daemon

    def the_worker_goes_on(self, draw: Draw) -> None:
        self._work(looks=draw(st.booleans()), let_go=draw(st.booleans()))

    def _work(self, *, looks: bool, let_go: bool) -> None:
        if looks:
            wakeup.wake_if_due(HERE)
            self.poll_due = False
        self.working = self.working or self.huey.storage.dequeue() is not None
        if self.working and not self._running():
            self._take_the_next_job(let_go)

    def _take_the_next_job(self, let_go: bool) -> None:
        """What `run_next` does before it starts a child."""
        job = None
        if not queries.paused(HERE, self.at):
            self.supervisor.skip_hopeless(self.at)
            job = transitions.claim(HERE, BOOT, self.at)
        if job is None:
            self.working = False
            return
        assert job.kind != "report" or not queries.round_is_open(job)
        assert job.kind == "report" or not any(map(self._is_unmet, dependencies.of_run(job.run_id)))
        assert not job.run.deadline or job.kind == "report" or self.at < self.supervisor.limit(job.run)
        if let_go:
            transitions.record_child(job, 4242, 1.0)
        self.contexts.append(self._context(job))

    def the_child_ends_well(self, _draw: Draw) -> None:
        if job := self._running():
            main._commit(self._context(job), Outcome())
            self._finish(job, None, 0)

    def the_child_ends(self, draw: Draw) -> None:
        job = self._running()
        why = draw(st.sampled_from([None, None, None, *(why for why in EndReason if why is not EndReason.OWN_FAILURE)]))
        code = draw(st.sampled_from([0, 0, 0, 1, -9, -9]))
        if job is None:
            return
        if why is EndReason.CANCEL and not job.cancel_requested:
            why = None
        if why is EndReason.DEADLINE and not job.run.deadline:
            why = EndReason.WATCHDOG
        if why is EndReason.TIMEOUT:
            job.timeout_s = 5
            job.save()
        self._finish(job, why, code)

    def _finish(self, job: Job, why: EndReason | None, code: int) -> None:
        was_open = job.kind == "report" and queries.round_is_open(job)
        self.supervisor.attempt(job).finish(why, code)
        after = Job.get_by_id(job.id)
        assert after.status != Status.RUNNING
        assert not (was_open and after.status == Status.SUCCEEDED), "a report ended that had not seen all of its round"

    def the_daemon_dies_and_is_started_again(self, _draw: Draw | None = None) -> None:
        recovery.recover(self.home)
        assert not self._running()
        self.working, self.poll_due = False, False

    # --------------------------------------------------------------------------------------------------- children

    def a_child_commits_a_piece(self, draw: Draw) -> None:
        """Whichever child this is: one of an attempt that is over must be refused."""
        context = draw(st.sampled_from([None, *self.contexts][-3:]))
        if context is None:
            return
        try:
            with context.checkpoint():
                piece = f"INSERT INTO piece VALUES ({database.db.param}, {database.db.param})"
                database.db.execute_sql(piece, (context.job_id, context.attempt))
            context.progress(1, 1, "piece")
        except StaleAttempt:
            assert not self._is_current(context)
        else:
            assert self._is_current(context)
            self.pieces += 1

    def a_child_commits_its_outcome(self, draw: Draw) -> None:
        context, ok = draw(st.sampled_from([None, *self.contexts][-3:])), draw(st.sampled_from([True, True, False]))
        if context is None:
            return
        proposes = draw(st.booleans()) and context.round < 3
        again = (("evaluate", JobSpec(name="evaluate:again")),) if proposes else ()
        try:
            main._commit(context, Outcome(ok=ok, reason="" if ok else "it did not go well", next_round=again))
        except StaleAttempt:
            assert not self._is_current(context)
        else:
            assert self._is_current(context)

    # ------------------------------------------------------------------------------------------------- what holds

    @invariant()
    def no_job_is_lost_and_what_is_settled_stays_so(self) -> None:
        rows = {job.id: job for job in Job.select()}
        assert set(self.statuses) <= set(rows)
        for job_id, job in rows.items():
            now, before = Status(job.status), self.statuses.get(job_id)
            assert job.attempt >= self.attempts.get(job_id, 0)
            assert job.starts_without_progress <= MAX_STARTS_WITHOUT_PROGRESS
            assert before in (None, *OPEN) or now == before or job_id in self.retried, f"{before} became {now}"
            self.statuses[job_id], self.attempts[job_id] = now, job.attempt
        self.retried = set()

    @invariant()
    def at_most_one_job_runs(self) -> None:
        assert Job.select().where(Job.status == Status.RUNNING).count() <= 1

    @invariant()
    def no_stale_attempt_wrote(self) -> None:
        assert database.db.execute_sql(COUNT).fetchone()[0] == self.pieces

    @invariant()
    def a_round_has_one_report_at_most(self) -> None:
        reports = Job.select(Job.run, Job.round).where(Job.kind == "report").tuples()
        assert len(set(reports)) == len(reports)

    @invariant()
    def somebody_will_come_for_what_is_due(self) -> None:
        if self._running() or queries.paused(HERE, self.at) or queries.next_due(HERE, self.at) is None:
            return
        assert self.working or self.poll_due or self.huey.storage.queue_size()

    # --------------------------------------------------------------------------------------------------- helpers

    def _any_job(self, draw: Draw) -> Job:
        return Job.get_by_id(draw(st.sampled_from(sorted(self.statuses))))

    def _running(self) -> Job | None:
        return Job.get_or_none(Job.status == Status.RUNNING)

    def _is_current(self, context: JobContext) -> bool:
        job = Job.get_by_id(context.job_id)
        return bool(job.status == Status.RUNNING and job.attempt == context.attempt)

    def _is_unmet(self, dependency: Dependency) -> bool:
        """Whether a run that waits for this must not begin."""
        statuses = {Status(job.status) for job in dependencies.targets(dependency)}
        return bool(statuses & set(OPEN) if dependency.any_end else statuses != {Status.SUCCEEDED})

    def _context(self, job: Job) -> JobContext:
        return JobContext(
            home=self.home,
            run_id=job.run_id,
            job_id=job.id,
            job_name=job.name,
            attempt=job.attempt,
            round=job.round,
            params={},
            plan={},
            folder=self.home.run_folder(job.run_id),
            ends_by=None,
            log=logging.getLogger("test"),
        )

    def _to_the_end(self) -> None:
        """However it came to this, the daemon alone brings every run to its end, and every run has its report."""
        queue.resume(HERE)
        self.the_daemon_dies_and_is_started_again()
        for _ in range(60):
            if not Job.select().where(Job.status.in_(OPEN)).exists():
                break
            self.at += dt.timedelta(seconds=31)
            self._work(looks=True, let_go=True)
            while job := self._running():
                main._commit(self._context(job), Outcome())
                self.supervisor.attempt(job).finish(None, 0)
                self._work(looks=False, let_go=True)
        assert [job.name for job in Job.select().where(Job.status.in_(OPEN))] == []
        self.no_job_is_lost_and_what_is_settled_stays_so()
        assert all(Status(job.status) in SETTLED for job in Job.select())


class ServerQueue(Queue):
    """The same on a PostgreSQL server."""

    cluster: postgres.Cluster
    address: str

    def _open(self) -> None:
        self.cluster.empty(self.address)
        database.connect(self.home.database, server=self.address)
        (self.home.var / "machine-id").write_text(HERE)
        ahead = START + dt.timedelta(days=3650)  # the only machine never counts as lost
        Machine.create(id=HERE, name=HERE, version="0", facts={}, seen_at=ahead, turned_at=ahead)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=25, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestServerQueue = pytest.mark.usefixtures("server_queue")(ServerQueue.TestCase)
TestServerQueue.settings = settings(TestQueue.settings, max_examples=6)
