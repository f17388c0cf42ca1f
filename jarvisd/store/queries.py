"""Queries. None of them changes anything."""

from __future__ import annotations

import datetime as dt
import functools

import peewee

from jarvisd.store import database, dependencies, placement
from jarvisd.store.database import db
from jarvisd.store.models import LONGEST_WAIT, OPEN, GivenRun, Job, LastNumber, Machine, Run, Status


def with_deadline() -> list[Run]:
    """Runs with a deadline and queued jobs other than reports."""
    waiting = Job.select(Job.run).where(Job.status == Status.QUEUED, ~Job.is_report)
    return list(Run.select().where(Run.deadline.is_null(False), Run.id.in_(waiting)))


def waiting_jobs(run: Run) -> list[Job]:
    """The queued jobs of a run, without its reports."""
    return list(Job.select().where(Job.run == run, Job.status == Status.QUEUED, ~Job.is_report))


def waiting_like(job: Job) -> list[Job]:
    """The queued jobs of its run, without its reports, that have waited as long as this one."""
    same_wait = [
        field.is_null() if value is None else field == value
        for field, value in ((Job.not_before, job.not_before), (Job.waiting_since, job.waiting_since))
    ]
    return list(Job.select().where(Job.run == job.run_id, Job.status == Status.QUEUED, ~Job.is_report, *same_wait))


def latest_run() -> Run | None:
    """What `latest` means, as a name and as the folder: the newest run whose plan has a report, else the newest run.

    The newest is the one that was submitted last, whatever the clock said.
    """
    return newest_with_report() or newest_run()


def newest_run() -> Run | None:
    """The run that was submitted last."""
    return Run.select().order_by(Run.number.desc()).first()


def newest_with_report() -> Run | None:
    """The newest run whose plan has a report, whether it has started or not."""
    query = Run.select().where(Run.id.in_(Job.select(Job.run).where(Job.is_report)))
    return query.order_by(Run.number.desc()).first()


def running_jobs() -> peewee.Select:
    return Job.select().where(Job.status == Status.RUNNING)


def jobs_of_open_runs() -> peewee.Select:
    """All jobs, the settled ones too, of the runs that have an open job."""
    opened = Job.alias()
    return Job.select().where(Job.run.in_(opened.select(opened.run).where(opened.status.in_(OPEN))))


def newest_run_with(named: peewee.Expression) -> str | None:
    """The id of the newest run that has a job for which the condition holds."""
    rows = Run.select(Run.id).join(Job).where(named).order_by(Run.number.desc()).limit(1)
    run_id: str | None = rows.scalar()
    return run_id


def last_started() -> Job | None:
    """The job that was started last."""
    return Job.select().where(Job.start_number.is_null(False)).order_by(Job.start_number.desc()).first()


def next_start_number() -> int:
    return int(Job.select(peewee.fn.MAX(Job.start_number)).scalar() or 0) + 1


def last_report_took(plan: str) -> dt.timedelta | None:
    """How long the newest finished report of that plan took."""
    query = Job.select(Job.took_s).join(Run).where(Run.plan == plan, Job.is_report)
    job = query.where(Job.status == Status.SUCCEEDED).order_by(Run.number.desc(), Job.round.desc()).first()
    return None if job is None or job.took_s is None else dt.timedelta(seconds=job.took_s)


#: The most time that is kept for a report, however long the last one took on a busy computer.
LONGEST_RESERVE = dt.timedelta(minutes=30)


def soft_deadline(run: Run, reserve_minutes: float) -> dt.datetime | None:
    """When the run's jobs must end so that its report is ready by the deadline.

    The report is given `reserve_minutes`, or twice what the last report of that plan took.
    """
    if run.deadline is None:
        return None
    reserve = dt.timedelta(minutes=reserve_minutes)
    last = last_report_took(run.plan)
    if last is not None:
        reserve = max(reserve, min(2 * last, LONGEST_RESERVE))
    ready: dt.datetime = run.deadline
    return ready - reserve


