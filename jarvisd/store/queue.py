"""Submit, settle, requeue, cancel, retry, pause, resume: changes of status with the wake-up messages they need.

Whatever makes a job due sends a wake-up message in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

from jarvisd import failpoints
from jarvisd.errors import UsageError
from jarvisd.store import database, dependencies, machines, models, placement, queries, signals, transitions
from jarvisd.store.models import SETTLED, Dependency, GivenRun, Job, Machine, Run, Status
from jarvisd.store.transitions import is_begun_afresh

_log = logging.getLogger("jarvisd.store.queue")


def submit(run: Run, jobs: list[Job], after: Sequence[Dependency] = ()) -> None:
    """Store a run, what it waits for, its jobs and their messages: all or nothing."""
    with database.write():
        run.save(force_insert=True)
        for dependency in after:
            dependency.run = run
            dependency.save(force_insert=True)
        placement.place(jobs, run.machine)
        GivenRun.create(id=run.id)
        transitions.raise_last_number("run", run.number)
        transitions.store(jobs)
        failpoints.failpoint("submit.rows-stored")
        signals.wake_worker([job.id for job in jobs])
        failpoints.failpoint("submit.before-commit")


def settle(job: Job, status: Status, reason: str | None, at: dt.datetime, **fields: Any) -> None:
    """End a job, and wake the worker for what may follow: the report, a run that waits for this job.

    A report that succeeds after another job of its round was queued again is queued again: it did not see that job.
    """
    with database.write():
        if job.is_report and status == Status.SUCCEEDED and queries.round_is_open(job):
            transitions.requeue(job, None, starts_without_progress=0)
        else:
            if status == Status.SUCCEEDED or _proposes_though_failed(job, status):
                reason = _try_next_round(job, reason)
            transitions.settle(job, status, reason, at, **fields)
        _wake_followers([job])
        failpoints.failpoint("settle.before-commit")
    failpoints.failpoint("settle.committed")


def _proposes_though_failed(job: Job, status: Status) -> bool:
    """Whether a report that failed has proposed the next round in this attempt: it loses only its files."""
    outcome: dict[str, Any] = job.outcome or {}
    return job.is_report and status == Status.FAILED and outcome.get("attempt") == job.attempt


def _try_next_round(job: Job, reason: str | None) -> str | None:
    """Begin the next round. Returns the job's reason, with a remark where a faulty proposal left no next round."""
    try:
        with database.savepoint():
            signals.wake_worker([row.id for row in _begin_next_round(job)])
    except Exception as error:
        if database.may_pass(error):
            raise  # the same may succeed later
        _log.error("job %d: its next round cannot be stored: %s", job.id, type(error).__name__)
        remark = f"no next round: it could not be stored ({type(error).__name__})"
        return f"{reason}; {remark}" if reason else remark
    return reason


def fail_unconditionally(job_id: int, reason: str, at: dt.datetime) -> None:
    """End an open job as failed without reading its row: a row that cannot be settled must not block the others."""
    with database.write():
        transitions.fail_unread(job_id, reason, at)
        signals.wake_worker([job_id])


def _begin_next_round(job: Job) -> list[Job]:
    """Store the jobs that the outcome proposes for the next round, and its report. Returns the stored jobs.

    None are stored when the user has cancelled the job meanwhile, or when the run has that round already because
    this report is written for the second time.
    """
    outcome: dict[str, Any] = job.outcome or {}
    proposed = [] if queries.cancel_wanted(job.id) else outcome.get("next_round", [])
    exists = Job.select().where(Job.run == job.run_id, Job.round == job.round + 1).exists()
    if exists or not proposed:
        return []
    failpoints.failpoint("round.proposed")
    present = queries.report_row(job.run_id, job.round)
    columns = ("kind", "name", "params", "pinned_to", "needs", "may_move")
    report = [] if present is None else [{column: getattr(present, column) for column in columns}]
    rows = [
        Job(run=job.run_id, round=job.round + 1, place=place, **fields)
        for place, fields in enumerate([*proposed, *report])
    ]
    placement.place(rows, job.run.machine)
    placement.stay(rows, list(Job.select().where(Job.run == job.run_id, Job.round == job.round)))
    transitions.store(rows)
    failpoints.failpoint("round.stored")
    return rows


def _wake_followers(jobs: list[Job]) -> None:
    """Wake the worker for what the end of these jobs may make due, or skipped: a report, a run that waits for them."""
    rounds = {(job.run_id, job.round) for job in jobs}
    reports = [queries.report_row(run_id, round_) for run_id, round_ in sorted(rounds)]
    due = [report.id for report in reports if report is not None and report.status == Status.QUEUED]
    follower = dependencies.queued_after({run_id for run_id, _ in rounds}) if rounds else None
    signals.wake_worker([*due, *([follower.id] if follower is not None else [])])


def requeue(job: Job, reason: str | None, **fields: Any) -> None:
    """Put a running job back, or end it when the user has cancelled it meanwhile. `fields` are columns of Job."""
    with database.write():
        if queries.cancel_wanted(job.id):
            settle(job, Status.CANCELLED, "cancelled by you", database.now())
        else:
            transitions.requeue(job, reason, **fields)
            signals.wake_worker([job.id])
            failpoints.failpoint("requeue.before-commit")
    failpoints.failpoint("requeue.committed")


