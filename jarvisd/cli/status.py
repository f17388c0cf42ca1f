"""`jarvisctl status`: the daemon, the runs and their jobs; plain text without rich where stdout is no terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import FULL_LIST, App, counts_line, on_terminal, run_table
from jarvisd.operations import daemon_state, notification
from jarvisd.operations import status as run_status
from jarvisd.store.models import Job, Run
from jarvisd.words import label

if TYPE_CHECKING:
    from rich.console import RenderableType

_NO_RUN = "Nothing was submitted yet. `jarvisctl enqueue overnight` submits tonight's run."


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Refresh every second until interrupted.")
@click.pass_obj
def status(app: App, run: str | None, as_json: bool, watch: bool) -> None:
    """Show whether the daemon runs, which jobs run, which wait and for what, and how the others ended.

    \b
    Example:
      jarvisctl status
      jarvisctl status latest --json
    """
    if as_json:
        click.echo(json.dumps(run_status.document(app.home, run), indent=2))
    elif watch:
        _watch(app, run)
    elif on_terminal():
        from rich.console import Console

        Console().print(rich_page(app, run))
    else:
        click.echo("\n".join(lines(app, run)))


def _head(app: App, runs: list[Run] | None) -> list[str]:
    """The lines above the runs."""
    head = [daemon_state.sentence(app.home, has_database=runs is not None)]
    if not app.home.is_default:
        head.append(f"Home: {app.home.root}")
    notes = [line for line in (_rescue(app), notification.line(app.home)) if line]
    return [*head, *notes, *daemon_state.night_lines(app.home)]


def _rescue(app: App) -> str | None:
    """What was saved of a damaged database."""
    if not app.home.rescue_note.exists():
        return None
    from jarvisd.store import salvage  # late: few homes have such a note, and `status` must start fast

    return salvage.message(app.home)


def lines(app: App, name: str | None) -> list[str]:
    """The page as plain lines."""
    runs = run_status.runs_to_show(app.home, name)
    page = _head(app, runs)
    for run in runs or ():
        page += ["", *_run_lines(run)]
    return page if runs else [*page, _NO_RUN]


def _run_lines(run: Run) -> list[str]:
    summary = run_status.summary(run, FULL_LIST)
    below = (*map(_row, summary.jobs), *counts_line(summary.counts), *run_status.warnings(run, summary))
    return [run_status.title(run, summary), *(f"  {line}" for line in below)]


def _row(job: Job) -> str:
    return f"{job.id:>5}  {label(job):<28} {job.status:<10} {run_status.details(job)}".rstrip()


def _watch(app: App, name: str | None) -> None:
    """Show the page until interrupted. Where stdout is no terminal, print it again whenever it changes."""
    if not on_terminal():
        shown: list[str] = []
        while True:
            if (page := lines(app, name)) != shown:
                click.echo("\n".join(page) + "\n")
                shown = page
            time.sleep(1)
    from rich.live import Live

    with Live(rich_page(app, name), refresh_per_second=4, screen=True) as live:
        while True:
            time.sleep(1)
            live.update(rich_page(app, name))


def rich_page(app: App, name: str | None) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    runs = run_status.runs_to_show(app.home, name)
    page: list[RenderableType] = [Text(line) for line in _head(app, runs)]
    if not runs:
        page.append(Text(_NO_RUN))
    for run in runs or []:
        page += [Text(), run_table(run)]
    return Group(*page)
