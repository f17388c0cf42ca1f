"""`jarvisctl enqueue`: submit a plan, or one program as a job."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jarvisd import crash, lateness, ledger, machine, plans, queue
from jarvisd.agents import Schedule
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError, UsageError
from jarvisd.home import Home
from jarvisd.kinds import JobSpec, find
from jarvisd.lateness import Start


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


class PlanOrCommand(click.Command):
    """`enqueue PLAN` and `enqueue command -- PROG ARG…` have different options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            cut = args.index("--")
            ctx.meta["program"] = args[cut + 1 :]
            args = args[:cut]
        elif args[:1] == ["command"] and args[1:] and not args[1].startswith("-"):
            raise UsageError(f"the program {args[1]} stands behind --", f"Write `… command -- {shlex.join(args[1:])}`.")
        return super().parse_args(ctx, args)


@click.command(cls=PlanOrCommand, options_metavar="[OPTIONS]")
@click.argument("plan", metavar="PLAN")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change a key of the plan for this run.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this job, or jobs of this kind, and the report.")
@click.option("--until", metavar="07:00", help="When the report must be ready, instead of the plan's own time.")
@click.option("--again", is_flag=True, help="Submit a nightly plan a second time tonight.")
@click.option("--strict", is_flag=True, help="Refuse when this machine lacks something, instead of warning.")
@click.option("--start", is_flag=True, help="Start the daemon if it is down.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--cwd", metavar="DIR", help="command: the folder to run in, instead of this one.")
@click.option("--name", metavar="N", help="command: the job's name, instead of the program's.")
@click.option("--env", multiple=True, metavar="NAME", help="command: pass on this variable of the environment.")
@click.option("--timeout", type=click.IntRange(1, 10**8), metavar="S", help="command: seconds it may take.")
@click.option("--memory", type=click.IntRange(0, 10**8), metavar="MB", help="command: memory it needs.")
@click.option(
    "--attempts",
    type=click.IntRange(1, 10**6),
    metavar="N",
    help="command: starts in all where jarvisd or the computer goes down, 1 if not given; no failure is repeated.",
)
@click.option("--due", multiple=True, hidden=True, help="The times of day of the nightly agent that calls this.")
@click.option("--due-on", hidden=True, help="And its weekdays.")
@click.pass_context
def enqueue(ctx: click.Context, /, plan: str, as_json: bool, strict: bool, start: bool, **options: Any) -> None:
    """Submit a plan; prints the run's id. Works with the daemon down: the run waits for it.

    What a program of `enqueue command` prints is its own: its log keeps it as it is.

    \b
    Example:
      jarvisctl enqueue overnight
      jarvisctl enqueue overnight --set mine.templates=80 --only mine
      jarvisctl enqueue command --timeout 3600 -- python train.py --epochs 3
    """
    app: App = ctx.obj
    program = ctx.meta.get("program")
    if plan == "command":
        done = submit_command(app.home, program, options, strict=strict)
    else:
        _refuse_command_options(plan, program, options)
        found = submit_nightly(app.home, plan, options, strict=strict)
        if isinstance(found, Nothing):
            _say_nothing(found, as_json=as_json)
            return
        done = found
    trouble = _have_it_started(app.home, start=start)
    _say(app, done, as_json=as_json)
    if options["until"] and not done.new:
        click.echo(_not_applied(plan, done.run_id, options["until"]), err=True)
    if trouble is not None:
        raise trouble


def _have_it_started(home: Home, *, start: bool) -> JarvisError | None:
    """Start the daemon where that is wanted. What keeps it down is said after the run's id, which is stored already."""
    from jarvisd import service

    try:
        service.ensure(home) if start else service.wake(home)
    except JarvisError as error:
        return error
    return None


def _not_applied(plan: str, run_id: str, until: str) -> str:
    """Tonight's run stays as it was submitted: a nightly start must change nothing the second time."""
    return (
        f"--until {until} was not applied: the run keeps its time. `jarvisctl enqueue {plan} --until {until} --again` "
        f"submits a second one; `jarvisctl retry {run_id} --until {until}` does what failed of this one again."
    )


def _say_nothing(nothing: Nothing, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"run": None, "jobs": [], "warnings": [nothing.why]}))
    click.echo(nothing.why, err=True)


def _refuse_command_options(plan: str, program: list[str] | None, options: dict[str, Any]) -> None:
    given = [name for name in ("cwd", "name", "env", "timeout", "memory", "attempts") if options[name]]
    if program is not None or given:
        what = f"--{given[0]}" if given else "a program after --"
        raise UsageError(f"{what} goes with `enqueue command`, not with the plan {plan}")


def _say(app: App, done: Submitted, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"run": done.run_id, "jobs": done.jobs, "warnings": done.warnings}))
    else:
        click.echo(done.run_id)
    for warning in [] if as_json else done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if not done.new:
        click.echo("Tonight's run was submitted before; --again submits it a second time.", err=True)
    if done.pause_ended:
        click.echo("The queue was paused without an end; the nightly run ends that pause.", err=True)
    if app.daemon is None:
        click.echo("The daemon is down; the run waits for it. `jarvisctl start` starts it.", err=True)


def submit_nightly(home: Home, name: str, options: dict[str, Any], *, strict: bool) -> Submitted | Nothing:
    """Store a run of a plan; as a nightly start (--due), for the night that it was due in, if it is not too late."""
    schedule = Schedule.of(options["due"], options["due_on"]) if options["due"] else None
    moment = ledger.now()
    start = Start(schedule.last(moment), moment) if schedule else None
    given = {key: options[key] for key in ("only", "until", "again")}
    if start is None:
        return submit_plan(home, name, list(options["overrides"]), strict=strict, **given)
    if not start.may_run(plans.read(home, name).common.late):
        lateness.note(home, start, None)
        why = f"Nothing was submitted: {name} was {start}, and its plan says `late: skip` or a shorter window."
        machine.notify("jarvisd", why)
        return Nothing(why)
    done = submit_plan(home, name, list(options["overrides"]), strict=strict, nightly=start, **given)
    lateness.note(home, start, done.run_id)
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
    nightly: Start | None = None,
) -> Submitted:
    """Store a run of a plan. What is wrong with the plan raises, and nothing is written."""
    plan = plans.read(home, name, overrides, only or [])
    try:
        run, jobs = plans.build(plan, ledger.now(), until, again=again, nightly=nightly)
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    _refuse_warnings(run, strict=strict)
    return store(home, run, jobs)


def _refuse_warnings(run: ledger.Run, *, strict: bool) -> None:
    if strict and run.warnings:
        raise JarvisError("refused: " + " | ".join(run.warnings), "Without --strict these are warnings.")


def store(home: Home, run: ledger.Run, jobs: list[ledger.Job]) -> Submitted:
    """Store a run and its jobs, unless tonight's is already there."""
    from jarvisd import migrations

    migrations.migrate(home)
    with ledger.write():
        before = plans.already_submitted(run)
        if before is None:
            run.number = ledger.next_number()
            run.id = ledger.fresh_run_id(run.night, run.plan)
            for job in jobs:
                job.run = run
            queue.submit(run, jobs)
        ended = bool(run.unique_key) and queue.end_open_pause(machine.identity(home))
    crash.point("submit.committed")
    kept = before or run
    stored = ledger.jobs_of(before) if before else jobs
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
    moment = ledger.now()
    try:
        deadline = plans.deadline(options["until"], moment) if options["until"] else None
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    run = ledger.Run(
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
