"""What the page changes of jobs, runs and the daemon: the operations of the command line, each after a question."""

from __future__ import annotations

import re
from collections.abc import Collection

from jarvisd.errors import JarvisError
from jarvisd.operations import control, lookup, moments
from jarvisd.store.models import OPEN, Job, Run, Status
from jarvisd.web.pages import Answer, Confirm, GoTo, Request, Room, post
from jarvisd.web.rendering import TEMPLATES
from jarvisd.words import counted, duration, label, plain

#: Jobs that a question names; more are counted.
_MOST_NAMED = 12
#: Where a form may ask to be led back to.
_BACK = re.compile(r"[a-z]+(/[A-Za-z0-9._-]+)*(\?[A-Za-z0-9._~%&=+-]*)?")


def back(request: Request, message: str) -> GoTo:
    """The page that the form came from."""
    path = request.field("back", "tonight")
    return GoTo(path if _BACK.fullmatch(path) else "tonight", message)


def named(jobs: list[Job]) -> list[str]:
    """The jobs in words, each with its state: an answer given to an older state does not count."""
    more = len(jobs) - _MOST_NAMED
    lines = [f"{job.id} {label(job)}, {job.status}" for job in jobs[:_MOST_NAMED]]
    return [*lines, f"and {counted(more, 'more job')}"] if more > 0 else lines


def _jobs_of(target: Job | Run, statuses: Collection[Status]) -> list[Job]:
    """What a verb would act on that changes jobs of these statuses."""
    if isinstance(target, Job):
        return [target]
    rows = Job.select().where(Job.run == target.id, Job.status.in_(statuses))
    return list(rows.order_by(Job.round, Job.place, Job.id))


def _name(target: Job | Run) -> str:
    return plain(target.id) if isinstance(target, Run) else f"{target.id} {label(target)}"


def cancel(request: Request) -> Answer:
    target = lookup.find_job_or_run(request.field("target"), ends_it=True)
    jobs = _jobs_of(target, OPEN)
    remark = ["All processes of a running job end within 10 seconds."] if _runs(jobs) else []
    ask = Confirm(f"Cancel {_name(target)}?", [*named(jobs), *remark], button="Cancel it")
    if not request.confirms(ask):
        return ask
    cancelled = control.cancel(request.home, target)
    return back(request, f"{counted(len(cancelled), 'job')} cancelled, or being cancelled.")


def _runs(jobs: list[Job]) -> bool:
    return any(job.status == Status.RUNNING for job in jobs)


def retry(request: Request) -> Answer:
    target = lookup.find_job_or_run(request.field("target"))
    fresh, until = bool(request.field("fresh")), request.field("until").strip() or None
    remark = "Checkpoints are deleted: it starts from the beginning." if fresh else "What is finished of them is kept."
    deadline = f"The run's new deadline: {until}." if until else "The run has no deadline after that."
    jobs = _jobs_of(target, control.retried_statuses(fresh=fresh))
    ask = Confirm(f"Queue {_name(target)} again?", [*named(jobs), remark, deadline], button="Queue again")
    if not request.confirms(ask):
        return ask
    retried = control.retry(request.home, target, fresh=fresh, until=until)
    return back(request, f"{counted(len(retried.jobs), 'job')} queued.{start_error(retried.start_error)}")


def start_error(error: JarvisError | None) -> str:
    """What follows a message where the daemon did not start."""
    return f" {error}" if error is not None else ""


def pause(request: Request) -> Answer:
    text = request.field("for").strip()
    length = duration(text) if text else None
    until = f"It ends after {text}." if text else "It ends when you resume, or with the next nightly run."
    ask = Confirm("Pause this computer?", ["No new job starts. The running job finishes.", until], button="Pause")
    if not request.confirms(ask):
        return ask
    paused = control.pause(request.home, length)
    end = f" until {moments.clock(paused.until)}" if paused.until else ""
    return back(request, f"Paused{end}.")


def resume(request: Request) -> Answer:
    ask = Confirm("Resume?", ["The next job starts when it is due."], button="Resume")
    if not request.confirms(ask):
        return ask
    resumed = control.resume(request.home)
    return back(
        request, f"{'Resumed.' if resumed.was_paused else 'Nothing was paused.'}{start_error(resumed.start_error)}"
    )


def start(request: Request) -> Answer:
    ask = Confirm("Start the daemon?", ["It takes the queued jobs, one at a time."], button="Start")
    if not request.confirms(ask):
        return ask
    from jarvisd.operations import service  # late: launchd's part of it takes long to import

    return back(request, f"The daemon runs (pid {service.start(request.home)}).")


WEB = Room(
    name="act",
    title="",
    templates=TEMPLATES,
    routes=(
        post("cancel", cancel),
        post("retry", retry),
        post("pause", pause),
        post("resume", resume),
        post("start", start),
    ),
)
