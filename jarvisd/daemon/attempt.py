"""One attempt of one job: start its child, watch it, end its whole process tree, settle its row."""

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
from pathlib import Path
from typing import IO

from jarvisd import failpoints, logs
from jarvisd.daemon import outcome as outcomes
from jarvisd.daemon import watchdog
from jarvisd.host import machine, processes
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, queries, queue, transitions
from jarvisd.store.models import Job, Status

_log = logging.getLogger("jarvisd.daemon.attempt")


LOOK_EVERY_S = 0.2
SAMPLE_EVERY_S = 1.0
#: A job's log stops growing here: a program that prints without end must not fill the disk.
LARGEST_LOG_MB = 512
#: Longest time a child gets to finish its piece when it is asked to stop.
GRACE_S = 8.0


class Attempt:
    """One attempt of one job, from the start of its child to its settled row."""

    def __init__(
        self, job: Job, home: Home, settings: Settings, stopping: threading.Event, limit: dt.datetime | None
    ) -> None:
        self.home, self.settings, self.stopping = home, settings, stopping
        self.job = job
        self.limit = None if job.is_report else limit
        self.began = time.monotonic()
        self.vitals = watchdog.Watchdog(job, self.settings, self._tell, self.began)

    def run(self) -> None:
        free, wanted = machine.free_disk_mb(self.home.var), self.settings.disk.keep_free_mb
        if free < wanted and not self.job.is_report:
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
            failpoints.failpoint("child.before-start")
            try:
                child = self._start(theirs)
            finally:
                os.close(theirs)
            failpoints.failpoint("child.started")
            transitions.record_child(self.job, child.pid, processes.started_at(child.pid))
            failpoints.failpoint("child.recorded")
            with contextlib.suppress(BrokenPipeError):  # it has ended already; its exit code says how
                os.write(ours, b"g")
            failpoints.failpoint("child.let-go")
            why = self._watch(child)
            failpoints.failpoint("child.ended")
        finally:
            if child is not None:
                processes.end_tree(child.pid, self.job.token, GRACE_S if why else 0.2)
                child.wait()
            os.close(ours)
        failpoints.failpoint("tree.ended")
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
                if self.vitals.take(watchdog.sample(self.home, self.job, child.pid), sampled):
                    return "vitals"
            if why := self._reason_to_end():
                return why

    def _reason_to_end(self) -> str:
        if self.stopping.is_set():
            return "stop"
        if queries.cancel_wanted(self.job):
            return "cancel"
        if self.limit is not None and database.now() >= self.limit:
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
        outcome = outcomes.committed(job)
        if outcome:
            self.vitals.peak_mb = max(self.vitals.peak_mb, int(outcome["peak_memory_mb"]))
        if outcome and outcome["ok"] and code == 0:
            self._settle(Status.SUCCEEDED, outcome["reason"] or None, code)
        elif why == "cancel":
            self._settle(Status.CANCELLED, "cancelled by its owner", code)
        elif why == "stop":
            self._stopped(code)
        elif why == "deadline":
            reason = f"the run had to end by {outcomes.clock(job.run.deadline)}; what was finished is kept"
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
        if job.attempts is not None and not outcomes.may_start_again(job):
            self._settle(Status.FAILED, "interrupted: jarvisd was stopped, and it has no attempt left", code)
            return
        given_back = {"fruitless": max(0, job.fruitless - 1), "attempts_from": job.attempts_from + 1}
        queue.requeue(job, "interrupted: jarvisd was stopped", **given_back)
        self._tell(f"{job.name} interrupted: jarvisd is stopping")

    def _crashed(self, code: int) -> None:
        """The child ended without a valid outcome: what a crash leaves, or a job kind that ends the process."""
        job, cause = self.job, likeliest_cause(code)
        if code > 0 or not outcomes.may_start_again(job):
            self._settle(Status.FAILED, cause, code)
            return
        restart = self.settings.restart
        pause = dt.timedelta(seconds=restart.first_pause_s if job.fruitless < 2 else restart.next_pause_s)
        queue.requeue(job, f"starts again: {cause}", fruitless=job.fruitless, not_before=database.now() + pause)
        self._tell(f"{job.name} will start again: {cause}")

    def _settle(self, status: Status, reason: str | None, code: int | None) -> None:
        peak_mb, seconds = self.vitals.peak_mb, time.monotonic() - self.began
        measured = {"exit_code": code, "peak_memory_mb": peak_mb or None, "took_s": round(seconds, 3)}
        took = f" after {seconds:.1f} s, peak memory {peak_mb:,} MB"
        outcomes.end_job(self.home, self.job, status, reason, took=took, **measured)

    def _tell(self, line: str) -> None:
        logs.append(self.home, self.job.run_id, line)


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
