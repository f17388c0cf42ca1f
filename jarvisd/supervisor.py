"""One job = one child process: start it, watch it, end its whole tree, settle its row.

The return code and the committed outcome decide how a job ended, never the absence of an exception. What the child
may see of us is a pipe: when the daemon dies, however it dies, the pipe ends and the child ends itself.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from jarvisd import (
    admission,
    aftermath,
    crash,
    disk,
    fallback,
    files,
    ledger,
    machine,
    many,
    overview,
    processes,
    queries,
    queue,
    stories,
    vitals,
)
from jarvisd.home import Home
from jarvisd.ledger import MAX_FRUITLESS, Job, Run, Status
from jarvisd.settings import Settings

_log = logging.getLogger("jarvisd.supervisor")

LOOK_EVERY_S = 0.2
SAMPLE_EVERY_S = 1.0
#: A job's log stops growing here: a program that prints without end must not fill the disk.
LARGEST_LOG_MB = 512
#: Between two tries to start a job that a full disk did not let start.
FULL_DISK_S = 15
#: Longest time a child gets to finish its piece when it is asked to stop.
GRACE_S = 8.0


@dataclass
class Supervisor:
    """Takes due rows one by one until it is asked to stop."""

    home: Home
    machine_id: str
    settings: Settings
    stopping: threading.Event
    owns: Callable[[], bool] = lambda: True  #: whether the daemon's lock is still the one that others see
    awake: machine.Awake = field(default_factory=machine.Awake)

    def work(self) -> None:
        """Do every due job, one after the other, until none is left or the daemon stops."""
        crash.point("ring.taken")
        try:
            while self.run_next():
                pass
        finally:
            self.awake.release()

    def run_next(self) -> bool:
        """Do the next due job. False when there is none, this machine is paused, or the daemon is stopping."""
        moment = ledger.now()
        if self.stopping.is_set() or not self.owns() or ledger.paused(self.machine_id, moment):
            return False
        self._skip_overdue(moment)
        due = ledger.next_due(self.machine_id, moment)
        if due is None:
            return False
        if self._waits(due, moment):
            return True
        self.awake.hold()
        at = ledger.now()  # looking took its time, and the Mac may have slept
        job = ledger.claim(self.machine_id, machine.boot_id(), at, admitted=due)
        if job is None:
            return False
        try:
            self._begin(job)
            Watch(self, job).run()
        except Exception as error:
            _log.exception("job %d could not be supervised", job.id)
            self._rescue(job, disk.trouble(error) or type(error).__name__)
        return True

    def _rescue(self, job: Job, what: str) -> None:
        """Our own work around a job failed (a full disk, a folder that is gone): its row must not stay `running`."""
        while not self.stopping.is_set():
            try:
                row = Job.get_by_id(job.id)
                reason = f"jarvisd could not run it ({what}); see jarvisd.log, then `jarvisctl retry {job.id}`"
                if row.status == Status.RUNNING and not settle_as_committed(self.home, row):
                    if what == disk.FULL and row.pid is None:  # its child was never let go
                        again = ledger.now() + dt.timedelta(seconds=FULL_DISK_S)
                        queue.requeue(row, f"waiting: {what}", never_ran=True, not_before=again)
                    else:
                        end_job(self.home, row, Status.FAILED, reason)
                return
            except Exception as error:  # the disk may still be full: try until it is not
                _log.error("cannot settle job %d: %s", job.id, disk.trouble(error) or type(error).__name__)
                self.stopping.wait(5)

    # ---------------------------------------------------------------------------------------------- before a claim

    def limit(self, run: Run) -> dt.datetime | None:
        return queries.ends_by(run, self.settings.report.reserve_minutes)

    def _skip_overdue(self, moment: dt.datetime) -> None:
        for run in queries.with_deadline():
            limit = self.limit(run)
            if limit is not None and moment >= limit:
                reason = f"not started: the run had to end by {_clock(run.deadline)}"
                self._skip(run, queries.waiting_jobs(run), reason, moment)

    def _skip(self, run: Run, jobs: list[Job], reason: str, moment: dt.datetime) -> None:
        jobs = queue.skip(jobs, reason, moment)
        if not jobs:  # their owner was quicker
            return
        names = ", ".join([*(job.name for job in jobs[:10]), *["..."] * (len(jobs) > 10)])
        stories.tell(self.home, run.id, f"{len(jobs):,} skipped, {reason}: {names}")
        _log.info("%d jobs of %s skipped: %s", len(jobs), run.id, reason)
        _if_settled(self.home, run)

    def _waits(self, job: Job, moment: dt.datetime) -> bool:
        """Whether the next job, and what lacks the same, was put off or given up because of what it lacks."""
        lack = admission.lack(job, self.settings)
        if lack is None:
            return False
        # Up to the look that was planned for now: hours of sleep and a clock that was set count for nothing.
        waited = job.not_before - job.waiting_since if job.not_before and job.waiting_since else dt.timedelta()
        jobs = queries.waiting_like(job) if lack.of_all else [job]
        if waited >= lack.patience:
            self._skip(job.run, jobs, lack.given_up, moment)
        else:
            again = moment + dt.timedelta(seconds=self.settings.memory.look_every_s)
            many.put_off(jobs, lack.waiting, until=again, since=moment - waited)
        return True

    def _begin(self, job: Job) -> None:
        """The run's folder exists from its first job on, and `latest` follows the newest run that has started."""
        folder = stories.make_folder(self.home, job.run_id)
        crash.point("begin.folder-made")
        newest = queries.newest_started()
        if newest is not None and newest.id == job.run_id:
            try:
                if not (folder / "REPORT.md").exists():
                    fallback.running_page(self.home, job.run)
                files.point(self.home.latest, job.run_id)
            except OSError as error:  # the night is worth more than a link to it
                _log.warning("results/latest cannot point to %s: %s", job.run_id, error.strerror)
        if not stories.story(self.home, job.run_id).exists():
            for line in overview.opening(job.run):
                stories.tell(self.home, job.run_id, line)
        again = f" (attempt {job.attempt})" if job.attempt > 1 else ""
        round_ = f", round {job.round}" if job.round > 1 else ""
        stories.tell(self.home, job.run_id, f"{job.name} begins{round_}{again}")
        _log.info("job %d %s begins, attempt %d", job.id, job.name, job.attempt)


