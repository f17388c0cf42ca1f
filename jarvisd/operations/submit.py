"""Submit a plan or a program: check it, and store the run with its jobs in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from jarvisd import __version__, failpoints, paths, registry
from jarvisd.errors import JarvisError, UsageError
from jarvisd.host import machine
from jarvisd.operations import this_machine
from jarvisd.paths import Home
from jarvisd.plan import missed_start, rows, times
from jarvisd.plan.missed_start import NightlyStart
from jarvisd.plan.rows import NOW, Start
from jarvisd.plan.schedule import Schedule
from jarvisd.registry import JobSpec, RunsOn
from jarvisd.store import database, machines, models, placement, queries, queue
from jarvisd.store.models import Dependency
from jarvisd.words import plain

#: `--on any`: whichever machine has enough memory and is free first.
ANY = "any"


@dataclass(frozen=True)
class Submitted:
    """A stored run."""

    run_id: str
    jobs: list[dict[str, Any]]
    warnings: list[str]
    new: bool = True  #: False when tonight's run had been submitted before
    pause_ended: bool = False  #: True when this nightly run ended a pause


@dataclass(frozen=True)
class NotSubmitted:
    """A nightly start that came too late for its plan."""

    reason: str


def submit_nightly(
    home: Home,
    name: str,
    schedule: Schedule,
    overrides: Iterable[str] = (),
    *,
    only: Iterable[str] = (),
    until: str | None = None,
    again: bool = False,
    strict: bool = False,
    start: Start = NOW,
) -> Submitted | NotSubmitted:
    """Store a run of a plan for the night that `schedule` was last due in, unless its `late` refuses that now."""
    from jarvisd.host import power
    from jarvisd.plan import plans  # late: it imports pydantic and YAML, which the submission of a program needs not

    moment = database.now()
    nightly = NightlyStart(schedule.last(moment), moment)
    if not nightly.may_run(plans.read_plan(home, name).common.late):
        missed_start.record(home, nightly, None)
        reason = f"Nothing was submitted: {name} was {nightly}, and its plan says `late: skip` or a shorter window."
        power.notify("jarvisd", reason)
        return NotSubmitted(reason)
    submitted = submit_plan(
        home, name, overrides, only=only, until=until, again=again, strict=strict, nightly=nightly, start=start
    )
    missed_start.record(home, nightly, submitted.run_id)
    return submitted


def submit_plan(
    home: Home,
    name: str,
    overrides: Iterable[str] = (),
    *,
    only: Iterable[str] = (),
    until: str | None = None,
    again: bool = False,
    strict: bool = False,
    nightly: NightlyStart | None = None,
    start: Start = NOW,
) -> Submitted:
    """Store a run of a plan. Raises UsageError for what is wrong with the plan; then nothing is written."""
    from jarvisd.plan import plans  # late: it imports pydantic and YAML, which the submission of a program needs not

    plan = plans.read_plan(home, name, overrides, only)
    machine_id = this_machine.submitter(home)
    run, jobs = rows.run_of(
        plan, database.now(), until, again=again, nightly=nightly, start=start, machine_id=machine_id
    )
    after = _awaited(home, run, start)
    _refuse_warnings(run, strict=strict)
    return store(home, run, jobs, after)


def preview_plan(
    home: Home, name: str, overrides: Iterable[str] = (), *, only: Iterable[str] = (), until: str | None = None
) -> tuple[list[str], list[str]]:
    """The names of the jobs that a submission would store, and its warnings. Raises UsageError as that would."""
    from jarvisd.plan import plans  # late, as above

    plan, machine_id = plans.read_plan(home, name, overrides, only), this_machine.submitter(home)
    run, jobs = rows.run_of(plan, database.now(), until, again=True, machine_id=machine_id)
    return [plain(job.name) for job in jobs], [plain(line) for line in run.warnings]


def submit_command(
    home: Home,
    program: list[str],
    *,
    cwd: str | None = None,
    name: str | None = None,
    env: Iterable[str] = (),
    timeout_s: int | None = None,
    memory_mb: int = 0,
    attempts: int = 1,
    on: str | None = None,
    until: str | None = None,
    strict: bool = False,
    start: Start = NOW,
) -> Submitted:
    """Store one program as a run of one job. `on`: the machine that runs it, or ANY; this one if not given.

    Raises UsageError, with nothing stored, for a machine that is not known.
    """
    destination = _destination(home, on)
    programs = registry.programs()
    spec: JobSpec = programs.one(
        program,
        cwd=str(paths.expand(cwd or ".").resolve()),
        name=name,
        env=programs.environment(env),
        timeout_s=timeout_s,
        memory_mb=memory_mb,
        attempts=attempts,
    )
    run = _run_of_program(spec.name, until, start, destination)
    run.warnings += _missing_here(home, spec) if destination.is_here else []
    jobs = [models.Job(run=run, kind="command", place=0, **spec.columns() | destination.columns(spec))]
    if destination.is_any:
        run.warnings += [f"{name}: {reason}" for name, reason in placement.impossible(jobs).items()]
    after = _awaited(home, run, start)
    _refuse_warnings(run, strict=strict)
    return store(home, run, jobs, after)


def _run_of_program(name: str, until: str | None, start: Start, destination: _Destination) -> models.Run:
    moment = database.now()
    start_at = start.instant(moment)
    begins = start_at or moment
    return models.Run(
        plan="command",
        title=name,
        night=times.date_of(begins),
        created_at=moment,
        deadline=times.requested_deadline(until, begins) if until else None,
        start_at=start_at,
        priority=start.priority,
        snapshot={"plan": {}, "versions": {"jarvisd": __version__}, "machine": machine.describe()},
        warnings=[],
        machine=destination.submitter,
    )


def _missing_here(home: Home, spec: JobSpec) -> list[str]:
    return [*map(str, registry.programs().check_one(spec)), *rows.too_large(home, [("command", spec)])]


@dataclass(frozen=True)
class _Destination:
    """Where a program runs."""

    submitter: str | None  #: this machine, where several share the database
    chosen: str | None = None  #: the id of the machine that was named
    is_any: bool = False

    @property
    def is_here(self) -> bool:
        return not self.is_any and self.chosen in (None, self.submitter)

    def columns(self, spec: JobSpec) -> dict[str, Any]:
        if self.is_any:
            return replace(spec, runs_on=RunsOn.ANY).placed()
        return {"pinned_to": self.chosen} if self.chosen else {}


def _destination(home: Home, on: str | None) -> _Destination:
    submitter = this_machine.submitter(home)
    if on is None:
        return _Destination(submitter)
    if submitter is None:
        raise UsageError("--on: this queue has one machine", "Leave it out.")
    if on == ANY:
        return _Destination(submitter, is_any=True)
    names = {name: machine_id for machine_id, name in machines.names().items()}
    if on not in names:
        raise UsageError(f"no machine is called {on!r}", f"Known are {', '.join([*sorted(names), ANY])}.")
    return _Destination(submitter, names[on])


def _awaited(home: Home, run: models.Run, start: Start) -> list[Dependency]:
    """What the run waits for. One that has failed already is a warning. Raises UsageError for an unknown name."""
    if not start.after and not start.after_any:
        return []
    from jarvisd.operations import lookup, status  # late: most submissions wait for nothing

    lookup.open_database(home)
    named = [(text, False) for text in start.after] + [(text, True) for text in start.after_any]
    after = [_dependency(lookup.find_job_or_run(text), any_end=any_end) for text, any_end in named]
    reasons = filter(None, map(status.why_hopeless, after))
    run.warnings += [f"it will be skipped: {reason}. With --after-any it runs all the same" for reason in reasons]
    return after


def _dependency(target: models.Job | models.Run, *, any_end: bool) -> Dependency:
    if isinstance(target, models.Run):
        return Dependency(of_run=target.id, of_job=None, any_end=any_end)
    return Dependency(of_run=target.run_id, of_job=target.id, any_end=any_end)


def _refuse_warnings(run: models.Run, *, strict: bool) -> None:
    if strict and run.warnings:
        raise JarvisError("refused: " + " | ".join(run.warnings), "Without --strict these are warnings.")


@contextmanager
def _refusing_unstorable() -> Iterator[None]:
    """Raise UsageError for a name of a file that is not UTF-8, and for a number that the database cannot hold."""
    try:
        yield
    except UnicodeEncodeError:
        message = "the program, its folder or a variable has a name that is not UTF-8"
        raise UsageError(message, "Rename it; nothing was stored.") from None
    except OverflowError:
        raise UsageError("a number of the plan is too large", "Nothing was stored.") from None


def show_as_latest(home: Home, run: models.Run) -> None:
    """Give a run that will have a report its folder, with a page that says that it waits, and the name `latest`."""
    if queries.report_row(run, 1) is not None:
        from jarvisd.operations import placeholder  # late: the run of one program has no page

        placeholder.waiting_page(home, run)


def store(home: Home, run: models.Run, jobs: list[models.Job], after: Sequence[Dependency] = ()) -> Submitted:
    """Store a run, its jobs and what it waits for, unless tonight's is already there."""
    from jarvisd.store import migrations

    migrations.migrate(home)
    with _refusing_unstorable(), database.write():
        before = rows.already_submitted(run)
        if before is None:
            run.number = queries.next_number()
            run.id = queries.fresh_run_id(run.night, run.plan)
            for job in jobs:
                job.run = run
            queue.submit(run, jobs, after)
        ended = bool(run.unique_key) and queue.end_open_pause(this_machine.identity(home))
    failpoints.failpoint("submit.committed")
    if before is None:
        show_as_latest(home, run)
    kept = before or run
    stored = queries.jobs_of(before) if before else jobs
    listed = [{"id": job.id, "name": job.name, "kind": job.kind} for job in stored]
    return Submitted(kept.id, listed, [plain(line) for line in kept.warnings], new=before is None, pause_ended=ended)
