"""`jarvisctl wait`: return when a run is settled."""

from __future__ import annotations

import click

from jarvisd.cli.common import App, Seconds, follow, note
from jarvisd.operations import daemon_state, queue_order
from jarvisd.operations.lookup import find_run
from jarvisd.store import database, queries
from jarvisd.store.models import Run
from jarvisd.words import counted, label

#: The exit code of `timeout` of the coreutils.
TIMED_OUT = 124
#: Jobs that are named of those ahead.
_MOST_NAMES = 3


@click.command()
@click.argument("run", required=False)
@click.option("--timeout", type=Seconds(0), metavar="S", help="Give up after S seconds, with exit code 124.")
@click.pass_obj
def wait(app: App, run: str | None, timeout: float | None) -> int:
    """Return when a run has ended: 0 when all its jobs succeeded, 1 otherwise, 124 on timeout.

    Without RUN it waits for the run that was submitted last.

    \b
    Example:
      jarvisctl wait
      jarvisctl wait 2026-11-22-overnight --timeout 3600
    """
    app.need_ledger()
    chosen = find_run(run) if run is not None else queries.newest_run() or find_run()
    if not queries.is_settled(chosen.id):
        for line in (daemon_state.obstacle(app.home), _ahead(chosen)):
            if line:
                note(line)
    try:
        return 0 if follow(chosen.id, timeout_s=timeout) else 1
    except TimeoutError as error:
        click.echo(str(error), err=True)
        return TIMED_OUT


def _ahead(run: Run) -> str:
    """The jobs of other runs that come before this run's first job, or what it waits for; "" where it is next."""
    queue = queue_order.now(database.now())
    places = queue.of_run(run.id)
    if not places or any(job.run_id == run.id for job in queue.running):
        return ""
    before = [*queue.running, *(place.job for place in queue.places[: places[0].number - 1])]
    held = f"It waits: {places[0].waits_for}." if places[0].waits_for else ""
    if not before:
        return held
    names = ", ".join(f"{job.id} {label(job)} ({job.status})" for job in before[:_MOST_NAMES])
    more = f" and {len(before) - _MOST_NAMES:,} more" if len(before) > _MOST_NAMES else ""
    verb = "is" if len(before) == 1 else "are"
    return f"{counted(len(before), 'job')} {verb} ahead: {names}{more}. {held}".rstrip()
