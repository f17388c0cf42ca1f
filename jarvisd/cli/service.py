"""`jarvisctl start`, `stop` and `restart`: the daemon as a background process."""

from __future__ import annotations

import click

from jarvisd import daemon
from jarvisd.cli.common import App


@click.command()
@click.pass_obj
def start(app: App) -> None:
    """Start the daemon in the background; it outlives this terminal.

    \b
    Example:
      jarvisctl start
    """
    held = app.daemon
    if held is not None:
        click.echo(f"The daemon runs already (pid {held['pid']}).")
    else:
        click.echo(f"Started (pid {daemon.start_in_background(app.home)}).")


@click.command()
@click.pass_obj
def stop(app: App) -> None:
    """Stop the daemon. The running job goes back to the queue and continues at the next start.

    \b
    Example:
      jarvisctl stop
    """
    click.echo("Stopped." if daemon.stop(app.home) else "The daemon was not running.")


@click.command()
@click.pass_obj
def restart(app: App) -> None:
    """Stop the daemon and start it again.

    \b
    Example:
      jarvisctl restart
    """
    daemon.stop(app.home)
    click.echo(f"Started (pid {daemon.start_in_background(app.home)}).")
