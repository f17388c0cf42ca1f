"""One attempt of one job: start its child, watch it, end its whole process tree, settle its row."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import IO

from jarvisd import failpoints, logs, registry
from jarvisd.daemon import outcome as outcomes
from jarvisd.daemon import watchdog
from jarvisd.daemon.outage import Outage
from jarvisd.host import machine, processes
from jarvisd.host.log_times import LogTimes
from jarvisd.paths import PACKAGE, Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, models, queries, queue, transitions
from jarvisd.store.models import Job, Status
from jarvisd.worker.exit_codes import LIFELINE_OTHER_VERSION, LIFELINE_OUT_OF_REACH, ExitCode

_log = logging.getLogger("jarvisd.daemon.attempt")

#: The file of the child that imports next to nothing.
LIGHT_CHILD = PACKAGE / "worker" / "light_start.py"
#: Time between two checks whether the child must be ended.
CHECK_INTERVAL_S = 0.2
#: Time between two measurements of memory and progress.
SAMPLE_INTERVAL_S = 1.0
#: The longest log of one attempt: a program that prints without end must not fill the disk.
LARGEST_LOG_MB = 512
#: Seconds between two tries to start a job whose child is of another version than this daemon.
OTHER_VERSION_S = 60
#: Longest time a child gets to finish its work in hand when it is asked to stop.
GRACE_S = 8.0


class EndReason(Enum):
    """Why the daemon ended a child."""

    STOP = auto()  #: the daemon stops
    CANCEL = auto()  #: the user cancelled the job
    DEADLINE = auto()  #: the run must end
    TIMEOUT = auto()  #: the job's own limit
    WATCHDOG = auto()  #: too much memory, or no progress
    LOG_TOO_LARGE = auto()
    TAKEN_OVER = auto()  #: this machine was lost for a while, and another one has the job
    OWN_FAILURE = auto()  #: the daemon could not supervise it


class Attempt:
    """One attempt of one job, from the start of its child to its settled row."""

    def __init__(
        self,
        job: Job,
        home: Home,
        settings: Settings,
        stopping: threading.Event,
        limit: dt.datetime | None,
        turn: Callable[[], None] = lambda: None,
        outage: Outage | None = None,
    ) -> None:
        self.turn = turn  #: called several times per second while the child runs
        self.home, self.settings, self.stopping = home, settings, stopping
        self.outage = outage or Outage(stopping)
        self.job = job
        self.limit = None if job.is_report else limit
        self.began = time.monotonic()
        self.last_word = b""  #: what the child wrote into its lifeline; the exit code of a job's own code says nothing
        self._progress: tuple[object, ...] = ()
        self.watchdog = watchdog.Watchdog(job, self.settings, self._append, self.began)

    def run(self) -> None:
        free, wanted = machine.free_disk_mb(self.home.var), self.settings.disk.keep_free_mb
        if free < wanted and not self.job.is_report:
            reason = f"too little disk: {free:,} MB are free, {wanted:,} MB are wanted. Free some and retry"
            self._settle(Status.FAILED, reason, None)
        elif self.stopping.is_set():
            queue.requeue(self.job, None, never_ran=True)
        else:
            self._finish_when_reachable(*self.run_child())

    # ------------------------------------------------------------------------------------------------ the child

    def run_child(self) -> tuple[EndReason | None, int]:
        """Start the child and wait for its end. Returns why it was ended (None: by itself) and its exit code.

        When this returns or raises, no process of the child's tree is left.
        """
        lifeline, go = (end.detach() for end in socket.socketpair())
        child: subprocess.Popen[bytes] | None = None
        why: EndReason | None = EndReason.OWN_FAILURE
        try:
            failpoints.failpoint("child.before-start")
            try:
                child = self._start(lifeline)
            finally:
                os.close(lifeline)
            failpoints.failpoint("child.started")
            transitions.record_child(self.job, child.pid, processes.started_at(child.pid))
            failpoints.failpoint("child.recorded")
            with contextlib.suppress(ConnectionError):  # the child has ended already; its exit code says how
                os.write(go, b"g")
            failpoints.failpoint("child.released")
            why = self._watch(child)
            failpoints.failpoint("child.ended")
        finally:
            if child is not None:
                processes.end_tree(child.pid, self.job.token, GRACE_S if why else 0.2)
                child.wait()
            self.last_word = _last_word(go)
            os.close(go)
        failpoints.failpoint("tree.ended")
        return why, child.returncode

    def _start(self, lifeline: int) -> subprocess.Popen[bytes]:
        """Start the child. It does nothing until its identity is stored and "g" comes through its lifeline."""
        job = self.job
        is_light = job.kind in registry.LIGHT and not database.is_server()
        words = [*_program(is_light=is_light), str(job.id), "--home", str(self.home.root)]
        words += ["--attempt", str(job.attempt), "--token", job.token, "--lifeline", str(lifeline)]
        words += ["--entry", registry.LIGHT[job.kind]] if is_light else []
        with self.open_log() as log:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home.run_folder(job.run_id),
                env=processes.child_environment() | job.env | {processes.TOKEN: job.token},
                pass_fds=(lifeline,),
                start_new_session=True,
            )

    def open_log(self) -> IO[bytes]:
        path: Path = self.home.job_log(self.job.id)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        return os.fdopen(os.open(path, flags, 0o600), "ab")

    def _watch(self, child: subprocess.Popen[bytes]) -> EndReason | None:
        """Wait for the child's end. Returns why it must be ended, or None when it ended by itself."""
        sampled, ended = 0.0, threading.Event()
        times = LogTimes(self.home.job_log(self.job.id))
        threading.Thread(target=_tell_the_end, args=(child, ended), daemon=True).start()
        while not _ends(ended, times):
            self.turn()
            if time.monotonic() - sampled >= SAMPLE_INTERVAL_S:
                sampled = time.monotonic()
                self._progress = self.outage.answer(lambda: watchdog.progress(self.job), self._progress)
                if self.watchdog.take(watchdog.sample(self.home, self.job, child.pid, self._progress), sampled):
                    return EndReason.WATCHDOG
            if why := self._reason_to_end():
                return why
        return None

    def _reason_to_end(self) -> EndReason | None:
        if self.stopping.is_set():
            return EndReason.STOP
        is_cancelled = self.outage.answer(lambda: queries.is_cancelled(self.job), False)
        if is_cancelled or is_cancelled is None:
            return EndReason.TAKEN_OVER if is_cancelled is None else EndReason.CANCEL
        if self.limit is not None and database.now() >= self.limit:
            return EndReason.DEADLINE
        if self.job.timeout_s is not None and time.monotonic() - self.began > self.job.timeout_s:
            return EndReason.TIMEOUT
        log = self.home.job_log(self.job.id)
        if log.exists() and log.stat().st_size > LARGEST_LOG_MB * 1024 * 1024:
            return EndReason.LOG_TOO_LARGE
        return None

    # ----------------------------------------------------------------------------------------------- its settling

    def _finish_when_reachable(self, why: EndReason | None, code: int) -> None:
        """Settle the job, once the database answers. Where the daemon stops before that, its next start does it."""
        is_first = True
        while True:
            try:
                if is_first or not self._is_told():
                    self.finish(why, code)
                return
            except Exception as error:
                if not self.outage.outlast(error):
                    raise
            is_first = False

    def _is_told(self) -> bool:
        """Whether an earlier try settled the job although its answer was lost; if so, what follows is done."""
        row = Job.get_by_id(self.job.id)
        if row.status not in models.SETTLED or row.attempt != self.job.attempt:
            return False
        outcomes.tell_end(self.home, row)
        return True

    def finish(self, why: EndReason | None, code: int) -> None:
        """Settle the job from why its child was ended, its exit code and its committed outcome.

        A job that another machine took over meanwhile is no longer this attempt's.
        """
        job = Job.get_by_id(self.job.id)
        if not outcomes.is_current(job, self.job.attempt):
            _log.warning("job %d is no longer run here: attempt %d is over", job.id, self.job.attempt)
            return
        self.job, outcome = job, outcomes.committed(job)
        if outcome:
            self.watchdog.peak_mb = max(self.watchdog.peak_mb, int(outcome["peak_memory_mb"]))
        if outcome and outcome["ok"] and code == 0:
            self._settle(Status.SUCCEEDED, outcome["reason"] or None, code)
        elif why is EndReason.CANCEL or (job.cancel_requested and outcome is None):
            self._settle(Status.CANCELLED, "cancelled by you", code)
        elif why is EndReason.STOP:
            self._stopped(code)
        elif why is EndReason.DEADLINE:
            reason = f"the run had to end by {outcomes.clock(job.run.deadline)}; what was finished is kept"
            self._settle(Status.STOPPED, reason, code)
        elif why is EndReason.TIMEOUT:
            self._settle(Status.FAILED, f"it took longer than its limit of {job.timeout_s:,} s", code)
        elif why is EndReason.WATCHDOG:
            self._settle(Status.FAILED, self.watchdog.verdict, code)
        elif why is EndReason.LOG_TOO_LARGE:
            self._settle(Status.FAILED, f"it printed more than {LARGEST_LOG_MB} MB", code)
        elif outcome and not outcome["ok"]:
            self._settle(Status.FAILED, outcome["reason"] or "it gave no reason", code)
        else:
            self._crashed(code)

    def _stopped(self, code: int) -> None:
        """The daemon stops: the start counts only where the job has a limit of attempts and its work was begun."""
        job = self.job
        counts = job.max_attempts is not None and job.work_began
        if counts and not outcomes.may_start_again(job):
            self._settle(Status.FAILED, "interrupted: jarvisd was stopped, and it has no attempt left", code)
            return
        queue.requeue(job, "interrupted: jarvisd was stopped", never_ran=not counts)
        self._append(f"{job.name} interrupted: jarvisd is stopping")

    def _crashed(self, code: int) -> None:
        """The child ended without a valid outcome: it crashed, or the job ended the process itself."""
        job, cause = self.job, likeliest_cause(code)
        if code == ExitCode.OTHER_VERSION and self.last_word == LIFELINE_OTHER_VERSION:
            self._wait_for_restart()
            return
        if code == ExitCode.OUT_OF_REACH and self.last_word == LIFELINE_OUT_OF_REACH:
            outcomes.put_back_unreached(self.home, job)
            return
        given_back = outcomes.is_given_back(job)
        if code > 0 or not (given_back or outcomes.may_start_again(job)):
            self._settle(Status.FAILED, cause, code)
            return
        restart = self.settings.restart
        first = job.starts_without_progress < 2
        pause = dt.timedelta(seconds=restart.first_pause_s if first else restart.next_pause_s)
        fields = transitions.given_back(job) if given_back else {}
        queue.requeue(job, f"starts again: {cause}", not_before=database.now() + pause, **fields)
        self._append(f"{job.name} will start again: {cause}")

    def _wait_for_restart(self) -> None:
        """The child's code was upgraded under this daemon and refused to work: put the job back, uncounted."""
        reason = "jarvisd was upgraded while it ran; `jarvisctl restart` starts the new version"
        again = database.now() + dt.timedelta(seconds=OTHER_VERSION_S)
        queue.requeue(self.job, reason, never_ran=True, not_before=again)
        self._append(f"{self.job.name} waits: {reason}")

    def _settle(self, status: Status, reason: str | None, code: int | None) -> None:
        peak_mb, seconds = self.watchdog.peak_mb, time.monotonic() - self.began
        measured = {"exit_code": code, "peak_memory_mb": peak_mb or None, "took_s": round(seconds, 3)}
        took = f" after {seconds:.1f} s, peak memory {peak_mb:,} MB"
        outcomes.end_job(self.home, self.job, status, reason, took=took, **measured)

    def _append(self, line: str) -> None:
        logs.append(self.home, self.job.run_id, line)


