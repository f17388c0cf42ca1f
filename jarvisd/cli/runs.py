"""`jarvisctl runs`: the runs so far."""

from __future__ import annotations

import json

import click

from jarvisd.cli.common import App
from jarvisd.operations import status
from jarvisd.store.models import Run


@click.command()
@click.option(
    "-n", "--number", type=click.IntRange(1, 10**9), default=20, metavar="N", help="How many; 20 if not given."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def runs(app: App, number: int, as_json: bool) -> None:
    """List the newest runs, the newest first.

    \b
    Example:
      jarvisctl runs
    """
    rows = list(Run.select().order_by(Run.number.desc()).limit(number)) if app.look_into_ledger() else []
    if as_json:
        click.echo(json.dumps([status.of_run(run) for run in rows], indent=2))
        return
    if not rows:
        click.echo("No run yet. `jarvisctl enqueue PLAN` submits one.")
    for run in rows:
        summary = status.summary(run, most=0)
        click.echo(f"{run.id:<32} {status.stamp(run.created_at)}  {summary.state:<8} {status.in_words(summary.counts)}")
