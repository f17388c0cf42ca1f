"""Which run or job a name, a number or a prefix means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jarvisd.errors import Ambiguous, UsageError
from jarvisd.paths import Home
from jarvisd.words import NEARLY_THE_SAME, closest, label

if TYPE_CHECKING:
    import peewee

    from jarvisd.store.models import Job, Run


#: Letters of the longest name that is looked for.
LONGEST_NAME = 300
#: Similarity, from 0 to 1, from which on a job or run is proposed for a name that nothing has.
LIKELY = 0.6
#: Jobs that an ambiguous name lists.
MOST_CHOICES = 20


def open_database(home: Home) -> None:
    """Open the database. Raises UsageError where nothing was submitted yet, so that there is none."""
    from jarvisd.store import migrations

    if not migrations.open_existing(home):
        raise UsageError(f"nothing was submitted in {home.root} yet", "Start with `jarvisctl enqueue PLAN`.")


def find_run(text: str = "latest") -> Run:
    """A run by id, unique prefix, `latest`, or one of its jobs. Raises UsageError."""
    from jarvisd.store import models

    target = _find(text)
    if target is None:
        raise _unknown(text, f"no run is called {text!r}", LIKELY)
    return target.run if isinstance(target, models.Job) else target


def find_job_or_run(text: str, *, ends_it: bool = False) -> Job | Run:
    """What JOB|RUN names. A run's jobs are not read: there may be thousands.

    A pure number is a job's id; then a run's exact id, `latest`, a job's name (without its kind, or a prefix, where no
    job has that name), a unique prefix of a run's id. Raises UsageError. Where the caller ends what is named, an error
    proposes another job only if its name is nearly the same.
    """
    target = _find(text)
    if target is None:
        cutoff = NEARLY_THE_SAME if ends_it else LIKELY
        raise _unknown(text, f"no job and no run is called {text!r}", cutoff)
    return target


def find_job(text: str) -> Job:
    from jarvisd.store import models

    target = find_job_or_run(text)
    if isinstance(target, models.Run):
        raise UsageError(f"{text!r} is a run, not a job", "Name one of its jobs, or its number.")
    return target


def _find(text: str) -> Job | Run | None:
    from jarvisd.store import queries
    from jarvisd.store.models import Job, Run

    _refuse_impossible(text)
    if text.isdecimal():
        job = Job.get_or_none(Job.id == int(text)) if len(text) < 19 else None
        if job is None:
            raise UsageError(f"no job has the number {text}", "`jarvisctl status` lists them.")
        return job
    if (exact := Run.get_or_none(Run.id == text)) is not None:
        return exact
    if text == "latest":
        newest = queries.latest_run()
        if newest is None:
            raise UsageError("there is no run yet", "Start with `jarvisctl enqueue PLAN`.")
        return newest
    return _by_name(text) or _by_prefix(text)


def _refuse_impossible(text: str) -> None:
    """Names that nothing can have."""
    if not text:
        raise UsageError("an empty name names no job and no run", "Is a variable of your shell unset?")
    if len(text) > LONGEST_NAME:
        raise UsageError(f"no job and no run has a name of {len(text):,} letters", "`jarvisctl status` lists them.")


def _by_name(text: str) -> Job | None:
    """The running job of that name, else one of an open run, else the newest run's that has it.

    Raises Ambiguous where that place has several.
    """
    from jarvisd.store import queries
    from jarvisd.store.models import Job

    for named in (Job.name == text, Job.name == Job.kind.concat(f":{text}"), Job.name.startswith(text)):
        for place in (queries.running_jobs(), queries.jobs_of_open_runs()):
            if jobs := _newest_rounds(place.where(named)):
                return _the_only(text, jobs)
        run_id = queries.newest_run_with(named)
        if run_id is not None:
            return _the_only(text, _newest_rounds(Job.select().where(Job.run == run_id, named)))
    return None


def _newest_rounds(query: peewee.Select) -> list[Job]:
    """Jobs of the query, of each run and name the one of the newest round; no more than are listed, and one."""
    from jarvisd.store.models import Job

    newest: dict[tuple[str, str], Job] = {}
    for job in query.order_by(Job.round.desc(), Job.run.desc(), Job.place).limit(MOST_CHOICES * 10):
        newest.setdefault((job.run_id, job.name), job)
    return sorted(newest.values(), key=lambda job: int(job.id))[: MOST_CHOICES + 1]


def _the_only(text: str, jobs: list[Job]) -> Job:
    if len(jobs) == 1:
        return jobs[0]
    number = f"{len(jobs)}" if len(jobs) <= MOST_CHOICES else f"more than {MOST_CHOICES}"
    width = max(len(job.run_id) for job in jobs)
    raise Ambiguous(
        f"{text!r} is the name of {number} jobs",
        "Give the number of one.",
        [f"{job.id:>5}  {job.run_id:<{width}}  {label(job)}  {job.status}" for job in jobs[:MOST_CHOICES]],
    )


def _by_prefix(text: str) -> Run | None:
    from jarvisd.store.models import Run

    close = [run for run in Run.select().order_by(Run.number.desc()) if run.id.startswith(text)]
    if len(close) > 1:
        some = ", ".join(str(run.id) for run in close[:5])
        raise UsageError(f"{text!r} fits {len(close)} runs", f"Give more of the id: {some}.")
    return close[0] if close else None


def _unknown(text: str, message: str, cutoff: float) -> UsageError:
    """Neither a job nor a run: what was probably meant."""
    from jarvisd.store import queries
    from jarvisd.store.models import Job, Run

    runs = [run_id for (run_id,) in Run.select(Run.id).order_by(Run.number.desc()).tuples()]
    if not runs:
        return UsageError(f"no run is called {text!r}", "There is none yet; start with `jarvisctl enqueue PLAN`.")
    jobs = {name for (name,) in queries.jobs_of_open_runs().select(Job.name).tuples()}
    jobs |= {name for (name,) in Job.select(Job.name).where(Job.run == runs[0]).tuples()}
    known = {word: name for name in (*sorted(jobs), *runs) for word in (name, name.partition(":")[2]) if word}
    meant = closest(text, known, cutoff)
    if not closest(_without_kind(text), [_without_kind(meant)], cutoff):  # two names of one kind begin alike
        meant = ""
    lists = "`jarvisctl status` lists the jobs, `jarvisctl runs` the runs."
    return UsageError(message, f"Did you mean {known[meant]}?" if meant else lists)


def _without_kind(name: str) -> str:
    return name.partition(":")[2] or name