def newest_reported(before: int | None = None) -> Run | None:
    """The newest run whose report was written, or the newest before the run with that number."""
    query = Run.select().join(Job).where(Job.is_report, Job.status == Status.SUCCEEDED)
    if before is not None:
        query = query.where(Run.number < before)
    return query.order_by(Run.number.desc()).first()


def is_anything_open() -> bool:
    """Whether any job is queued or running."""
    return bool(Job.select().where(Job.status.in_(OPEN)).exists())


def wait_is_over(at: dt.datetime) -> bool:
    """Whether the wait of a queued job has ended. No message is sent when that happens."""
    over = (Job.not_before <= at) | (Job.not_before > at + LONGEST_WAIT)
    if Job.select().where(Job.status == Status.QUEUED, over).exists():
        return True
    begins = Run.select(Run.id).where(Run.start_at <= at, Run.started_at.is_null())
    return bool(Job.select().where(Job.status == Status.QUEUED, Job.run.in_(begins)).exists())


def fresh_run_id(night: str, plan: str) -> str:
    """2026-11-22-overnight, then 2026-11-22-overnight-2, whichever was never given, also to a run pruned since."""
    base = f"{night}-{plan}"
    used = {row.id for table in (Run, GivenRun) for row in table.select(table.id).where(table.id.startswith(base))}
    numbers = (base if n == 1 else f"{base}-{n}" for n in range(1, len(used) + 2))
    return next(name for name in numbers if name not in used)


def next_number() -> int:
    """The number of the next run: higher than that of any run that was ever stored."""
    return max(int(Run.select(peewee.fn.MAX(Run.number)).scalar() or 0), last_number("run")) + 1


def next_job_id() -> int:
    """The id of the next job: higher than that of any job that was ever stored."""
    return max(int(Job.select(peewee.fn.MAX(Job.id)).scalar() or 0), last_number("job")) + 1


def last_number(name: str) -> int:
    """The highest number that was ever given under that name; see LastNumber."""
    return int(LastNumber.select(LastNumber.number).where(LastNumber.name == name).scalar() or 0)


def is_due(machine: str, at: dt.datetime) -> peewee.Expression:
    """Jobs that `machine` may start at that time, in a query that joins Run.

    A report is due when no other job of its round is open: it waits neither for the start time of its run nor for
    what its run depends on, unless it is the run's only job.
    """
    other, sibling = Job.alias(), Job.alias()
    unfinished = other.select(peewee.SQL("1")).where(
        other.run == Job.run, other.round == Job.round, ~other.is_report, other.status.in_(OPEN)
    )
    siblings = sibling.select(peewee.SQL("1")).where(sibling.run == Job.run, ~sibling.is_report)
    may_begin = (Run.start_at.is_null() | (Run.start_at <= at)) & Run.id.not_in(dependencies.waiting_runs())
    return (
        (Job.status == Status.QUEUED)
        & (Job.machine.is_null() | (Job.machine == machine))
        & (Job.not_before.is_null() | (Job.not_before <= at) | (Job.not_before > at + LONGEST_WAIT))
        & (~Job.is_report | ~peewee.fn.EXISTS(unfinished))
        & (may_begin | (Job.is_report & peewee.fn.EXISTS(siblings)))
    )


def next_due(machine: str, at: dt.datetime) -> Job | None:
    """The next due job: by priority; then runs with a deadline, by deadline; then by submission, round and place."""
    job_id = next_due_id(machine, at)
    return None if job_id is None else Job.select(Job, Run).join(Run).where(Job.id == job_id).first()


def next_due_id(machine: str, at: dt.datetime) -> int | None:
    """The id of the next due job, whatever the rest of its row holds."""
    if database.is_shared():
        query = Job.select(Job.id).join(Run).where(is_due(machine, at), placement.allows(machine, at))
        job_id: int | None = query.order_by(*ORDER).limit(1).scalar()
        return job_id
    statement, names = _due_statement(db.param)
    waits = (dt.timedelta(0), LONGEST_WAIT)
    values: dict[object, object] = {_MACHINE: machine}
    values |= {_instant(_MOMENT + wait): _instant(at + wait) for wait in waits}
    row = db.execute_sql(statement, [values.get(name, name) for name in names]).fetchone()
    return None if row is None else int(row[0])


