"""The server of a shared database goes out of reach while a job runs, and comes back."""

from __future__ import annotations

import logging
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import peewee
import pytest

from jarvisd.daemon import outage as outages
from jarvisd.daemon import recovery
from jarvisd.daemon.attempt import Attempt
from jarvisd.daemon.outage import Outage
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.errors import OutOfReach
from jarvisd.operations import this_machine
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.registry import Outcome
from jarvisd.store import database, location, migrations, queue, transitions
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker import main as worker
from jarvisd.worker.exit_codes import LIFELINE_OUT_OF_REACH, ExitCode
from tests import claiming, fleets
from tests.postgres import Cluster

MakeRun = Callable[..., Run]

pytestmark = pytest.mark.parametrize("home", ["postgres"], indirect=True)

#: How long the server is down; nothing waits for longer than it must.
DOWN_S = 1.0


def stop(cluster: Cluster) -> None:
    cluster.ctl("-m", "fast", "stop")


def start(cluster: Cluster) -> None:
    """With the options that it was started with."""
    cluster.ctl("-l", str(cluster.folder / "log"), "restart")


@contextmanager
def down(cluster: Cluster) -> Iterator[None]:
    stop(cluster)
    try:
        yield
    finally:
        start(cluster)


@contextmanager
def down_for_a_while(cluster: Cluster) -> Iterator[None]:
    """The server is down when this begins, and comes back by itself."""
    stop(cluster)
    back = threading.Timer(DOWN_S, start, [cluster])
    back.start()
    try:
        yield
    finally:
        back.join()


def connect(home: Home, *, reach_s: float = 60.0) -> None:
    """As a child does."""
    database.connect(home.database, server=location.server(home), patience_s=reach_s, reach_s=reach_s)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(outages, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(outages, "LONGEST_PAUSE_S", 0.2)


# ---------------------------------------------------------------------------------------------------------- the child


def test_a_child_keeps_what_it_finished_until_the_server_is_back(
    home: Home, make_run: MakeRun, cluster: Cluster
) -> None:
    make_run("mine")
    context = claiming.claim(home)
    connect(home)
    with down_for_a_while(cluster), context.checkpoint():
        Job.update(note="kept").where(Job.id == context.job_id).execute()
    assert Job.get().note == "kept"
    assert not database.was_out_of_reach()


def test_a_child_waits_to_read_too(home: Home, make_run: MakeRun, cluster: Cluster) -> None:
    make_run("mine")
    connect(home)
    assert Job.get().name == "mine"
    with down_for_a_while(cluster):
        assert Job.get().name == "mine"


def test_a_child_gives_up_after_a_while(home: Home, make_run: MakeRun, cluster: Cluster) -> None:
    make_run("mine")
    context = claiming.claim(home)
    connect(home, reach_s=0.3)
    with down(cluster):
        began = time.monotonic()
        with pytest.raises(peewee.OperationalError) as caught, context.checkpoint():
            pass
        assert database.is_out_of_reach(caught.value)
        assert database.was_out_of_reach()
        assert time.monotonic() - began < 10


def test_progress_is_dropped_and_does_not_wait(home: Home, make_run: MakeRun, cluster: Cluster) -> None:
    make_run("mine")
    context = claiming.claim(home)
    connect(home)
    with down(cluster):
        began = time.monotonic()
        context.progress(1, 3)
        assert time.monotonic() - began < 5
    assert not database.was_out_of_reach()
    assert Job.get().done is None


@pytest.fixture
def child(home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], tuple[int, bytes]]]:
    """Runs a claimed job as a child would, in this process: its exit code, and what it wrote into its lifeline."""
    make_run("mine")
    job = claiming.claimed()
    (home.run_folder(job.run_id)).mkdir(parents=True)
    ours, daemons = socket.socketpair()

    def call() -> tuple[int, bytes]:
        words = [str(job.id), "--home", str(home.root), "--attempt", "1", "--token", job.token]
        monkeypatch.setattr(sys, "argv", ["worker", *words, "--lifeline", str(ours.fileno())])
        monkeypatch.setattr(worker, "_die_with_daemon", lambda *_words: None)
        daemons.send(b"g")
        code = worker.main()
        daemons.setblocking(False)
        try:
            return int(code), daemons.recv(1)
        except BlockingIOError:
            return int(code), b""

    yield call
    ours.close(), daemons.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "REACH_S", 0.3)


Child = Callable[[], tuple[int, bytes]]


