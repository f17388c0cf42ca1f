"""`jarvisctl enqueue`: submit a plan, or one program as a job."""

from __future__ import annotations

import json
import shlex
from typing import Any, NoReturn

import click

from jarvisd.cli.common import App, Whole, note, on_terminal, say
from jarvisd.errors import JarvisError, UsageError
from jarvisd.operations import submit
from jarvisd.operations.submit import NotSubmitted, Submitted
from jarvisd.paths import Home
from jarvisd.plan.rows import Start
from jarvisd.plan.schedule import Schedule


class PlanOrCommand(click.Command):
    """`enqueue PLAN` and `enqueue command -- PROG ARG…` have different options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            cut = args.index("--")
            ctx.meta["program"] = args[cut + 1 :]
            args = args[:cut]
        elif args[:1] == ["command"] and args[1:] and not args[1].startswith("-"):
            raise UsageError(f"the program {args[1]} must follow --", f"Write `… command -- {shlex.join(args[1:])}`.")
        return super().parse_args(ctx, args)


@click.command(cls=PlanOrCommand, options_metavar="[OPTIONS]")
@click.argument("plan", metavar="PLAN", required=False)
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change a key of the plan for this run.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this job, or jobs of this kind, and the report.")
@click.option("--until", metavar="07:00", help="When the report must be ready, instead of the plan's own time.")
@click.option("--at", metavar="22:30", help="Start at this time, not before: its next occurrence, or a full timestamp.")
@click.option("--after", multiple=True, metavar="JOB|RUN", help="Start when it has succeeded; skip this run when not.")
@click.option(
    "--after-any",
    multiple=True,
    is_flag=False,
    flag_value="",
    metavar="[JOB|RUN]",
    help="Start when it has ended, however it ended; without a name this goes for each --after.",
)
@click.option(
    "--priority",
    type=Whole(-1000, 1000),
    default=0,
    metavar="N",
    help="Runs with a higher number come first, also before those with a deadline; 0 if not given.",
)
@click.option("--again", is_flag=True, help="Submit a nightly plan a second time tonight.")
@click.option("--strict", is_flag=True, help="Refuse when this machine lacks something, instead of warning.")
@click.option("--start", is_flag=True, help="Start the daemon if it is down.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--cwd", metavar="DIR", help="command: the folder to run in, instead of this one.")
@click.option("--name", metavar="N", help="command: the job's name, instead of the program's.")
@click.option("--env", multiple=True, metavar="NAME", help="command: pass on this variable of the environment.")
@click.option("--timeout", type=Whole(1, 10**8), metavar="S", help="command: seconds it may take.")
@click.option("--memory", type=Whole(0, 10**8), metavar="MB", help="command: memory it needs.")
@click.option(
    "--attempts",
    type=Whole(1, 10**6),
    metavar="N",
    help="command: most starts of the program, when a crash or a stop of jarvisd ends it; 1 if not given. A start that "
    "ends before the program began is not counted. A failure ends the job.",
)
@click.option(
    "--on", metavar="MAC|any", help="command: which Mac runs it, where several share a queue; this one if not given."
)
@click.option("--due", multiple=True, hidden=True, help="The times of day of the nightly agent that calls this.")
@click.option("--due-on", hidden=True, help="And its weekdays.")
@click.pass_context
def enqueue(ctx: click.Context, /, plan: str | None, as_json: bool, strict: bool, start: bool, **options: Any) -> None:
    """Submit a plan. Works with the daemon down: the run waits for it. In a pipe it prints the run's id alone.

    The log of `enqueue command` holds everything that the program prints, unchanged.

    \b
    Example:
      jarvisctl enqueue overnight
      jarvisctl enqueue overnight --set mine.templates=80 --only mine
      jarvisctl enqueue overnight --at 22:30
      jarvisctl enqueue command --timeout 3600 -- python train.py --epochs 3
      jarvisctl enqueue command --after command:python -- python evaluate.py
    """
    app: App = ctx.obj
    plan = plan or _refuse_no_plan(app.home)
    submitted = _submit(app.home, plan, ctx.meta.get("program"), strict, options)
    if isinstance(submitted, NotSubmitted):
        if as_json:
            say(json.dumps({"run": None, "jobs": [], "warnings": [submitted.reason]}))
        note(submitted.reason)
        return
    error = _start_daemon(app, always=start)
    _print(app, submitted, as_json=as_json)
    if not submitted.new:
        _note_not_applied(plan, submitted.run_id, options)
    if error is not None:  # after the run's id: the run is stored
        raise error


def _start_daemon(app: App, *, always: bool) -> JarvisError | None:
    """Start the daemon if a job must start it. Returns the error that prevents it."""
    if app.daemon is not None and app.home.ready.exists():
        return None  # it takes jobs, and nearly always this is so: what follows takes longer to import
    from jarvisd.operations import service

    return service.start_for_job(app.home, always=always)


def _submit(
    home: Home, plan: str, program: list[str] | None, strict: bool, options: dict[str, Any]
) -> Submitted | NotSubmitted:
    """Call the operation that the words of the command line mean."""
    if plan == "command":
        return _submit_command(home, program, strict, options)
    _refuse_command_options(plan, program, options)
    given = {**{key: options[key] for key in ("only", "until", "again")}, "start": _start(options)}
    if not options["due"]:
        return submit.submit_plan(home, plan, options["overrides"], strict=strict, **given)
    schedule = Schedule.of(options["due"], options["due_on"])
    return submit.submit_nightly(home, plan, schedule, options["overrides"], strict=strict, **given)


def _submit_command(home: Home, program: list[str] | None, strict: bool, options: dict[str, Any]) -> Submitted:
    if not program or not program[0]:
        raise UsageError("no program given", "For example `jarvisctl enqueue command -- echo hello`.")
    for name, flag in (("overrides", "--set"), ("only", "--only"), ("again", "--again")):
        if options[name]:
            raise UsageError(f"{flag} goes with a plan, not with `enqueue command`")
    return submit.submit_command(
        home,
        program,
        **{key: options[key] for key in ("cwd", "name", "env", "until", "on")},
        timeout_s=options["timeout"],
        memory_mb=options["memory"] or 0,
        attempts=options["attempts"] or 1,
        strict=strict,
        start=_start(options),
    )


def _start(options: dict[str, Any]) -> Start:
    """When the run may begin. Raises UsageError for an --after-any that is about nothing."""
    after, named = options["after"], tuple(name for name in options["after_any"] if name)
    if len(named) == len(options["after_any"]):
        return Start(options["at"], after, named, options["priority"])
    if not after:
        raise UsageError("--after-any without a job or run", "Name one, or give it beside --after.")
    return Start(options["at"], (), (*after, *named), options["priority"])


def _refuse_no_plan(home: Home) -> NoReturn:
    names = sorted(path.stem for path in home.config_files("plans/*.yaml"))
    raise UsageError(f"no plan given. Plans: {', '.join(names)}", "`enqueue command -- PROGRAM` runs one program.")


def _note_not_applied(plan: str, run_id: str, options: dict[str, Any]) -> None:
    if options["until"]:
        note(_not_applied(plan, run_id, options["until"]))
    given = [f"--{key.replace('_', '-')}" for key in ("at", "after", "after_any", "priority") if options[key]]
    if given:
        note(f"{' and '.join(given)} changed nothing: the run was submitted before. --again submits a second one.")


def _not_applied(plan: str, run_id: str, until: str) -> str:
    """Tonight's run stays as it was submitted: a nightly start must change nothing the second time."""
    return (
        f"--until {until} was not applied: the run keeps its time. `jarvisctl enqueue {plan} --until {until} --again` "
        f"submits a second one; `jarvisctl retry {run_id} --until {until}` does what failed of this one again."
    )