class Watch:
    """One attempt of one job, from the start of its child to its settled row."""

    def __init__(self, supervisor: Supervisor, job: Job) -> None:
        self.home, self.settings = supervisor.home, supervisor.settings
        self.stopping = supervisor.stopping
        self.job = job
        self.limit = None if job.kind == "report" else supervisor.limit(job.run)
        self.began = time.monotonic()
        self.vitals = vitals.Vitals(job, self.settings, self._tell, self.began)

    def run(self) -> None:
        free, wanted = machine.free_disk_mb(self.home.var), self.settings.disk.keep_free_mb
        if free < wanted and self.job.kind != "report":
            reason = f"too little disk: {free:,} MB are free, {wanted:,} MB are wanted. Free some and retry"
            self._settle(Status.FAILED, reason, None)
        elif self.stopping.is_set():
            queue.requeue(self.job, None, never_ran=True)
        else:
            self._conclude(*self._attend())

    # ------------------------------------------------------------------------------------------------ the child

    def _attend(self) -> tuple[str, int]:
        """Start the child and stay with it: why it was ended ("" when by itself) and its exit code.

        However this ends, also with an exception of our own, nothing of the child's tree is left.
        """
        theirs, ours = os.pipe()
        child: subprocess.Popen[bytes] | None = None
        why = "our own failure"
        try:
            crash.point("child.before-start")
            try:
                child = self._start(theirs)
            finally:
                os.close(theirs)
            crash.point("child.started")
            ledger.record_child(self.job, child.pid, processes.started_at(child.pid))
            crash.point("child.recorded")
            with contextlib.suppress(BrokenPipeError):  # it has ended already; its exit code says how
                os.write(ours, b"g")
            crash.point("child.let-go")
            why = self._watch(child)
            crash.point("child.ended")
        finally:
            if child is not None:
                processes.end_tree(child.pid, self.job.token, GRACE_S if why else 0.2)
                child.wait()
            os.close(ours)
        crash.point("tree.ended")
        return why, child.returncode

    def _start(self, lifeline: int) -> subprocess.Popen[bytes]:
        """Start the child. It does nothing until its identity is in the ledger and "g" comes down the pipe."""
        job = self.job
        words = [sys.executable, "-P", "-m", "jarvisd.worker", str(job.id), "--home", str(self.home.root)]
        words += ["--attempt", str(job.attempt), "--token", job.token, "--lifeline", str(lifeline)]
        with self.open_log() as log:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home.run_folder(job.run_id),
                env=processes.child_environment(preload_blas=job.preload_blas) | {processes.TOKEN: job.token},
                pass_fds=(lifeline,),
                start_new_session=True,
            )

    def open_log(self) -> IO[bytes]:
        path: Path = self.home.job_log(self.job.id)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        return os.fdopen(os.open(path, flags, 0o600), "ab")

    def _watch(self, child: subprocess.Popen[bytes]) -> str:
        """Wait for the child's end. Returns why it must be ended, or "" when it ended by itself."""
        sampled = 0.0
        while True:
            try:
                child.wait(timeout=LOOK_EVERY_S)
                return ""
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() - sampled >= SAMPLE_EVERY_S:
                sampled = time.monotonic()
                if self.vitals.take(vitals.sample(self.home, self.job, child.pid), sampled):
                    return "vitals"
            if why := self._reason_to_end():
                return why

    def _reason_to_end(self) -> str:
        if self.stopping.is_set():
            return "stop"
        if ledger.cancel_wanted(self.job):
            return "cancel"
        if self.limit is not None and ledger.now() >= self.limit:
            return "deadline"
        if self.job.timeout_s is not None and time.monotonic() - self.began > self.job.timeout_s:
            return "timeout"
        log = self.home.job_log(self.job.id)
        if log.exists() and log.stat().st_size > LARGEST_LOG_MB * 1024 * 1024:
            return "log"
        return ""

    # ----------------------------------------------------------------------------------------------- its settling

    def _conclude(self, why: str, code: int) -> None:
        """Settle the row from the reason we ended the child, its exit code and its committed outcome."""
        job = self.job = Job.get_by_id(self.job.id)
        outcome = committed(job)
        if outcome:
            self.vitals.peak_mb = max(self.vitals.peak_mb, int(outcome["peak_memory_mb"]))
        if outcome and outcome["ok"] and code == 0:
            self._settle(Status.SUCCEEDED, outcome["reason"] or None, code)
        elif why == "cancel":
            self._settle(Status.CANCELLED, "cancelled by its owner", code)
        elif why == "stop":
            self._stopped(code)
        elif why == "deadline":
            reason = f"the run had to end by {_clock(job.run.deadline)}; what was finished is kept"
            self._settle(Status.STOPPED, reason, code)
        elif why == "timeout":
            self._settle(Status.FAILED, f"it took longer than its limit of {job.timeout_s:,} s", code)
        elif why == "vitals":
            self._settle(Status.FAILED, self.vitals.verdict, code)
        elif why == "log":
            self._settle(Status.FAILED, f"it printed more than {LARGEST_LOG_MB} MB", code)
        elif outcome and not outcome["ok"]:
            self._settle(Status.FAILED, outcome["reason"] or "it gave no reason", code)
        else:
            self._crashed(code)

    def _stopped(self, code: int) -> None:
        """The daemon stops: not a failure, the start is given back. A command that may run once is not run twice."""
        job = self.job
        if job.attempts is not None and not may_start_again(job):
            self._settle(Status.FAILED, "interrupted: jarvisd was stopped, and it has no attempt left", code)
            return
        given_back = {"fruitless": max(0, job.fruitless - 1), "attempts_from": job.attempts_from + 1}
        queue.requeue(job, "interrupted: jarvisd was stopped", **given_back)
        self._tell(f"{job.name} interrupted: jarvisd is stopping")

    def _crashed(self, code: int) -> None:
        """The child ended without a valid outcome: what a crash leaves, or a job kind that ends the process."""
        job, cause = self.job, likeliest_cause(code)
        if code > 0 or not may_start_again(job):
            self._settle(Status.FAILED, cause, code)
            return
        restart = self.settings.restart
        pause = dt.timedelta(seconds=restart.first_pause_s if job.fruitless < 2 else restart.next_pause_s)
        queue.requeue(job, f"starts again: {cause}", fruitless=job.fruitless, not_before=ledger.now() + pause)
        self._tell(f"{job.name} will start again: {cause}")

    def _settle(self, status: Status, reason: str | None, code: int | None) -> None:
        peak_mb, seconds = self.vitals.peak_mb, time.monotonic() - self.began
        measured = {"exit_code": code, "peak_memory_mb": peak_mb or None, "took_s": round(seconds, 3)}
        took = f" after {seconds:.1f} s, peak memory {peak_mb:,} MB"
        end_job(self.home, self.job, status, reason, took=took, **measured)

    def _tell(self, line: str) -> None:
        stories.tell(self.home, self.job.run_id, line)