def _last_word(lifeline: int) -> bytes:
    """What a child that has ended wrote into its lifeline; most children write nothing."""
    os.set_blocking(lifeline, False)
    try:
        return os.read(lifeline, 1)
    except OSError:  # nothing was written, or the child left its go-ahead unread
        return b""


def _tell_the_end(child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """Wait in a thread of its own: Popen.wait with a timeout polls, and notices the end up to 50 ms late."""
    child.wait()
    ended.set()


def _ends(ended: threading.Event, times: LogTimes) -> bool:
    """Wait for the child's end, CHECK_INTERVAL_S at most, and note what it has printed meanwhile."""
    try:
        return ended.wait(CHECK_INTERVAL_S)
    finally:
        times.note()


def _program(*, is_light: bool) -> list[str]:
    """What starts a child; in both cases its command line holds the word jarvisd.worker.

    The light one reads the SQLite file itself, so there is none for a database on a server.
    """
    if is_light:
        return [sys.executable, "-I", "-S", str(LIGHT_CHILD), "jarvisd.worker"]
    return [sys.executable, "-P", "-m", "jarvisd.worker"]


def likeliest_cause(code: int) -> str:
    """The likeliest cause, in words, from the exit code of a child that stored no outcome."""
    if code == ExitCode.NOT_STORED:
        return "its outcome could not be stored; `jarvisctl logs` shows why"
    if code >= 0:
        return f"its process ended with exit code {code} and left no outcome; `jarvisctl logs` shows why"
    number = -code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    causes = {
        "SIGKILL": "it was killed (SIGKILL), most likely by the system because memory ran out",
        "SIGSEGV": "it crashed in native code (SIGSEGV)",
        "SIGABRT": "native code aborted (SIGABRT), often because the GPU ran out of memory",
    }
    return causes.get(name, f"it was ended by {name}")