def _refuse_command_options(plan: str, program: list[str] | None, options: dict[str, Any]) -> None:
    given = [name for name in ("cwd", "name", "env", "timeout", "memory", "attempts", "on") if options[name]]
    if program is not None or given:
        misplaced = f"--{given[0]}" if given else "a program after --"
        raise UsageError(f"{misplaced} goes with `enqueue command`, not with the plan {plan}")


def _print(app: App, submitted: Submitted, *, as_json: bool) -> None:
    """On stdout the JSON document, the run's id, or on a terminal sentences about it; everything else on stderr."""
    stored = f"The run is stored as {submitted.run_id}."
    if as_json:
        document = {"run": submitted.run_id, "jobs": submitted.jobs, "warnings": submitted.warnings}
        say(json.dumps(document), stored)
    elif on_terminal():
        from jarvisd.cli.submitted import sentences  # late: a script does not need it

        say("\n".join(sentences(app.home, submitted)), stored)
    else:
        say(submitted.run_id, stored)
    for warning in [] if as_json else submitted.warnings:
        note(f"warning: {warning}")
    if not submitted.new:
        note("Tonight's run was submitted before; --again submits it a second time.")
    if submitted.pause_ended:
        note("The queue was paused; the nightly run ends that pause.")
    if app.daemon is None and not on_terminal():
        note("The daemon is down; the run waits for it. `jarvisctl start` starts it.")
