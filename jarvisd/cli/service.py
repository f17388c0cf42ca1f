"""`jarvisctl start`, `stop` and `restart`: the daemon, by launchd where it is installed, else in the background."""

from __future__ import annotations

import click

from jarvisd import service
from jarvisd.cli.common import App


@click.command()
@click.pass_obj
def start(app: App) -> None:
    """Start the daemon: by launchd where `install` has set it up, else in the background. It outlives this terminal.

    \b
    Example:
      jarvisctl start
    """
    held = app.daemon
    if held is not None:
        click.echo(f"The daemon runs already (pid {held['pid']}).")
    else:
        click.echo(f"Started (pid {service.start(app.home)}).")


@click.command()
@click.pass_obj
def stop(app: App) -> None:
    """Stop the daemon. The running job goes back to the queue and continues at the next start.

    \b
    Example:
      jarvisctl stop
    """
    click.echo("Stopped." if service.stop(app.home) else "The daemon was not running.")


@click.command()
@click.pass_obj
def restart(app: App) -> None:
    """Stop the daemon and start it again.

    \b
    Example:
      jarvisctl restart
    """
    service.stop(app.home)
    click.echo(f"Started (pid {service.start(app.home)}).")
