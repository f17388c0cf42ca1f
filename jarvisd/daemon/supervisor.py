"""The supervisor: choose the next due job, check that nothing blocks it, claim it, run one attempt of it."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from jarvisd import failpoints, logs
from jarvisd.daemon import admission, loss, recovery
from jarvisd.daemon import outcome as outcomes
from jarvisd.daemon.attempt import Attempt
from jarvisd.daemon.outage import Outage
from jarvisd.errors import IllegalTransition
from jarvisd.host import disk_errors, machine, power
from jarvisd.operations import placeholder
from jarvisd.operations import status as run_status
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, dependencies, queries, queue, transitions, wakeup
from jarvisd.store.models import Job, Run, Status

_log = logging.getLogger("jarvisd.daemon.supervisor")

#: Seconds between two tries to start a job that a full disk or a held database kept from starting.
RETRY_START_S = 15
#: A job needs this long before its run must end, else it is not begun: its child would be stopped as it starts.
START = dt.timedelta(seconds=3)
_HELD = "another process holds the database"


def _trouble(error: BaseException) -> str:
    return database.disk_error(error) or (_HELD if database.is_busy(error) else type(error).__name__)


@dataclass
class Supervisor:
    """Does due jobs one by one until it is asked to stop."""

    home: Home
    machine_id: str
    settings: Settings
    stopping: threading.Event
    owns: Callable[[], bool] = lambda: True  #: whether the daemon's lock is still the file that other programs open
    turn: Callable[[], None] = lambda: None  #: called whenever the worker loop turns
    awake: power.Awake = field(default_factory=power.Awake)
    outage: Outage = field(init=False)

    def __post_init__(self) -> None:
        self.outage = Outage(self.stopping)

    def work(self) -> None:
        """Do every due job, one after the other, until none is left or the daemon stops."""
        failpoints.failpoint("wakeup.received")
        try:
            while self._run_next():
                pass
        finally:
            self.awake.release()

    def _run_next(self) -> bool:
        """Do the next due job. While the database is out of reach none is claimed."""
        try:
            return self.run_next()
        except Exception as error:
            if not self.outlast(error):
                raise
            return not self.stopping.is_set()

    def outlast(self, error: Exception) -> bool:
        """Wait until the database answers again, then put back what was left running here. False for another error.

        Also where the daemon stops meanwhile: its next start puts that back.
        """
        while database.is_out_of_reach(error):
            self.awake.release()
            if not self.outage.outlast(error):
                return True
            try:
                recovery.after_outage(self.home)
                return True
            except Exception as again:
                error = again
        return False

    def run_next(self) -> bool:
        """Do the next due job. False when there is none, this machine is paused, or the daemon is stopping."""
        self.turn()
        moment = database.now()
        if self.stopping.is_set() or not self.owns() or queries.paused(self.machine_id, moment):
            return False
        self.skip_hopeless(moment)
        due = self._next_due(moment)
        if due is None or queries.is_occupied(self.machine_id):
            return False
        if self._defer_if_blocked(due, moment):
            return True
        self.awake.hold()
        at = database.now()  # the checks took time, and the Mac may have slept
        job = transitions.claim(self.machine_id, machine.boot_id(), at, admitted=due)
        if job is None:
            return True  # another claimer was quicker, or another job is next by now: look again
        try:
            self._begin(job)
            self.attempt(job).run()
        except Exception as error:
            if database.is_out_of_reach(error):
                raise  # its row is put back when the database answers again
            _log.exception("job %d could not be supervised", job.id)
            self._rescue(job, _trouble(error))
        return True

    def _next_due(self, moment: dt.datetime) -> Job | None:
        """The next due job. One whose row cannot be read is ended as failed, so that the next one can follow."""
        while True:
            try:
                return queries.next_due(self.machine_id, moment)
            except (ValueError, TypeError) as error:  # a value of the row is not what its column holds
                job_id = queries.next_due_id(self.machine_id, moment)
                _log.error("job %s cannot be read: %s", job_id, type(error).__name__)
                if job_id is None:
                    raise
                queue.fail_unconditionally(job_id, "its row in the database cannot be read", moment)

    def attempt(self, job: Job) -> Attempt:
        """The attempt that was just claimed, ready to run."""
        return Attempt(job, self.home, self.settings, self.stopping, self.limit(job.run), self.turn, self.outage)

    def _rescue(self, job: Job, what: str) -> None:
        """The daemon's own work around a job failed (full disk, missing folder): its row must not stay `running`."""
        while not self.stopping.is_set():
            try:
                row = Job.get_by_id(job.id)
                reason = f"jarvisd could not run it ({what}); see jarvisd.log, then `jarvisctl retry {job.id}`"
                if outcomes.is_current(row, job.attempt) and not outcomes.settle_as_committed(self.home, row):
                    if what in (disk_errors.FULL, _HELD) and row.pid is None:  # its child was never allowed to start
                        again = database.now() + dt.timedelta(seconds=RETRY_START_S)
                        queue.requeue(row, f"waiting: {what}", never_ran=True, not_before=again)
                    else:
                        outcomes.end_job(self.home, row, Status.FAILED, reason)
                return
            except IllegalTransition:  # another machine took it over since the row was read
                continue
            except Exception as error:
                if database.is_out_of_reach(error):
                    raise
                _log.error("cannot settle job %d: %s", job.id, _trouble(error))
                if not database.may_pass(error):
                    queue.fail_unconditionally(job.id, f"jarvisd could not settle it ({what})", database.now())
                    return
                self.stopping.wait(5)

    # ---------------------------------------------------------------------------------------------- before a claim

    def limit(self, run: Run) -> dt.datetime | None:
        return queries.soft_deadline(run, self.settings.report.reserve_minutes)

    def wake_for_lost(self) -> None:
        """Wake the worker where a lost machine has jobs that are to be put back or ended."""
        moment = database.now()
        if loss.is_pending(self.machine_id, moment, self.limit) and not queries.paused(self.machine_id, moment):
            wakeup.wake(self.machine_id)

    def skip_hopeless(self, moment: dt.datetime) -> None:
        """Skip the queued jobs of runs that leave no time to start them, and of runs whose dependency has failed.

        Of lost machines also what runs.
        """
        loss.look_after(self.home, self.machine_id, moment, self.limit)
        self._skip_overdue(moment)
        for dependency in dependencies.failed():
            run = dependency.run
            self._skip(run, queries.waiting_jobs(run), f"not started: {run_status.why_failed(dependency)}", moment)

    def _skip_overdue(self, moment: dt.datetime) -> None:
        for run in queries.with_deadline():
            limit = self.limit(run)
            if limit is not None and moment >= limit - START:
                reason = f"not started: the run had to end by {outcomes.clock(run.deadline)}"
                self._skip(run, queries.waiting_jobs(run), reason, moment)

    def _skip(self, run: Run, jobs: list[Job], reason: str, moment: dt.datetime) -> None:
        jobs = queue.skip(jobs, reason, moment)
        if not jobs:  # the user has cancelled them meanwhile
            return
        names = ", ".join([*(job.name for job in jobs[:10]), *["..."] * (len(jobs) > 10)])
        logs.append(self.home, run.id, f"{len(jobs):,} skipped, {reason}: {names}")
        _log.info("%d jobs of %s skipped: %s", len(jobs), run.id, reason)
        outcomes.if_settled(self.home, run)

    def _defer_if_blocked(self, job: Job, moment: dt.datetime) -> bool:
        """Defer or skip the next job, and all that the same resource blocks. False when nothing blocks it."""
        blocker = admission.blocking_resource(job, self.settings)
        if blocker is None:
            return False
        # Count only scheduled checks, so that sleep and clock changes do not use up the wait.
        waited = job.not_before - job.waiting_since if job.not_before and job.waiting_since else dt.timedelta()
        jobs = queries.waiting_like(job) if blocker.blocks_all else [job]
        if waited >= blocker.patience:
            self._skip(job.run, jobs, blocker.given_up, moment)
        else:
            again = moment + dt.timedelta(seconds=self.settings.memory.look_every_s)
            transitions.defer(jobs, blocker.waiting, until=again, since=moment - waited)
        return True

    def _begin(self, job: Job) -> None:
        """Make the run's folder with its page, and log that the job begins."""
        logs.make_folder(self.home, job.run_id)
        failpoints.failpoint("begin.folder-made")
        if queries.report_row(job.run_id, 1) is not None:
            if not placeholder.has_page(self.home, job.run):
                placeholder.running_page(self.home, job.run)
            placeholder.link_latest(self.home)
        if not logs.has_begun(self.home, job.run_id):
            for line in run_status.first_lines(job.run):
                logs.append(self.home, job.run_id, line)
        again = f" (attempt {job.attempt})" if job.attempt > 1 else ""
        round_ = f", round {job.round}" if job.round > 1 else ""
        logs.append(self.home, job.run_id, f"{job.name} begins{round_}{again}")
        _log.info("job %d %s begins, attempt %d", job.id, job.name, job.attempt)