def put_back(job: Job, reason: str, at: dt.datetime) -> bool:
    """Queue again a job that runs on a lost machine. False where the machine was heard of or the row has changed."""
    with database.write():
        return transitions.put_back(job, reason, machines.is_still_lost(Job.machine, at)) and _moved(job)


def release(job: Job, at: dt.datetime) -> bool:
    """The same for a queued job that began on a machine that is lost."""
    with database.write():
        return transitions.release(job, machines.is_still_lost(Job.pinned_to, at)) and _moved(job)


def _moved(job: Job) -> bool:
    """Wake the machines that may take it; of one that begins afresh delete what it has stored."""
    if is_begun_afresh(job):
        transitions.delete_results(transitions.reload([job]))
    signals.wake_worker([job.id])
    return True


def skip(jobs: list[Job], reason: str, at: dt.datetime) -> list[Job]:
    """Settle those of these jobs that are still queued as skipped. Returns them."""
    with database.write():
        queued = [job for job in transitions.reload(jobs, whole=False) if job.status == Status.QUEUED]
        transitions.end_queued(queued, Status.SKIPPED, reason, at)
        _wake_followers(queued)
    return queued


def cancel(jobs: list[Job], at: dt.datetime) -> list[Job]:
    """Cancel the open ones of these jobs. Returns them. A running one ends within seconds."""
    with database.write():
        return _cancel(transitions.reload(jobs, whole=False), at)


def _cancel(jobs: list[Job], at: dt.datetime) -> list[Job]:
    rows = [job for job in jobs if job.status in models.OPEN]
    queued = [job for job in rows if job.status == Status.QUEUED]
    running = [job for job in rows if job.status == Status.RUNNING]
    transitions.end_queued(queued, Status.CANCELLED, "cancelled by you", at)
    transitions.request_cancel(running)
    _wake_followers(rows)
    return rows


def cancel_run(run: Run, at: dt.datetime) -> list[Job]:
    """Cancel every open job of a run, its report included. Its plan may then be submitted again tonight."""
    with database.write():
        Run.update(unique_key=None).where(Run.id == run.id).execute()
        return _cancel(transitions.reload(Job.select(Job.id).where(Job.run == run.id), whole=False), at)


def retry(
    jobs: list[Job], *, fresh: bool = False, deadline: dt.datetime | None = None, here: str | None = None
) -> list[Job]:
    """Queue settled jobs again, and the report of their run with them unless it was cancelled.

    A dependency that failed no longer holds their runs back. Checkpoints are kept; `fresh` deletes them. The run's
    deadline becomes `deadline` (None: no limit). `here`: this machine, where several share the database; it runs jobs
    of a history that was copied from a file. Raises UsageError when none of the jobs is settled.
    """
    with database.write():
        rows = transitions.reload(jobs, whole=fresh)
        chosen = [job for job in rows if job.status in SETTLED]
        if not chosen:
            raise UsageError(
                "nothing to retry: " + ", ".join(f"{job.name} is {job.status}" for job in rows),
                "`jarvisctl status` shows what waits and what runs.",
            )
        if fresh:
            transitions.delete_results(chosen)
        transitions.requeue_settled(chosen)
        chosen += _requeue_reports(chosen)
        if here is not None:
            transitions.pin_unplaced(chosen, here)
        _drop_failed_dependencies({job.run_id for job in chosen})
        Run.update(deadline=deadline).where(Run.id.in_({job.run_id for job in chosen})).execute()
        signals.wake_worker([job.id for job in chosen])
        return chosen


def _drop_failed_dependencies(run_ids: set[str]) -> None:
    """A retry of a run that was skipped runs it, though what it had to wait for has failed."""
    for dependency in dependencies.failed():
        if dependency.run_id in run_ids:
            dependency.delete_instance()


def _requeue_reports(jobs: list[Job]) -> list[Job]:
    requeued = []
    for run_id, round_ in sorted({(job.run_id, job.round) for job in jobs}):
        report = queries.report_row(run_id, round_)
        if report is not None and report.status in SETTLED and report.status != Status.CANCELLED:
            transitions.requeue_settled([report])
            requeued.append(report)
    return requeued


def pause(machine: str, at: dt.datetime, until: dt.datetime | None) -> None:
    """Claim nothing on this machine until then. The running job finishes."""
    with database.write():
        Machine.insert(id=machine, paused_since=at, paused_until=until).on_conflict(
            conflict_target=[Machine.id],
            update={Machine.paused_since: at, Machine.paused_until: until},
        ).execute()


def end_open_pause(machine: str) -> bool:
    """End a pause without an end time, as each nightly submission does. False when there was none.

    A pause that begins in the future was begun before the clock was set back: it would last longer than was asked.
    """
    row = Machine.get_or_none(Machine.id == machine)
    if row is None or row.paused_since is None:
        return False
    is_prolonged = row.paused_since > database.now()
    return resume(machine) if row.paused_until is None or is_prolonged else False


def resume(machine: str) -> bool:
    """End a pause, and wake the worker if a job is due. False when there was none."""
    with database.write():
        ended = Machine.update(paused_since=None, paused_until=None).where(
            Machine.id == machine, Machine.paused_since.is_null(False)
        )
        changed = int(ended.execute())
        job = queries.next_due(machine, database.now())
        if changed and job is not None:
            signals.wake_worker([job.id])
        return bool(changed)
