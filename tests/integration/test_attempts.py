"""One attempt of one job: how it ends, what it leaves, and what a daemon finds of an earlier life."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from jarvisd import logs
from jarvisd.daemon import main, recovery, watchdog
from jarvisd.daemon import outcome as outcomes
from jarvisd.daemon.attempt import EndReason
from jarvisd.daemon.heartbeat import Heartbeat
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.host import disk_errors, files, machine
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, queries, queue, transitions
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker import main as worker
from jarvisd.worker.exit_codes import ExitCode
from jobs import command
from jobs.command import program
from tests import claiming
from tests.claiming import claimed, due, finish

MakeRun = Callable[..., Run]


def test_a_child_that_could_not_be_written_down_is_not_left_behind(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine")
    job, children = claimed(), []

    def full(_job: Job, pid: int, _started: float) -> None:
        children.append(psutil.Process(pid))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transitions, "record_child", full)
    logs.make_folder(home, job.run_id)
    with pytest.raises(OSError, match="No space"):
        Supervisor(home, "here", Settings(), threading.Event()).attempt(job).run_child()
    assert [child.is_running() for child in children] == [False]


def test_a_report_that_could_not_be_written_leaves_a_page_that_says_so(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine", "report")
    finish(claimed(), Status.FAILED)
    Supervisor(home, "here", Settings(), threading.Event()).attempt(claimed()).finish(None, 3)
    page = (home.run_folder(run.id) / "REPORT.md").read_text()
    assert "There is no report of this run: its process ended with exit code 3" in page
    assert "mine" in page
    assert f"jarvisctl retry {queries.jobs_of(run)[-1].id}" in page


@pytest.mark.parametrize("how", ["failed", "rescued", "recovered"])
def test_a_report_that_was_written_before_its_job_failed_stays(home: Home, make_run: MakeRun, how: str) -> None:
    run = make_run("report")
    service = Supervisor(home, "here", Settings(), threading.Event())
    job = claimed()
    service._begin(job)
    files.replace(home.run_folder(run.id) / "REPORT.md", "# The whole report")
    if how == "failed":
        service.attempt(job).finish(None, 3)
    elif how == "rescued":
        service._rescue(job, "KeyError")
    else:
        Job.update(pid=4242, token="none", starts_without_progress=transitions.MAX_STARTS_WITHOUT_PROGRESS).execute()
        recovery.recover(home)
    assert Job.get().status == Status.FAILED
    assert (home.run_folder(run.id) / "REPORT.md").read_text() == "# The whole report"


def test_a_report_of_an_earlier_attempt_gives_way_to_the_page_that_says_why_this_one_failed(
    home: Home, make_run: MakeRun
) -> None:
    run = make_run("report")
    page = files.replace(home.run_folder(run.id) / "REPORT.md", "# The report of the first attempt")
    os.utime(page, (1000, 1000))
    service = Supervisor(home, "here", Settings(), threading.Event())
    service.attempt(claimed()).finish(None, 3)
    assert "There is no report of this run" in page.read_text()


def test_a_program_that_prints_without_end_is_ended_with_that_reason(home: Home, make_run: MakeRun) -> None:
    make_run("command:yes")
    watch = Supervisor(home, "here", Settings(), threading.Event()).attempt(claimed())
    with home.job_log(watch.job.id).open("wb") as log:
        log.truncate(512 << 20)
        assert watch._reason_to_end() is None
        log.truncate((512 << 20) + 1)
    assert watch._reason_to_end() is EndReason.LOG_TOO_LARGE
    watch.finish(EndReason.LOG_TOO_LARGE, -signal.SIGTERM)
    assert (Job.get().status, Job.get().reason) == (Status.FAILED, "it printed more than 512 MB")


def test_progress_in_the_ledger_and_in_the_log_are_signs_of_life(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    job = claimed()
    seen = [watchdog.sample(home, job, os.getpid()).progress]
    Job.update(done=1, total=13).execute()
    seen.append(watchdog.sample(home, job, os.getpid()).progress)
    home.job_log(job.id).write_text("a line")
    seen.append(watchdog.sample(home, job, os.getpid()).progress)
    assert len(set(seen)) == 3


@pytest.mark.parametrize(("part", "short"), [(2, False), (30, False), (40, True)])
def test_a_sample_says_whether_the_computer_itself_is_short_of_memory(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, part: int, short: bool
) -> None:
    make_run("mine")
    job, memory = claimed(), psutil.virtual_memory()
    monkeypatch.setattr(machine, "MACOS", False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=memory.total // part))
    assert watchdog.sample(home, job, os.getpid()).pressed is short


def committed(job: Job) -> None:
    """What its child has committed last: that it went well."""
    outcome = {"attempt": job.attempt, "ok": True, "reason": "", "peak_memory_mb": 70, "next_round": []}
    Job.update(outcome=outcome).where(Job.id == job.id).execute()


def test_what_a_child_had_committed_before_its_daemon_died_counts_and_is_not_done_again(
    home: Home, make_run: MakeRun
) -> None:
    make_run("command:x")
    Job.update(max_attempts=1).execute()
    job = claimed()
    transitions.record_child(job, 4242, 1.0)
    committed(job)
    recovery.recover(home)
    assert (Job.get().status, Job.get().attempt, Job.get().peak_memory_mb) == (Status.SUCCEEDED, 1, 70)


def test_the_peak_that_a_child_measured_itself_counts_where_no_sample_saw_it(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    watch = Supervisor(home, "here", Settings(), threading.Event()).attempt(claimed())
    watch.watchdog.peak_mb = 12
    committed(watch.job)
    watch.finish(None, 0)
    assert (Job.get().status, Job.get().peak_memory_mb) == (Status.SUCCEEDED, 70)


@pytest.mark.parametrize(("word", "code", "does"), [(b"g", 0, True), (b"", 3, False)], ids=["go", "daemon gone"])
def test_a_child_does_nothing_before_its_daemon_has_written_it_down(
    home: Home, make_run: MakeRun, word: bytes, code: int, does: bool
) -> None:
    run = make_run("command:x")
    touched = home.root / "touched"
    params = {"program": ["touch", str(touched)], "cwd": "/", "env": {"PATH": os.environ["PATH"]}}
    Job.update(params=params).execute()
    job = claimed()
    logs.make_folder(home, run.id)
    read_end, write_end = os.pipe()
    words = [sys.executable, "-m", "jarvisd.worker", str(job.id), "--home", str(home.root), "--attempt", "1"]
    words += ["--token", job.token, "--lifeline", str(read_end)]
    child = subprocess.Popen(words, pass_fds=(read_end,), start_new_session=True, stderr=subprocess.DEVNULL)
    os.close(read_end)
    os.write(write_end, word)
    if not word:
        os.close(write_end)
    assert child.wait(30) == code
    assert touched.exists() is does
    assert bool(Job.get().outcome) is does
    if word:
        os.close(write_end)


@pytest.mark.parametrize("what", ["stale", "not stored", "cancelled"])
def test_the_exit_code_of_a_child_says_why_it_stored_no_outcome(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run = make_run("command:x")
    script = "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()"
    changes = {
        "stale": "UPDATE job SET attempt = attempt + 1",
        "not stored": "ALTER TABLE job RENAME COLUMN outcome TO lost",
        "cancelled": "SELECT 'this program does not begin'",
    }
    program = [sys.executable, "-c", script, str(home.database), changes[what]]
    Job.update(params={"program": program, "cwd": "/", "env": {}}).execute()
    job = claimed()
    Job.update(cancel_requested=what == "cancelled").execute()
    logs.make_folder(home, run.id)
    lifeline, go = os.pipe()
    os.write(go, b"g")
    words = ["jarvisd.worker", str(job.id), "--home", str(home.root), "--attempt", "1"]
    monkeypatch.setattr(sys, "argv", [*words, "--token", job.token, "--lifeline", str(lifeline)])
    monkeypatch.setattr(worker, "PATIENCE_S", -1)
    monkeypatch.setattr(worker, "_die_with_daemon", lambda *_: None)
    before = signal.getsignal(signal.SIGTERM), os.umask(0o077)
    try:
        code = worker.main()
    finally:
        signal.signal(signal.SIGTERM, before[0])
        os.umask(before[1])
        os.close(lifeline)
        os.close(go)
    codes = {"stale": ExitCode.STALE_ATTEMPT, "not stored": ExitCode.NOT_STORED, "cancelled": ExitCode.CANCELLED}
    assert code == codes[what]
    assert len(set(ExitCode)) == len(ExitCode.__members__)


def test_a_job_that_was_cancelled_after_its_claim_never_begins(home: Home, make_run: MakeRun) -> None:
    make_run("command:x")
    touched = home.root / "touched"
    Job.update(params={"program": ["touch", str(touched)], "cwd": "/", "env": {"PATH": os.environ["PATH"]}}).execute()
    job = claimed()
    queue.cancel([job], database.now())
    logs.make_folder(home, job.run_id)
    attempt = Supervisor(home, "here", Settings(), threading.Event()).attempt(job)
    attempt.run_child()
    attempt.finish(None, ExitCode.CANCELLED)
    assert (Job.get().status, Job.get().reason) == (Status.CANCELLED, "cancelled by you")
    assert not touched.exists()


def test_what_an_earlier_attempt_committed_is_no_outcome_of_this_one(make_run: MakeRun) -> None:
    make_run("mine")
    committed(claimed())
    queue.requeue(Job.get(), None, starts_without_progress=1)
    kept = Job.get().outcome
    assert claimed().outcome is None
    assert Job.get().outcome is None
    Job.update(outcome=kept).execute()
    assert outcomes.committed(Job.get()) is None


# ---------------------------------------------------------------------------------------------- a failure of our own


def test_a_job_that_a_full_disk_kept_from_starting_waits_and_any_other_trouble_ends_it(
    home: Home, make_run: MakeRun
) -> None:
    make_run("mine", "evaluate:a")
    service = Supervisor(home, "here", Settings(), threading.Event())
    service._rescue(claimed(), disk_errors.FULL)
    waiting = Job.get(name="mine")
    assert (waiting.status, waiting.reason, waiting.starts_without_progress) == (
        Status.QUEUED,
        "waiting: the disk is full",
        0,
    )
    assert 0 < (waiting.not_before - database.now()).total_seconds() <= 15
    service._rescue(claimed(), "KeyError")
    ended = Job.get(name="evaluate:a")
    assert ended.status == Status.FAILED
    assert "jarvisd could not run it (KeyError)" in ended.reason


def test_a_row_that_cannot_be_settled_yet_is_tried_until_it_can(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine")
    service = Supervisor(home, "here", Settings(), threading.Event())
    tries, requeue = [], queue.requeue

    def at_last(job: Job, reason: str | None, **fields: Any) -> None:
        tries.append(job.id)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        requeue(job, reason, **fields)

    monkeypatch.setattr(queue, "requeue", at_last)
    monkeypatch.setattr(service.stopping, "wait", lambda _seconds: False)
    service._rescue(claimed(), disk_errors.FULL)
    assert len(tries) == 3
    assert Job.get().status == Status.QUEUED


def test_the_daemon_looks_again_after_a_look_that_failed(home: Home) -> None:
    looks: list[int] = []
    stopping = threading.Event()

    def owns() -> bool:
        looks.append(1)
        if len(looks) == 1:
            raise OSError(errno.EIO, "Input/output error")
        stopping.set()
        return True

    main._poll(Supervisor(home, "here", Settings(), stopping, owns), Heartbeat(home, "here"))
    assert len(looks) == 2


def test_a_program_that_ignores_the_request_to_stop_is_killed_by_its_own_job(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon would do it two seconds later, and know nothing of how the program ended."""
    make_run("command:x")
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    Job.update(params={"program": [sys.executable, "-c", stubborn], "cwd": "/", "env": {}}).execute()
    context = claiming.claim(home)
    context.stop.set()
    monkeypatch.setattr(program, "STOP_GRACE_S", 1.0)
    began = time.monotonic()
    outcome = command.run(context)
    assert (outcome.ok, outcome.summary) == (False, {"exit_status": -signal.SIGKILL})
    assert time.monotonic() - began < 20


# ------------------------------------------------------------------------------------ what an earlier life left running


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose command line cannot be read."""

    def denied(process: psutil.Process) -> list[str]:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", denied)
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield program
    program.kill()
    program.wait()


def left_running(stranger: subprocess.Popen[bytes], boot: str) -> None:
    """The job runs with that process for its child, says the ledger."""
    job = transitions.claim("here", boot, database.now())
    assert job is not None
    transitions.record_child(job, stranger.pid, 1.0)


def test_a_process_that_cannot_be_told_from_the_child_is_left_alone_and_so_is_its_job(
    home: Home, make_run: MakeRun, stranger: subprocess.Popen[bytes]
) -> None:
    make_run("mine")
    left_running(stranger, machine.boot_id())
    recovery.recover(home)
    assert stranger.poll() is None
    assert Job.get().status == Status.RUNNING
    assert due() is None


def test_after_a_restart_of_the_computer_no_pid_means_anything(
    home: Home, make_run: MakeRun, stranger: subprocess.Popen[bytes]
) -> None:
    make_run("mine")
    left_running(stranger, "an earlier boot")
    recovery.recover(home)
    assert stranger.poll() is None
    assert Job.get().status == Status.QUEUED
