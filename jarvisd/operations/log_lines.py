"""What is said beside a log: how its job or run ended, why it is empty, and from when on it is printed."""

from __future__ import annotations

import datetime as dt
import re

from jarvisd.errors import UsageError
from jarvisd.operations import status, this_machine
from jarvisd.paths import Home
from jarvisd.store import database, models
from jarvisd.store.models import Job, Machine, Run, Status
from jarvisd.words import duration, label, plain, took

_BUFFERED = "A program may keep back what it prints while its output is no terminal; Python does not with `python -u`."


def since(text: str, moment: dt.datetime) -> dt.datetime:
    """The instant that --since means: so long ago (10m), the last 22:30, or a full timestamp. Raises UsageError."""
    if re.fullmatch(r"(\d+[hms])+", text):
        return moment - duration(text)
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            local = dt.datetime.combine(moment.astimezone().date(), dt.time.fromisoformat(text.zfill(5))).astimezone()
            return local if local <= moment else local - dt.timedelta(days=1)
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"--since: {text!r} is not a time", "Write 10m, 2h, 22:30 or 2026-11-23T22:30.") from None


def no_log(target: Job | Run) -> tuple[str, str]:
    """What is wrong, and why, where there is no log."""
    if isinstance(target, Run):
        return f"{target.id} has no log", "None of its jobs has started."
    verb = "is" if target.status in models.OPEN else "was"
    return f"{label(target)} has no log: it {verb} {target.status}", target.reason or "It has not started."


def elsewhere(home: Home, job: Job) -> str:
    """Where the log of a job is that ran on another machine: "on MacBook: var/logs/job-7.log"; "" where it is here."""
    machine = job.machine or (job.pinned_to if job.attempt else None)
    if not database.is_shared() or machine in (None, this_machine.known_identity(home)):
        return ""
    row = Machine.get_or_none(Machine.id == machine)
    name = row.name if row is not None and row.name else machine[:8]
    return f"on {plain(name)}: {home.job_log(job.id).relative_to(home.root)}"


def outcome(target: Job | Run, *, printed: bool) -> list[str]:
    """How the job or run ended, or that it runs, after why nothing was printed."""
    if isinstance(target, Run):
        shown = status.summary(target, most=0)
        return [f"{status.title(target, shown)}."]
    job = Job.get_by_id(target.id)
    ended = job.status in models.SETTLED
    silent = [f"{label(job)} printed nothing." if ended else f"{label(job)} has printed nothing yet. {_BUFFERED}"]
    return [*([] if printed else silent), _state(job)]


def _state(job: Job) -> str:
    """command:bash failed: exit status 3."""
    reason = f": {plain(job.reason)}" if job.reason else ""
    if job.status == Status.RUNNING:
        so_far = took(max(0.0, (database.now() - job.started_at).total_seconds()))
        return f"{label(job)} is running, for {so_far}; `jarvisctl logs -f {job.id}` follows it."
    if job.status == Status.QUEUED:
        return f"{label(job)} is queued{reason}"
    lasted = f" after {took(job.took_s)}" if job.status == Status.SUCCEEDED and job.took_s is not None else ""
    return f"{label(job)} {job.status}{lasted}{reason}"


def succeeded(target: Job | Run) -> bool:
    """Whether the job, or every job of the run, has succeeded."""
    which = Job.run == target.id if isinstance(target, Run) else Job.id == target.id
    return not Job.select().where(which, Job.status != Status.SUCCEEDED).exists()
