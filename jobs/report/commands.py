"""`jarvisctl report`: print, open or name the report of a run, rendered again where its files are gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.operations import lookup
from jarvisd.operations import report as report_files
from jarvisd.plugin import JarvisError, UsageError

if TYPE_CHECKING:
    from jarvisd.plugin import Run

_FILES = {"md": "REPORT.md", "html": "report.html"}

_HELP = """Print or open a report: of RUN, else of the newest run that has one. Where its job did not write it (the run
is open, was cancelled or asks for no report), it is written from what the database holds now.

\b
Example:
  jarvisctl report                      REPORT.md on standard output
  jarvisctl report --open               report.html in the browser
  jarvisctl report 2026-11-22 --path    where report.html is
  jarvisctl report --format json        every number of it, as JSON
  jarvisctl report --format csv         every reply, one line each, for a spreadsheet
"""


@click.command("report", help=_HELP)
@click.argument("run", required=False)
@click.option("--open", "show", is_flag=True, help="Open it with the program your desktop has for it.")
@click.option("--path", "where", is_flag=True, help="Print where the file is.")
@click.option("--format", "form", type=click.Choice(["md", "html", "json", "csv"]), help="Which rendering.")
@click.pass_obj
def report(app: App, run: str | None, show: bool, where: bool, form: str | None) -> None:
    printed = _PRINTED.get(form or "")
    if printed and (show or where):
        raise UsageError(f"{form} is printed, not a file", "Leave out --open and --path, or name another format.")
    app.need_ledger()
    chosen = lookup.find_run(run) if run else report_files.newest_reported_run()
    if printed:
        click.echo(printed(app, chosen), nl=False)
        return
    path = _file(app, chosen, _FILES[form or ("html" if show or where else "md")])
    if show and _opened(path):
        return
    click.echo(path if show or where else path.read_text(), nl=show or where)


def _file(app: App, run: Run, name: str) -> Path:
    """The file of the run's report, rendered again from the database where it is gone or was never the last word."""
    path = app.home.run_folder(run.id) / name
    if not path.is_file() or not report_files.is_current(run):
        report_files.write_again(app.home, run)
    if not path.is_file():
        raise JarvisError(f"{name} of {run.id} could not be rendered", "The lines above say why; try --format md.")
    return path


def _as_json(app: App, run: Run) -> str:
    from jobs.report.gather import gather
    from jobs.report.render import as_json

    return as_json(gather(run.id, app.home).as_json())


def _as_csv(app: App, run: Run) -> str:
    from jobs.report.formats import csv_export
    from jobs.report.gather import gather

    return csv_export.replies(gather(run.id, app.home))


#: Renderings that go to standard output alone.
_PRINTED: dict[str, Callable[[App, Run], str]] = {"json": _as_json, "csv": _as_csv}


def _opened(path: Path) -> bool:
    """Whether a program could be asked to show the file."""
    from jarvisd.host import machine

    if machine.open_file(path):
        return True
    click.echo("jarvisctl: nothing here can open a file; this is where it is:", err=True)
    return False
