"""`jarvisctl prune`: remove old runs."""

from __future__ import annotations

import sys

import click

from jarvisd.cli.common import App, Whole, say
from jarvisd.errors import UsageError
from jarvisd.operations import moments, retention
from jarvisd.store import database
from jarvisd.words import amount, counted

#: The default of --keep.
KEEP = 30


@click.command()
@click.option("--keep", type=Whole(0, 10**9), metavar="N", help=f"Newest runs that stay; {KEEP} if not given.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.pass_obj
def prune(app: App, keep: int | None, dry_run: bool, yes: bool) -> None:
    """Remove old runs: their rows, results and logs. Open runs, the newest report and `latest` stay.

    \b
    Example:
      jarvisctl prune --keep 10 --dry-run
    """
    app.need_ledger()
    runs = retention.removable(KEEP if keep is None else keep)
    sizes = {run.id: retention.size(app.home, run) for run in runs}
    for run in runs:
        when = moments.day_and_time(run.created_at, database.now())
        say(f"{run.id:<32} {when:<32} {amount(sizes[run.id]):>8}")
    if not runs:
        click.echo("Nothing to remove.")
    if not runs:
        return
    total = f"{counted(len(runs), 'run')} with all results, {amount(sum(sizes.values()))}"
    if dry_run:
        say(f"Would remove {total}.")
        return
    if not yes and not sys.stdin.isatty():
        raise UsageError("nothing was removed: there is no terminal to ask for confirmation", "Add --yes.")
    if yes or click.confirm(f"Remove {total}?"):
        say(f"Removed {counted(retention.remove(app.home, runs), 'run')}.")