#: What stands in the statement for the values that differ from call to call.
_MACHINE, _MOMENT = "\0machine", dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@functools.cache
def _due_statement(_param: str) -> tuple[str, tuple[str | int, ...]]:
    """The statement and its parameters. It is built once: that takes longer than SQLite takes to answer it.

    `_param`: how the open database writes a parameter; the statement differs with it.
    """
    query = Job.select(Job.id).join(Run).where(is_due(_MACHINE, _MOMENT))
    statement, parameters = query.order_by(*ORDER).limit(1).sql()
    return statement, tuple(parameters)


def _instant(moment: dt.datetime) -> str:
    return str(Job.not_before.db_value(moment))


#: What a list shows of a job: all but its parameters, its outcome and its environment, which may be long.
SHOWN = tuple(field for field in Job._meta.sorted_fields if field.name not in ("params", "outcome", "env"))


def running() -> list[Job]:
    """The running jobs, with their runs."""
    return list(Job.select(*SHOWN, *_OF_RUN).join(Run).where(Job.status == Status.RUNNING).order_by(Job.id))


def queued_in_order(limit: int) -> list[Job]:
    """The first queued jobs in the order of `next_due`, with their runs, whether they are due or not."""
    rows = Job.select(*SHOWN, *_OF_RUN).join(Run).where(Job.status == Status.QUEUED)
    return list(rows.order_by(*ORDER).limit(limit))


def count_queued() -> int:
    return int(Job.select().where(Job.status == Status.QUEUED).count())


def ended_since(moment: dt.datetime) -> dict[Status, int]:
    """The number of jobs that ended since then, by status, the failed ones first."""
    rows = Job.select(Job.status, peewee.fn.COUNT(Job.id)).where(Job.ended_at >= moment, Job.status.not_in(OPEN))
    counts = dict(list(rows.group_by(Job.status).tuples()))
    order = (Status.FAILED, Status.SKIPPED, Status.STOPPED, Status.CANCELLED, Status.SUCCEEDED)
    return {status: counts[status] for status in order if status in counts}


def unsuccessful_since(moment: dt.datetime, limit: int) -> list[Job]:
    """The newest jobs that failed, were skipped or stopped since then, oldest first. Cancelled ones are no surprise."""
    bad = (Status.FAILED, Status.SKIPPED, Status.STOPPED)
    rows = Job.select(*SHOWN).where(Job.ended_at >= moment, Job.status.in_(bad))
    return list(rows.order_by(Job.ended_at.desc(), Job.id.desc()).limit(limit))[::-1]


def ended_last(run_ids: list[str], limit: int) -> list[Job]:
    """The jobs of these runs that ended last."""
    rows = Job.select(*SHOWN).where(Job.run.in_(run_ids), Job.status.not_in(OPEN))
    return list(rows.order_by(Job.ended_at.desc(), Job.id.desc()).limit(limit))


def jobs_by_status(run_ids: list[str]) -> list[tuple[str, str, int, int]]:
    """Run, status, number of its jobs with that status, and the highest attempt among them."""
    columns = (Job.run, Job.status, peewee.fn.COUNT(Job.id), peewee.fn.MAX(Job.attempt))
    return list(Job.select(*columns).where(Job.run.in_(run_ids)).group_by(Job.run, Job.status).tuples())


def last_ends(run_ids: list[str]) -> dict[str, dt.datetime]:
    """By run: when the last of its jobs ended that has."""
    rows = Job.select(Job.run, peewee.fn.MAX(Job.ended_at)).where(Job.run.in_(run_ids), Job.ended_at.is_null(False))
    return dict(list(rows.group_by(Job.run).tuples()))


def newest_written_reports(run_ids: list[str]) -> dict[str, Job]:
    """By run: the report job of the newest round whose report was written."""
    columns = (Job.id, Job.run, Job.outcome)
    rows = Job.select(*columns).where(Job.run.in_(run_ids), Job.is_report, Job.status == Status.SUCCEEDED)
    return {job.run_id: job for job in rows.order_by(Job.round)}


