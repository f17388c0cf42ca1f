"""`jarvisctl install` and `uninstall`: the two launchd agents of a Mac."""

from __future__ import annotations

import shlex

import click

from jarvisd.cli.common import App
from jarvisd.host import power
from jarvisd.launchd import agents, launchctl
from jarvisd.plan.schedule import Schedule


@click.command()
@click.option(
    "--at",
    "times",
    multiple=True,
    default=("22:00",),
    metavar="22:00",
    help="When to submit the run. Of several times, the first one of a night submits it.",
)
@click.option("--weekdays", metavar="mon,tue", help="On these days only.")
@click.option("--dry-run", is_flag=True, help="Print both files and every command; change nothing. Works on Linux too.")
@click.pass_obj
def install(app: App, times: tuple[str, ...], weekdays: str | None, dry_run: bool) -> None:
    """Have launchd run the daemon and submit `overnight` every night. Run it again to change or repair that.

    \b
    Example:
      jarvisctl install
      jarvisctl install --at 22:00 --at 03:00 --weekdays mon,tue,wed,thu,fri
      jarvisctl install --dry-run
    """
    when = Schedule.of(times, weekdays)
    if dry_run:
        click.echo("\n".join(preview(app, when)))
        return
    app.home.make()
    launchctl.install(app.home, when, click.echo)
    click.echo(f"Every night at {when} launchd submits `overnight`. `jarvisctl doctor` checks what it needs.")
    _say_what_is_left(app, when)


def _say_what_is_left(app: App, when: Schedule) -> None:
    """The steps that only the user can do: jarvisd changes neither wake-up times nor permissions."""
    click.echo("\nTwo steps are left for you, once:")
    click.echo(f"  Full Disk Access, to read Messages: System Settings > Privacy & Security > add {agents.python()}")
    click.echo("  The Mac must be awake then. Plugged in and with the lid open, it wakes after this command:")
    click.echo(f"    {shlex.join(power.wake_command(when.times[0], when.weekdays))}")
    if others := ", ".join(when.times[1:]):
        click.echo(f"  macOS keeps one such wake-up: keep the Mac awake for {others}.")
    held = app.daemon
    if held is not None and (loaded := launchctl.loaded(agents.DAEMON)) and loaded.pid not in (None, held["pid"]):
        click.echo(
            f"\nA daemon that was started by hand (pid {held['pid']}) runs on; launchd's takes over when it ends."
        )


def preview(app: App, when: Schedule) -> list[str]:
    """Both files and every command, as `install` would write and call them."""
    lines: list[str] = []
    for label, agent in agents.render(app.home, when).items():
        lines += [f"# {agents.file(label)}", agents.write(agent).decode()]
    lines += ["# commands", shlex.join(["mkdir", "-p", str(agents.logs()), str(agents.folder())])]
    lines += [shlex.join(step) for label in agents.LABELS for step in launchctl.commands(label)]
    return [*lines, "# yours, once", shlex.join(power.wake_command(when.times[0], when.weekdays))]


@click.command()
@click.pass_obj
def uninstall(app: App) -> None:
    """Stop and remove both launchd agents. Runs, results, settings and models stay where they are.

    \b
    Example:
      jarvisctl uninstall
    """
    launchctl.need_macos()
    removed = launchctl.uninstall(click.echo)
    click.echo("Removed." if removed else "Nothing was installed.")
    click.echo(f"Your data stays: {app.home.var}. Logs of launchd: {agents.logs()}.")
    click.echo("A wake-up that you scheduled stays too; `sudo pmset repeat cancel` ends it.")
