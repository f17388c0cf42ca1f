"""Submit a plan or a program: check it, and store the run with its jobs in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd import failpoints
from jarvisd.errors import JarvisError, UsageError
from jarvisd.host import machine, power
from jarvisd.paths import Home
from jarvisd.plan import missed_start, plans
from jarvisd.plan.missed_start import NightlyStart
from jarvisd.plan.schedule import Schedule
from jarvisd.registry import JobSpec, find
from jarvisd.store import database, models, queries, queue


@dataclass(frozen=True)
class Submitted:
    """What became of a submission."""

    run_id: str
    jobs: list[dict[str, Any]]
    warnings: list[str]
    new: bool = True  #: False when tonight's run had been submitted before
    pause_ended: bool = False  #: True when this nightly run ended a pause that had no end


@dataclass(frozen=True)
class Nothing:
    """A nightly start that came too late for its plan: nothing was submitted."""

    why: str


def submit_nightly(home: Home, name: str, options: dict[str, Any], *, strict: bool) -> Submitted | Nothing:
    """Store a run of a plan; as a nightly start (--due), for the night that it was due in, if it is not too late."""
    schedule = Schedule.of(options["due"], options["due_on"]) if options["due"] else None
    moment = database.now()
    start = NightlyStart(schedule.last(moment), moment) if schedule else None
    given = {key: options[key] for key in ("only", "until", "again")}
    if start is None:
        return submit_plan(home, name, list(options["overrides"]), strict=strict, **given)
    if not start.may_run(plans.read(home, name).common.late):
        missed_start.record(home, start, None)
        why = f"Nothing was submitted: {name} was {start}, and its plan says `late: skip` or a shorter window."
        power.notify("jarvisd", why)
        return Nothing(why)
    done = submit_plan(home, name, list(options["overrides"]), strict=strict, nightly=start, **given)
    missed_start.record(home, start, done.run_id)
    return done


def submit_plan(
    home: Home,
    name: str,
    overrides: list[str],
    *,
    only: Iterable[str] | None = None,
    until: str | None = None,
    again: bool = False,
    strict: bool = False,
    nightly: NightlyStart | None = None,
) -> Submitted:
    """Store a run of a plan. What is wrong with the plan raises, and nothing is written."""
    plan = plans.read(home, name, overrides, only or [])
    try:
        run, jobs = plans.build(plan, database.now(), until, again=again, nightly=nightly)
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    _refuse_warnings(run, strict=strict)
    return store(home, run, jobs)


def _refuse_warnings(run: models.Run, *, strict: bool) -> None:
    if strict and run.warnings:
        raise JarvisError("refused: " + " | ".join(run.warnings), "Without --strict these are warnings.")


def store(home: Home, run: models.Run, jobs: list[models.Job]) -> Submitted:
    """Store a run and its jobs, unless tonight's is already there."""
    from jarvisd.store import migrations

    migrations.migrate(home)
    with database.write():
        before = plans.already_submitted(run)
        if before is None:
            run.number = queries.next_number()
            run.id = queries.fresh_run_id(run.night, run.plan)
            for job in jobs:
                job.run = run
            queue.submit(run, jobs)
        ended = bool(run.unique_key) and queue.end_open_pause(machine.identity(home))
    failpoints.failpoint("submit.committed")
    kept = before or run
    stored = queries.jobs_of(before) if before else jobs
    rows = [{"id": job.id, "name": job.name, "kind": job.kind} for job in stored]
    return Submitted(kept.id, rows, list(kept.warnings), new=before is None, pause_ended=ended)


def submit_command(home: Home, program: list[str] | None, options: dict[str, Any], *, strict: bool) -> Submitted:
    """Store one program as a run of one job."""
    if not program or not program[0]:
        raise UsageError("no program given", "For example `jarvisctl enqueue command -- echo hello`.")
    for name in ("overrides", "only", "again"):
        if options[name]:
            raise UsageError(f"--{name.replace('overrides', 'set')} goes with a plan, not with `enqueue command`")
    kind = find("command").plan()
    spec: JobSpec = kind.one(
        program,
        cwd=str(Path(options["cwd"] or ".").expanduser().resolve()),
        name=options["name"],
        env=kind.environment(options["env"]),
        timeout_s=options["timeout"],
        memory_mb=options["memory"] or 0,
        attempts=options["attempts"] or 1,
    )
    moment = database.now()
    try:
        deadline = plans.deadline(options["until"], moment) if options["until"] else None
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    run = models.Run(
        plan="command",
        title=spec.name,
        night=plans.night_of(moment),
        created_at=moment,
        deadline=deadline,
        snapshot={"plan": {}, "versions": plans.versions(), "machine": machine.describe()},
        warnings=[*map(str, kind.check_one(spec)), *plans.too_large(home, [("command", spec)])],
    )
    _refuse_warnings(run, strict=strict)
    return store(home, run, plans.job_rows(run, [("command", spec)]))
