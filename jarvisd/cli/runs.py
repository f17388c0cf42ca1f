"""`jarvisctl runs`: the runs so far."""

from __future__ import annotations

import json

import click

from jarvisd.cli.common import App, Whole
from jarvisd.cli.table import COLOURS, Screen, columns
from jarvisd.operations import history, status
from jarvisd.store.models import Run

_HEADINGS = ("Run", "Submitted", "Took", "State", "Jobs", "Title", "Verdict")


@click.command()
@click.option("-n", "--number", type=Whole(1, 10**9), default=20, metavar="N", help="How many; 20 if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def runs(app: App, number: int, as_json: bool) -> None:
    """List the newest runs, the newest first: when, how long, how they ended, and what the report says in five words.

    \b
    Example:
      jarvisctl runs
      jarvisctl runs -n 5 --json
    """
    exists = app.look_into_ledger()
    if as_json:
        rows = list(Run.select().order_by(Run.number.desc()).limit(number)) if exists else []
        click.echo(json.dumps([status.of_run(run) for run in rows], indent=2))
        return
    entries = history.newest(number) if exists else []
    if not entries:
        click.echo("No run yet. `jarvisctl enqueue PLAN` submits one.")
        return
    cells = [
        (entry.run_id, entry.submitted, entry.lasted, entry.state, entry.jobs, entry.title, entry.verdict)
        for entry in entries
    ]
    colours = [COLOURS.get(entry.state) for entry in entries]
    click.echo("\n".join(columns(_HEADINGS, cells, Screen.of_stdout(), painted=3, colours=colours)), color=True)
