"""`jarvisctl deploy`: the group. Its commands, templates and model, are loaded when they are called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from jarvisd import registry
from jarvisd.cli.common import on_terminal
from jarvisd.errors import UsageError
from jarvisd.words import plain

if TYPE_CHECKING:
    from jobs.verbs.deploy.files import Applied

#: What can be deployed -> where its click command lies.
PARTS = {
    "templates": "jobs.verbs.deploy.templates_command:deploy_templates",
    "model": "jobs.verbs.deploy.model_command:deploy_model",
}
#: One line each, so that `--help` need not load them.
_HELP = {
    "templates": "Write reviewed templates into JARVIS's custom_templates.json.",
    "model": "Write the model that won into JARVIS's config.json.",
}


class Parts(click.Group):
    """A group whose commands are loaded when they are called, and take the options that the group was given later."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PARTS:
            return None
        command: click.Command = registry.load(PARTS[cmd_name])
        for option in self.params:  # --home, before or after the name
            if not any(known.name == option.name for known in command.params):
                command.params.append(option)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(part, _HELP[part]) for part in PARTS])


@click.group("deploy", cls=Parts, no_args_is_help=True)
def deploy() -> None:
    """Write what a run found into JARVIS, keeping what is there and a backup.

    \b
    Example:
      jarvisctl deploy templates --dry-run
      jarvisctl deploy templates
      jarvisctl deploy model --dry-run
      jarvisctl deploy model qwen3-4b
    """


def only_alone(name: str, given: Mapping[str, object]) -> None:
    """Raises UsageError where the option `name` is given beside others; `given` has the value of each by its name."""
    others = [other for other, value in given.items() if value and other != name]
    if given.get(name) and others:
        raise UsageError(f"{name} goes with none of the other options", f"Leave out {', '.join(others)}.")


def write_if_wanted(write: Callable[[bool], Applied], *, dry_run: bool, yes: bool) -> int:
    """Call `write(False)`, which writes and prints; with `dry_run` only `write(True)`, which prints.

    On a terminal the user sees the dry run first and is asked. Returns the exit code: 1 where the answer is no.
    """
    asks = not dry_run and not yes and on_terminal() and sys.stdin.isatty()
    if asks:
        if not write(True).changed:
            return 0
        if not click.confirm("Write this?"):
            click.echo("Nothing was written.")
            return 1
    write(dry_run)
    return 0


def print_diff(change: Applied) -> None:
    """Print a unified diff of a file, coloured on a terminal."""
    from jobs.verbs.deploy import files

    colour = on_terminal() and not os.environ.get("NO_COLOR")
    for line in files.diff(change):
        shade = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.echo(click.style(plain(line), fg=shade) if colour else plain(line))


def print_backup(change: Applied) -> None:
    """Print where the file of before the change is, if it was backed up."""
    if change.backup is not None:
        click.echo(f"What it was is in {change.backup}.")
