"""jarvisctl: parse, call an operation, print. A verb is imported only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from jarvisd import __version__, errors, failpoints, registry
from jarvisd.cli.common import App, note
from jarvisd.host import streams
from jarvisd.words import nearest, plain

#: Dotted name of each verb's click command, grouped as `--help` shows them.
VERBS: dict[str, dict[str, str]] = {
    "Submit": {"enqueue": "jarvisd.cli.enqueue:enqueue", "demo": registry.VERBS["demo"]},
    "Watch": {
        "status": "jarvisd.cli.status:status",
        "logs": "jarvisd.cli.logs:logs",
        "wait": "jarvisd.cli.wait:wait",
        "runs": "jarvisd.cli.runs:runs",
        "prune": "jarvisd.cli.prune:prune",
    },
    "Control": {
        "cancel": "jarvisd.cli.control:cancel",
        "retry": "jarvisd.cli.control:retry",
        "pause": "jarvisd.cli.control:pause",
        "resume": "jarvisd.cli.control:resume",
    },
    "Decide": {
        "open": "jarvisd.cli.open:open_page",
        **{verb: registry.VERBS[verb] for verb in ("report", "vote", "review", "match", "score", "deploy", "export")},
    },
    "Machine": {
        "init": "jarvisd.cli.init:init",
        "doctor": "jarvisd.cli.doctor:doctor",
        "models": registry.VERBS["models"],
        "install": "jarvisd.cli.install:install",
        "uninstall": "jarvisd.cli.install:uninstall",
        "start": "jarvisd.cli.service:start",
        "stop": "jarvisd.cli.service:stop",
        "restart": "jarvisd.cli.service:restart",
        "config": "jarvisd.cli.config:config",
        "database": "jarvisd.cli.database:database",
        "completion": "jarvisd.cli.completion:completion",
    },
}
#: One line per verb, so that `--help` does not import them all.
HELP = {
    "enqueue": "Submit a plan, or one program.",
    "demo": "Run a whole night in minutes, on real messages and small models.",
    "status": "Show what runs, what waits, and how jobs ended.",
    "logs": "Print a job's log.",
    "wait": "Return when a run is settled.",
    "runs": "List the runs so far.",
    "prune": "Remove old runs.",
    "cancel": "Cancel a job or a run.",
    "retry": "Queue a settled job or run again.",
    "pause": "Start no new job; the running job finishes.",
    "resume": "End a pause.",
    "open": "Open the local page: watch, decide, vote, review, history.",
    "report": "Print or open the newest report.",
    "review": "Say which drafts you would send, and which templates you keep.",
    "vote": "Compare replies blindly; the report counts your votes.",
    "match": "Show which template would answer a text.",
    "score": "Score replies of your own: checks, examples, value.",
    "deploy": "Write templates or a model into JARVIS, keeping what is there.",
    "export": "Write the templates that you kept for macOS, espanso, Raycast, as CSV or JSON.",
    "init": "Write a commented configuration to edit.",
    "doctor": "Check every reason why tonight's run could fail.",
    "models": "List, download and check the models that the plans name.",
    "install": "Have launchd run the daemon and submit a run every night.",
    "uninstall": "Remove what `install` installed; data stays.",
    "start": "Start the daemon.",
    "stop": "Stop the daemon and the page; the running job continues at the next start.",
    "restart": "Stop the daemon and start it again.",
    "config": "Show the settings in force and where each comes from.",
    "database": "Copy the history to a database server, or back.",
    "completion": "Print the completion script of a shell.",
}
_FIRST_STEPS = (
    "Nothing was submitted yet. `jarvisctl demo` shows a whole night in minutes, `jarvisctl --help` all verbs.",
    "  jarvisctl init                a commented configuration to edit: your models, your messages",
    "  jarvisctl doctor              what is missing, each with its remedy",
    "  jarvisctl enqueue overnight   submits tonight's run; on a Mac `jarvisctl install` does so every night",
    "  jarvisctl report --open       opens the report",
)
_DOTTED = {verb: dotted for group in VERBS.values() for verb, dotted in group.items()}


class Verbs(click.Group):
    """Imports a verb when it is called. --home may stand before or after the verb."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_DOTTED)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _DOTTED:
            return None
        command: click.Command = registry.load(_DOTTED[cmd_name])
        nested = command.commands.values() if isinstance(command, click.Group) else ()
        for verb in (command, *nested):
            if not any(parameter.name == "home" for parameter in verb.params):
                verb.params.append(_home_option())
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise errors.UsageError(f"no verb is called {args[0]!r}", nearest(args[0], _DOTTED)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in VERBS.items():
            with formatter.section(title):
                formatter.write_dl([(verb, HELP[verb]) for verb in verbs])


def _set_home(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.obj = ctx.find_root().obj = App.at(value)


def _home_option() -> click.Option:
    return click.Option(
        ["--home"],
        metavar="DIR",
        expose_value=False,
        callback=_set_home,
        is_eager=True,
        help="The folder that holds var/ and config/.",
    )


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    params=[_home_option()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="jarvisctl")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run experiments overnight, one at a time, and read the report in the morning.

    \b
    Example:
      jarvisctl enqueue overnight
      jarvisctl status --watch
      jarvisctl report --open
    """
    if ctx.obj is None:
        ctx.obj = App.at(None)
    if ctx.invoked_subcommand is None:
        from jarvisd.store import location  # late: no verb needs it

        new = not ctx.obj.home.database.exists() and not location.server(ctx.obj.home)
        click.echo("\n".join(_FIRST_STEPS) if new else ctx.get_help())


def main(argv: list[str] | None = None) -> None:
    """The program `jarvisctl`. Every error is printed as one line."""
    os.umask(0o077)
    streams.ensure_open()
    failpoints.set_role("client")
    try:
        if os.environ.get("_JARVISCTL_COMPLETE", "").endswith("_complete"):
            from jarvisd.cli import completing  # late: no verb needs it

            completing.run(cli, os.environ["_JARVISCTL_COMPLETE"], HELP)
            sys.exit(0)
        _refuse_other_encodings(sys.argv[1:] if argv is None else argv)
        code = cli.main(argv, prog_name="jarvisctl", standalone_mode=False)
        sys.stdout.flush()
    except errors.JarvisError as error:
        _fail(str(error), error.exit_code, error.choices if isinstance(error, errors.Ambiguous) else ())
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
        sys.exit(2)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "jarvisctl"
        _fail(f"{error.format_message().rstrip('.')}. `{where} --help` shows how.", 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        streams.silence(1)  # the reader has gone
        sys.exit(0)
    except Exception as error:
        if os.environ.get("JARVISD_DEBUG"):
            raise
        _fail(_unforeseen(error), 1)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _refuse_other_encodings(words: list[str]) -> None:
    """Raise UsageError for an argument that is not UTF-8: neither the database nor a report can hold it."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise errors.UsageError(f"the argument {word[:60]!a} is not UTF-8", "Rename what it names.") from None


def _unforeseen(error: Exception) -> str:
    from jarvisd.store import database  # late: most verbs that fail never opened it

    if database.is_busy(error):
        return "the database is busy: another process holds it. Try again in a moment."
    if database.is_out_of_reach(error):
        return str(database.out_of_reach(error))
    if message := database.damage(error):
        return message
    if database.is_database_error(error) and (message := database.disk_error(error)):
        return f"{message}. Free some space, or make it writable, and try again; nothing was changed."
    if isinstance(error, OSError) and error.filename is None:
        return f"{error.strerror or type(error).__name__}. Check the disk, and where stdout is sent to."
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}: {error.filename}. Check disk and permissions."
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "an unknown frame"
    return (
        f"unexpected {type(error).__name__} at {where}. This is a bug in jarvisd; JARVISD_DEBUG=1 shows the traceback."
    )


def _fail(line: str, code: int, choices: Iterable[str] = ()) -> None:
    note("\n".join([f"jarvisctl: {plain(line)}", *map(plain, choices)]))
    streams.drop_unwritten()
    sys.exit(code)
