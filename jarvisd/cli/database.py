"""`jarvisctl database`: move the history to a database server, and back."""

from __future__ import annotations

import click

from jarvisd.cli.common import App
from jarvisd.errors import UsageError
from jarvisd.words import counted


@click.group()
def database() -> None:
    """Move the queue, its history and all results to a PostgreSQL server, and back.

    \b
    Example:
      jarvisctl database copy --to postgresql:///jarvisd
    """


@database.command("copy")
@click.option("--to", "target", metavar="URL", help="Copy var/jarvis.db into this database.")
@click.option("--from", "source", metavar="URL", help="Copy this database into var/jarvis.db.")
@click.pass_obj
def copy(app: App, target: str | None, source: str | None) -> None:
    """Copy every row and compare each. The source is not changed; a copy that was interrupted goes on.

    The other database must be empty, or hold only what an interrupted copy left. No job may be open: it would run in
    both. Logs of jobs stay where they are.
    `database` in settings.yaml then says which of both is in force.

    \b
    Example:
      jarvisctl stop
      jarvisctl database copy --to postgresql://jarvis@hub.local/jarvisd?sslmode=verify-full
    """
    from jarvisd.operations import copy_database

    if (target is None) == (source is None):
        raise UsageError("name one database", "Give --to URL, or --from URL.")
    counts = copy_database.to_server(app.home, target) if target else copy_database.from_server(app.home, source or "")
    full = {table: number for table, number in counts.items() if number}
    for table, number in full.items():
        click.echo(f"{number:>10,}  {table}")
    click.echo(f"{counted(sum(full.values()), 'row')} of {counted(len(full), 'table')} are the same in both databases.")
