"""`jarvisctl report`: print, open or name the report of a run, rendered again where its files are gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd import plugin
from jarvisd.cli.common import App
from jarvisd.operations import lookup
from jarvisd.plugin import JarvisError, UsageError

if TYPE_CHECKING:
    from jarvisd.plugin import Run, Status

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
    chosen = lookup.find_run(run) if run else _newest()
    if printed:
        click.echo(printed(app, chosen), nl=False)
        return
    path = _file(app, chosen, _FILES[form or ("html" if show or where else "md")])
    if show and _opened(path):
        return
    click.echo(path if show or where else path.read_text(), nl=show or where)


def _newest() -> Run:
    """The newest run whose report was written, else the newest whose report came to nothing, as of a cancelled run.

    Raises UsageError where there is none.
    """
    from jarvisd.plugin import SETTLED, Job, Run

    for statuses in (_written(), SETTLED):
        done = Run.select().join(Job).where(Job.is_report, Job.status.in_(statuses))
        found: Run | None = done.order_by(Run.number.desc()).first()
        if found is not None:
            return found
    raise UsageError("no report is finished yet", "`jarvisctl status` shows what is still to be done.")


def _written() -> tuple[Status, ...]:
    """How a job of a report may end that leaves a page: whole, or a plain one that says what failed."""
    from jarvisd.plugin import Status

    return (Status.SUCCEEDED, Status.FAILED)


def _stands(run: Run) -> bool:
    """Whether the run's page is the one that its newest settled report wrote."""
    from jarvisd.plugin import SETTLED, Job

    settled = Job.select().where(Job.run == run, Job.is_report, Job.status.in_(SETTLED))
    newest = settled.order_by(Job.round.desc()).first()
    return newest is not None and newest.status in _written()


def _file(app: App, run: Run, name: str) -> Path:
    """The file of the run's report, rendered again from the database where it is gone or was never the last word."""
    folder = app.home.run_folder(run.id)
    path = folder / name
    if not path.is_file() or not _stands(run):
        from jobs.report.render import render

        render(run.id, app.home, partial(_publish, folder))
    if not path.is_file():
        raise JarvisError(f"{name} of {run.id} could not be rendered", "The lines above say why; try --format md.")
    return path


def _publish(folder: Path, name: str, text: str) -> Path:
    return plugin.replace_file(folder / name, text)


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
