"""`jarvisctl wait`: return when a run is settled."""

from __future__ import annotations

import click

from jarvisd.cli.common import App, Seconds, follow
from jarvisd.operations import daemon_state
from jarvisd.operations.lookup import find_run
from jarvisd.store import queries

#: The exit code of `timeout` of the coreutils.
TIMED_OUT = 124


@click.command()
@click.argument("run", default="latest")
@click.option("--timeout", type=Seconds(0), metavar="S", help="Give up after S seconds, with exit code 124.")
@click.pass_obj
def wait(app: App, run: str, timeout: float | None) -> int:
    """Return when a run is settled: 0 when all its jobs succeeded, 1 otherwise, 124 on timeout.

    \b
    Example:
      jarvisctl wait
      jarvisctl wait 2026-11-22-overnight --timeout 3600
    """
    app.need_ledger()
    run_id = find_run(run).id
    if not queries.is_settled(run_id) and (obstacle := daemon_state.obstacle(app.home)):
        click.echo(obstacle, err=True)
    try:
        return 0 if follow(run_id, timeout_s=timeout) else 1
    except TimeoutError as error:
        click.echo(str(error), err=True)
        return TIMED_OUT
