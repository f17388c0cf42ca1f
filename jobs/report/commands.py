"""`jarvisctl report`: print, open or name the report of a run, rendered again where its files are gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App, on_terminal
from jarvisd.operations import lookup
from jarvisd.operations import report as report_files
from jarvisd.plugin import JarvisError, UsageError, replace_file

if TYPE_CHECKING:
    from jarvisd.plugin import Run
    from jobs.report.gather import Report

_FILES = {"md": "REPORT.md", "html": "report.html"}

_HELP = """Print or open a report: of RUN, else of the newest run that has one. Where its job did not write it (the run
is open, was cancelled or asks for no report), it is written from what the database holds now. A terminal gets its first
screen, a pipe all of it.

\b
Example:
  jarvisctl report                      what to do, the ranking, and where the page is
  jarvisctl report --full               all of REPORT.md, as in a pipe
  jarvisctl report --open               report.html in the browser
  jarvisctl report 2026-11-22 --path    where report.html is
  jarvisctl report --format json        every number of it, as JSON
  jarvisctl report --format csv         every reply, one line each, for a spreadsheet
  jarvisctl report --redacted --open    without the text of any message, to show to others
"""


@click.command("report", help=_HELP)
@click.argument("run", required=False)
@click.option("--open", "show", is_flag=True, help="Open it with the program your desktop has for it.")
@click.option("--path", "where", is_flag=True, help="Print where the file is.")
@click.option("--format", "form", type=click.Choice(["md", "html", "json", "csv"]), help="Which rendering.")
@click.option("--again", is_flag=True, help="Write the files again first, from what the database holds now.")
@click.option("--full", is_flag=True, help="Print all of REPORT.md on a terminal, too.")
@click.option("--redacted", is_flag=True, help="Hide every text of a message, a reply or a prompt; figures stay.")
@click.pass_obj
def report(
    app: App, run: str | None, show: bool, where: bool, form: str | None, again: bool, full: bool, redacted: bool
) -> None:
    printed = _PRINTED.get(form or "")
    if printed and (show or where):
        raise UsageError(f"{form} is printed, not a file", "Leave out --open and --path, or name another format.")
    app.need_ledger()
    chosen = lookup.find_run(run) if run else report_files.newest_reported_run()
    if again:
        report_files.write_again(app.home, chosen)
    if printed:
        click.echo(printed(_gathered(app, chosen, redacted=redacted)), nl=False)
        return
    name = _FILES[form or ("html" if show or where else "md")]
    path = _redacted_file(app, chosen, name) if redacted else _file(app, chosen, name)
    if show and _opened(path):
        return
    if on_terminal() and not (full or form or show or where):
        _print_first_screen(app, chosen, path.with_name("report.html"), redacted=redacted)
        return
    click.echo(path if show or where else path.read_text(), nl=show or where)


def _print_first_screen(app: App, run: Run, page: Path, *, redacted: bool) -> None:
    from jarvisd.cli.table import Screen
    from jobs.report.first_screen.compose import first_screen
    from jobs.report.formats import terminal

    screen = Screen.of_stdout()
    data = first_screen(_gathered(app, run, redacted=redacted))
    click.echo(
        terminal.compose(data, page, lambda text, colour: screen.paint(text, bold=True, fg=colour or None)), nl=False
    )


def _file(app: App, run: Run, name: str) -> Path:
    """The file of the run's report, rendered again from the database where it is gone or was never the last word."""
    path = app.home.run_folder(run.id) / name
    if not report_files.is_written(app.home, run, name):
        report_files.write_again(app.home, run)
    if not path.is_file():
        raise JarvisError(f"{name} of {run.id} could not be rendered", "The lines above say why; try --format md.")
    return path


def _redacted_file(app: App, run: Run, name: str) -> Path:
    """The file in `redacted/` of the run's folder, which is written anew each time."""
    from jobs.report.render import pages

    texts = pages(_gathered(app, run, redacted=True))
    if name not in texts:
        raise JarvisError(f"{name} of {run.id} could not be rendered", "Try --format md.")
    folder = app.home.run_folder(run.id) / "redacted"
    for each, text in texts.items():
        replace_file(folder / each, text)
    return folder / name


def _gathered(app: App, run: Run, *, redacted: bool) -> Report:
    from jobs.report import render
    from jobs.report.gather import gather

    return render.redacted(run.id, app.home) if redacted else gather(run.id, app.home)


def _as_json(report: Report) -> str:
    from jobs.report.render import as_json

    return as_json(report.as_json())


def _as_csv(report: Report) -> str:
    from jobs.report.formats import csv_export

    return csv_export.replies(report)


#: Renderings that go to standard output alone.
_PRINTED: dict[str, Callable[[Report], str]] = {"json": _as_json, "csv": _as_csv}


def _opened(path: Path) -> bool:
    """Whether a program could be asked to show the file."""
    from jarvisd.host import machine

    if machine.open_file(path):
        return True
    click.echo("jarvisctl: nothing here can open a file; this is where it is:", err=True)
    return False
