"""Before the first job: end the processes that an earlier daemon left running, and requeue their jobs."""

from __future__ import annotations

import logging

import peewee

from jarvisd import failpoints, logs
from jarvisd.daemon.outcome import (
    end_job,
    is_given_back,
    may_start_again,
    put_back_unreached,
    settle_as_committed,
)
from jarvisd.errors import IllegalTransition
from jarvisd.host import files, machine, processes
from jarvisd.operations import retention, this_machine
from jarvisd.paths import Home
from jarvisd.store import database, queue, transitions, wakeup
from jarvisd.store.models import Job, Status

_log = logging.getLogger("jarvisd.daemon.recovery")


def recover(home: Home) -> None:
    """End the processes of running jobs, requeue the jobs, and send a wake-up message for the pending ones.

    Where the database is a file of this computer, whose lock the caller holds, a row with another machine's name is of
    this computer too, from before `var/machine-id` was lost.
    """
    machine_id = this_machine.identity(home)
    running = [row.id for row in _running(machine_id)]
    failpoints.failpoint("recovery.begun")
    for job_id in running:
        _recover_job(home, job_id)
    for folder in (home.var, home.results):
        files.sweep(folder)
    files.sweep_private_copies(home.cache)
    retention.sweep_logs(home)
    pending = wakeup.requeue_wakeups(machine_id)
    failpoints.failpoint("recovery.woken")
    _log.info("%d jobs are pending", pending)


def after_outage(home: Home) -> None:
    """The database answers again, and this daemon runs nothing: put back what the database says runs on this machine.

    A claim may have been stored although its answer was lost, and the end of a job may not.
    """
    machine_id = this_machine.identity(home)
    for row in _running(machine_id):
        job = Job.get_by_id(row.id)
        if _end_orphan(job):
            put_back_unreached(home, job)
    wakeup.requeue_wakeups(machine_id)


def _running(machine_id: str) -> peewee.Select:
    rows = Job.select(Job.id).where(Job.status == Status.RUNNING).order_by(Job.id)
    return rows.where(Job.machine == machine_id) if database.is_shared() else rows


def _recover_job(home: Home, job_id: int) -> None:
    """Requeue or settle one running job. One that cannot be is ended as failed: it must not block the others."""
    try:
        job = Job.get_by_id(job_id)
        if _end_orphan(job):
            failpoints.failpoint("recovery.orphan-ended")
            _requeue(home, job)
            failpoints.failpoint("recovery.put-back")
    except IllegalTransition:  # another machine took it over since the row was read
        _log.warning("job %d is no longer run here", job_id)
    except Exception as error:
        if database.may_pass(error):
            raise  # the daemon cannot work at all; its next start tries again
        _log.exception("job %d could not be recovered; it ends as failed", job_id)
        reason = f"interrupted, and jarvisd could not recover it ({type(error).__name__}); see jarvisd.log"
        queue.fail_unconditionally(job_id, reason, database.now())


def _end_orphan(job: Job) -> bool:
    """End the processes of this job's last attempt. False when its process cannot be identified."""
    if job.boot_id != machine.boot_id():
        return True  # the computer was restarted since
    if job.pid is not None:
        same = processes.is_same(job.pid, job.token)
        if same is None:
            _log.error("pid %d may be the child of job %d; it is left alone, and so is the job", job.pid, job.id)
            return False
        if same:
            _log.warning("job %d still runs as pid %d; ending it", job.id, job.pid)
            processes.end_tree(job.pid, job.token, grace_s=2.0)
    if ended := processes.end_processes_with_token(job.token):
        _log.warning("job %d had left %d processes; they are ended", job.id, ended)
    return True


def _requeue(home: Home, job: Job) -> None:
    logs.append(home, job.run_id, f"{job.name} was interrupted: jarvisd ended without warning")
    failpoints.failpoint("recovery.logged")
    if settle_as_committed(home, job):
        return
    if job.pid is None:  # its child was never allowed to start
        queue.requeue(job, "interrupted: jarvisd ended without warning", never_ran=True)
    elif job.cancel_requested:
        end_job(home, job, Status.CANCELLED, "cancelled by you")
    elif is_given_back(job):
        queue.requeue(job, "interrupted: jarvisd ended without warning", **transitions.given_back(job))
    elif may_start_again(job):
        queue.requeue(job, "interrupted: jarvisd ended without warning")
    else:
        end_job(home, job, Status.FAILED, _why_given_up(job))


def _why_given_up(job: Job) -> str:
    if job.max_attempts is not None:
        return "interrupted: jarvisd ended without warning; it has no attempt left, and a command is not run twice"
    return (
        f"given up after {job.starts_without_progress} starts in a row that stored nothing, each ended with the daemon "
        "or the computer; most likely it needs more memory than there is"
    )