def end_job(
    home: Home, job: Job, status: Status, reason: str | None, *, took: str = "", **fields: float | None
) -> None:
    """Settle a job, tell the run's story, and leave a plain report where the report itself could not be had."""
    if job.kind == "report" and status != Status.SUCCEEDED:
        fallback.plain_report(home, job.run, reason or str(status), keep=status == Status.CANCELLED)
    queue.settle(job, status, reason, ledger.now(), **fields)
    stories.tell(home, job.run_id, f"{job.name} {status}{took}{f': {reason}' if reason else ''}")
    _log.info("job %d %s %s%s", job.id, job.name, status, took)
    crash.point("settle.told")
    _if_settled(home, job.run)


def _if_settled(home: Home, run: Run) -> None:
    if ledger.is_settled(run.id):
        stories.tell(home, run.id, overview.ending(run))
        aftermath.run_settled(home, run)


def committed(job: Job) -> dict[str, Any] | None:
    """The outcome that the job's current attempt has committed, if it came that far."""
    outcome: dict[str, Any] | None = job.outcome
    return outcome if outcome and outcome["attempt"] == job.attempt else None


def settle_as_committed(home: Home, job: Job) -> bool:
    """Settle a job whose child had committed its outcome before we could. False when it had not."""
    outcome = committed(job)
    if outcome is None or not outcome["ok"]:
        return False
    end_job(home, job, Status.SUCCEEDED, outcome["reason"] or None, peak_memory_mb=int(outcome["peak_memory_mb"]))
    return True


def may_start_again(job: Job) -> bool:
    """Whether an attempt that ended without an end of the job is followed by another one."""
    if job.attempts is not None:
        return bool(job.attempt - job.attempts_from < job.attempts)
    return bool(job.fruitless < MAX_FRUITLESS)


def likeliest_cause(code: int) -> str:
    """What a person should think of first, from the exit code of a child that left no outcome."""
    if code >= 0:
        return f"its process ended with exit code {code} and left no outcome; `jarvisctl logs` shows why"
    number = -code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    causes = {
        "SIGKILL": "the system, or somebody, killed it (SIGKILL), most likely for want of memory",
        "SIGSEGV": "it crashed in native code (SIGSEGV)",
        "SIGABRT": "native code gave up (SIGABRT), often for want of memory on the GPU",
    }
    return causes.get(name, f"it was ended by {name}")


def _clock(moment: dt.datetime) -> str:
    return moment.astimezone().strftime("%H:%M")
