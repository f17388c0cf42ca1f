"""Which run or job a name, a number or a prefix means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jarvisd.errors import UsageError
from jarvisd.paths import Home
from jarvisd.words import closest

if TYPE_CHECKING:
    from jarvisd.store.models import Job, Run


#: Letters of the longest name that is looked for.
LONGEST_NAME = 300


def open_database(home: Home) -> None:
    """Open the database. Raises UsageError where nothing was submitted yet, so that there is none."""
    from jarvisd.store import migrations

    if not migrations.open_existing(home):
        raise UsageError(f"nothing was submitted in {home.root} yet", "Start with `jarvisctl enqueue PLAN`.")


def find_run(text: str = "latest") -> Run:
    """A run by id, unique prefix, `latest`, or one of its jobs. Raises UsageError."""
    from jarvisd.store.models import Run

    _refuse_impossible(text)
    newest = Run.select().order_by(Run.number.desc())
    if text == "latest":
        run = newest.first()
        if run is None:
            raise UsageError("there is no run yet", "Start with `jarvisctl enqueue PLAN`.")
        return run
    if (exact := Run.get_or_none(Run.id == text)) is not None:
        return exact
    if text.isdecimal() or _by_name(text) is not None:
        return find_job(text).run
    close = [run for run in newest if run.id.startswith(text)]
    if len(close) == 1:
        return close[0]
    if close:
        raise UsageError(f"{text!r} fits {len(close)} runs", "Give more of the id: " + ", ".join(_ids(close)) + ".")
    raise _unknown(text, newest.first())


def _refuse_impossible(text: str) -> None:
    """Names that nothing can have."""
    if not text:
        raise UsageError("an empty name names no job and no run", "Is a variable of your shell unset?")
    if len(text) > LONGEST_NAME:
        raise UsageError(f"no job and no run has a name of {len(text):,} letters", "`jarvisctl status` lists them.")


def _unknown(text: str, newest: Run | None) -> UsageError:
    """Neither a job nor a run: what was probably meant."""
    from jarvisd.store.models import Job, Run

    if newest is None:
        return UsageError(f"no run is called {text!r}", "There is none yet; start with `jarvisctl enqueue PLAN`.")
    jobs = [name for (name,) in Job.select(Job.name).where(Job.run == newest).tuples()]
    runs = [number for (number,) in Run.select(Run.id).tuples()]
    known = {word: name for name in (*jobs, *runs) for word in (name, name.partition(":")[2]) if word}
    meant = closest(text, known)
    message = f"no job of {newest.id} and no run is called {text!r}"
    lists = "`jarvisctl status` lists the jobs, `jarvisctl runs` the runs."
    return UsageError(message, f"Did you mean {known[meant]}?" if meant else lists)


def _ids(runs: list[Run]) -> list[str]:
    return [str(run.id) for run in runs[:5]]


def find_job_or_run(text: str) -> Job | Run:
    """What JOB|RUN names. A run's jobs are not read: there may be thousands.

    A pure number is a job's id; then a run's exact id, a job's name in the newest run (without its kind, or a prefix,
    where only one job is meant), a unique prefix of a run's id, or `latest`.
    """
    from jarvisd.store import models

    _refuse_impossible(text)
    if text.isdecimal():
        job = models.Job.get_or_none(models.Job.id == int(text)) if len(text) < 19 else None
        if job is None:
            raise UsageError(f"no job has the number {text}", "`jarvisctl status` lists them.")
        return job
    if models.Run.get_or_none(models.Run.id == text) is None and text != "latest":
        named = _by_name(text)
        if named is not None:
            return named
    return find_run(text)


def find_job(text: str) -> Job:
    from jarvisd.store import models

    target = find_job_or_run(text)
    if isinstance(target, models.Run):
        raise UsageError(f"{text!r} is a run, not a job", "Name one of its jobs, or its number.")
    return target


def _by_name(text: str) -> Job | None:
    from jarvisd.store import models

    newest = models.Run.select().order_by(models.Run.number.desc()).first()
    if newest is None or not text:
        return None
    rows = models.Job.select().where(models.Job.run == newest).order_by(models.Job.round.desc(), models.Job.place)
    exact: Job | None = rows.where(models.Job.name == text).first()
    if exact is not None:
        return exact
    names = models.Job.select(models.Job.name).where(models.Job.run == newest).distinct().limit(2).tuples()
    for close in (models.Job.name == models.Job.kind.concat(f":{text}"), models.Job.name.startswith(text)):
        if matching := [name for (name,) in names.where(close)]:
            latest: Job | None = rows.where(models.Job.name == matching[0]).first()
            return latest if len(matching) == 1 else None
    return None