def usual_seconds(names: set[str]) -> dict[str, float]:
    """How long the newest successful job of each of these names took, where there is one."""
    ended = Job.select(peewee.fn.MAX(Job.id)).where(Job.status == Status.SUCCEEDED, Job.took_s.is_null(False))
    newest = ended.where(Job.name.in_(list(names))).group_by(Job.name)
    return dict(list(Job.select(Job.name, Job.took_s).where(Job.id.in_(newest)).tuples()))


def matching(status: str = "", kind: str = "", run: str = "", named: str = "") -> peewee.Select:
    """Jobs with that status, of that kind, of runs and with names that begin so; "" = all. Newest first."""
    rows = Job.select(*SHOWN)
    for wanted in (
        Job.status == status if status else None,
        Job.kind == kind if kind else None,
        Job.run.startswith(run) if run else None,
        Job.name.startswith(named) if named else None,
    ):
        rows = rows if wanted is None else rows.where(wanted)
    return rows.order_by(Job.id.desc())


def count_by_status(rows: peewee.Select) -> dict[str, int]:
    """The number of jobs of a query, by status."""
    counts = rows.select(Job.status, peewee.fn.COUNT(Job.id)).order_by().group_by(Job.status)
    return dict(list(counts.tuples()))


#: The order of due jobs.
ORDER = (Run.priority.desc(), Run.deadline.is_null(), Run.deadline, Run.number, Job.round, Job.place, Job.id)
#: What the order and the lists need of a job's run.
_OF_RUN = (Run.id, Run.number, Run.plan, Run.deadline, Run.start_at, Run.priority)


def jobs_of(run: Run | str) -> list[Job]:
    """The jobs of a run in their order."""
    return list(Job.select().where(Job.run == run).order_by(Job.round, Job.place, Job.id))


def report_row(run: Run | str, round_: int) -> Job | None:
    return Job.select().where(Job.run == run, Job.round == round_, Job.is_report).first()


def round_is_open(report: Job) -> bool:
    """Whether another job of the report's round is queued or running."""
    others = Job.select().where(Job.run == report.run_id, Job.round == report.round, ~Job.is_report)
    return bool(others.where(Job.status.in_(OPEN)).exists())


def is_occupied(machine: str) -> bool:
    """Whether a job runs on this machine."""
    return bool(Job.select().where(Job.status == Status.RUNNING, Job.machine == machine).exists())


def open_on(machines: list[str]) -> list[Job]:
    """The jobs that run on these machines, and the queued ones that are pinned to them."""
    runs = (Job.status == Status.RUNNING) & Job.machine.in_(machines)
    waits = (Job.status == Status.QUEUED) & Job.pinned_to.in_(machines)
    return list(Job.select(Job, Run).join(Run).where(runs | waits).order_by(Job.id)) if machines else []


def is_cancelled(job: Job) -> bool | None:
    """Whether the user has cancelled this attempt. None where it is over: another machine took the job over."""
    current = (Job.id == job.id) & (Job.attempt == job.attempt) & (Job.status == Status.RUNNING)
    row = Job.select(Job.cancel_requested).where(current).tuples().first()
    return None if row is None else bool(row[0])


def cancel_wanted(job_id: int) -> bool:
    return bool(Job.select(Job.cancel_requested).where(Job.id == job_id).scalar())


def is_settled(run: Run | str) -> bool:
    return not Job.select().where(Job.run == run, Job.status.in_(OPEN)).exists()


def last_paused() -> str | None:
    """The name of the computer that was paused last. This file is of one computer, so it is the name of this one."""
    row = Machine.select().order_by(Machine.paused_since.is_null(), Machine.paused_since.desc()).first()
    return None if row is None else str(row.id)


def paused(machine: str, at: dt.datetime) -> bool:
    """Whether `machine` may claim nothing at that time."""
    row = Machine.get_or_none(Machine.id == machine)
    if row is None or row.paused_since is None:
        return False
    return row.paused_until is None or row.paused_until > at
