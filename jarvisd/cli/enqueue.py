"""`jarvisctl enqueue`: submit a plan, or one program as a job."""

from __future__ import annotations

import json
import shlex
from typing import Any

import click

from jarvisd.cli.common import App
from jarvisd.errors import JarvisError, UsageError
from jarvisd.operations import service, submit
from jarvisd.operations.submit import Nothing, Submitted
from jarvisd.paths import Home


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
        done = submit.submit_command(app.home, program, options, strict=strict)
    else:
        _refuse_command_options(plan, program, options)
        found = submit.submit_nightly(app.home, plan, options, strict=strict)
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

    try:
        service.ensure_running(home) if start else service.start_if_on_demand(home)
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