@pytest.mark.usefixtures("impatient")
def test_a_child_says_that_the_database_was_out_of_reach(
    child: Child, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome cannot be stored; also where the job's own code fails for it, whatever it says then."""
    for ok in (True, False):

        def work(_context: object, ok: bool = ok) -> Outcome:
            if ok:
                stop(cluster)
                return Outcome()
            stop(cluster)
            try:
                Job.get()
            except peewee.OperationalError:
                start(cluster)
                return Outcome(ok=False, reason="the report could not be written")
            raise AssertionError("the server is down")

        monkeypatch.setattr(worker, "_entry", lambda _kind, work=work: work)
        try:
            assert child() == (ExitCode.OUT_OF_REACH, LIFELINE_OUT_OF_REACH)
        finally:
            start(cluster)
        assert Job.get().outcome is None


@pytest.mark.usefixtures("impatient")
def test_a_child_that_cannot_even_begin_says_so_too(child: Child, cluster: Cluster) -> None:
    with down(cluster):
        assert child() == (ExitCode.OUT_OF_REACH, LIFELINE_OUT_OF_REACH)


def test_a_child_stores_its_outcome_when_the_server_is_back(
    child: Child, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Timer] = []

    def work(_context: object) -> Outcome:
        stop(cluster)
        threads.append(threading.Timer(DOWN_S, start, [cluster]))
        threads[0].start()
        assert Job.get().name == "mine"
        return Outcome()

    monkeypatch.setattr(worker, "_entry", lambda _kind: work)
    try:
        assert child() == (ExitCode.SUCCEEDED, b"")
    finally:
        threads[0].join()
    assert Job.get().outcome["ok"] is True


# --------------------------------------------------------------------------------------------------------- the daemon


def attempt(home: Home, job: Job) -> Attempt:
    return Attempt(job, home, Settings(), threading.Event(), None)


def test_a_job_that_ended_out_of_reach_is_put_back_uncounted(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    made = attempt(home, claiming.claimed())
    made.last_word = LIFELINE_OUT_OF_REACH
    made.finish(None, ExitCode.OUT_OF_REACH)
    job = Job.get()
    assert (job.status, job.reason) == (Status.QUEUED, "starts again: the database was out of reach")
    assert (job.starts_without_progress, job.not_before) == (0, None)


@pytest.mark.parametrize(("began", "status"), [(False, Status.QUEUED), (True, Status.FAILED)])
def test_a_job_with_a_limit_gets_its_attempt_back_unless_its_own_code_began(
    home: Home, make_run: MakeRun, began: bool, status: Status
) -> None:
    """A command is not run twice: it may have done all it had to do."""
    make_run("command:a")
    Job.update(max_attempts=1).execute()
    made = attempt(home, claiming.claimed())
    Job.update(work_began=began).execute()
    made.last_word = LIFELINE_OUT_OF_REACH
    made.finish(None, ExitCode.OUT_OF_REACH)
    job = Job.get()
    assert (job.status, job.attempt - job.attempt_base) == (status, int(began))


def test_a_job_whose_own_code_chose_that_exit_code_has_failed(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    attempt(home, claiming.claimed()).finish(None, ExitCode.OUT_OF_REACH)
    assert Job.get().status == Status.FAILED


def test_an_outcome_that_was_stored_although_its_answer_was_lost_counts(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    made = attempt(home, claiming.claimed())
    document = {"attempt": 1, "ok": True, "reason": "", "summary": {}, "peak_memory_mb": 1, "next_round": []}
    transitions.record_outcome(made.job.id, 1, document)
    made.last_word = LIFELINE_OUT_OF_REACH
    made.finish(None, ExitCode.OUT_OF_REACH)
    assert Job.get().status == Status.SUCCEEDED


@pytest.mark.usefixtures("quick")
def test_the_end_of_a_job_is_stored_when_the_server_is_back(home: Home, make_run: MakeRun, cluster: Cluster) -> None:
    make_run("mine")
    made = attempt(home, claiming.claimed())
    made.last_word = LIFELINE_OUT_OF_REACH
    made.run_child = lambda: (None, int(ExitCode.OUT_OF_REACH))  # type: ignore[method-assign]
    with down_for_a_while(cluster):
        made.run()
    assert Job.get().status == Status.QUEUED


@pytest.mark.usefixtures("quick")
def test_a_job_that_was_settled_although_the_answer_was_lost_is_settled_once(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("mine")
    made = attempt(home, claiming.claimed())
    made.run_child = lambda: (None, 1)  # type: ignore[method-assign]
    settle = queue.settle

    def settle_and_lose_the_answer(*words: object, **fields: object) -> None:
        settle(*words, **fields)  # type: ignore[arg-type]
        raise OutOfReach("no answer")

    monkeypatch.setattr(queue, "settle", settle_and_lose_the_answer)
    made.run()
    assert Job.get().status == Status.FAILED
    log = (home.run_folder(run.id) / "experiment.log").read_text()
    assert log.count("mine failed") == 1


@pytest.mark.usefixtures("quick")
def test_a_supervisor_claims_nothing_waits_and_puts_back_what_was_claimed(
    home: Home, make_run: MakeRun, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A claim whose answer was lost has no child, so its start is not counted. The log has both ends."""
    make_run("mine")
    fleets.join(machine := this_machine.identity(home))
    Job.update(pinned_to=machine).execute()
    supervisor = Supervisor(home, machine, Settings(), threading.Event())
    claim, ran = transitions.claim, []

    def lose_the_answer(*words: object, **fields: object) -> Job | None:
        claim(*words, **fields)  # type: ignore[arg-type]
        monkeypatch.setattr(transitions, "claim", claim)
        stop(cluster)
        threading.Timer(DOWN_S, start, [cluster]).start()
        return Job.get_or_none()

    def run_child(self: Attempt) -> tuple[None, int]:
        ran.append((self.job.attempt, self.job.starts_without_progress))
        return None, 1

    monkeypatch.setattr(transitions, "claim", lose_the_answer)
    monkeypatch.setattr(Attempt, "run_child", run_child)
    with caplog.at_level(logging.WARNING):
        supervisor.work()
    assert ran == [(2, 1)]
    lines = [record.message for record in caplog.records if record.name == "jarvisd.daemon.outage"]
    assert lines[0] == "the database on this computer is out of reach; nothing is started until it answers"
    assert lines[1].startswith("the database answers again, after ")
    assert len(lines) == 2


@pytest.mark.usefixtures("quick")
def test_a_job_whose_child_could_not_be_recorded_is_put_back(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not failed: its child was ended before it did anything."""
    make_run("mine")
    fleets.join(machine := this_machine.identity(home))
    ran = []

    def run_child(self: Attempt) -> tuple[None, int]:
        ran.append((self.job.attempt, self.job.starts_without_progress))
        if len(ran) == 1:
            raise OutOfReach("no answer")
        return None, 1

    monkeypatch.setattr(Attempt, "run_child", run_child)
    Supervisor(home, machine, Settings(), threading.Event()).work()
    assert ran == [(1, 1), (2, 1)]


def test_after_an_outage_only_what_ran_here_is_put_back(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    here = this_machine.identity(home)
    fleets.join(here), fleets.join("there")
    job = claiming.claimed()
    for machine, status in (("there", Status.RUNNING), (here, Status.QUEUED)):
        Job.update(machine=machine).where(Job.id == job.id).execute()
        recovery.after_outage(home)
        assert Job.get().status == status


# ------------------------------------------------------------------------------------------------------- what is asked


@pytest.mark.usefixtures("home")
def test_the_server_is_asked_after_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a second to a minute, each with a share of chance, so that not all machines ask at once."""
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    at = [0.0]
    monkeypatch.setattr(outages.time, "monotonic", lambda: at[0])
    outage, pauses = Outage(threading.Event()), []
    for _ in range(9):
        assert outage.begins(OutOfReach("no answer"))
        pauses.append(outage._next - at[0])
        assert not outage.may_ask()
        assert outage.answer(lambda: "asked", "not asked") == "not asked"
        at[0] = outage._next
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert outage.answer(lambda: "asked", "not asked") == "asked"
    assert outage.begins(OutOfReach("no answer"))
    assert outage._next - at[0] == 1


@pytest.mark.usefixtures("home")
def test_another_error_is_no_outage() -> None:
    outage = Outage(threading.Event())
    with pytest.raises(ZeroDivisionError):
        outage.answer(lambda: 1 / 0, 0.0)
    assert not outage.outlast(ValueError("no"))
    assert outage.may_ask()


@pytest.mark.usefixtures("home")
def test_a_daemon_that_stops_does_not_wait_for_the_server() -> None:
    (stopping := threading.Event()).set()
    assert not Outage(stopping).outlast(OutOfReach("no answer"))


def test_a_server_that_is_down_is_one_line_of_every_verb(home: Home, cluster: Cluster) -> None:
    with down(cluster), pytest.raises(OutOfReach, match=r"^the database on this computer is out of reach\. See that"):
        migrations.migrate(home)
