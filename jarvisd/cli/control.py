"""`jarvisctl cancel`, `retry`, `pause` and `resume`."""

from __future__ import annotations

import datetime as dt

import click

from jarvisd.cli.common import App
from jarvisd.errors import UsageError
from jarvisd.host import machine
from jarvisd.operations import placeholder, service
from jarvisd.operations import status as run_status
from jarvisd.operations.lookup import find
from jarvisd.store import database, models, queries, queue
from jarvisd.store.models import Job, Run, Status
from jarvisd.words import duration


@click.command()
@click.argument("what", metavar="JOB|RUN")
@click.pass_obj
def cancel(app: App, what: str) -> None:
    """Cancel a job, or all that is open of a run. A running job's whole process tree ends within 10 seconds.

    \b
    Example:
      jarvisctl cancel evaluate:qwen3-4b
      jarvisctl cancel latest
    """
    app.need_ledger()
    found = find(what)
    at = database.now()
    ended = queue.cancel_run(found, at) if isinstance(found, Run) else queue.cancel([found], at)
    if not ended:
        name = found.id if isinstance(found, Run) else found.name
        raise UsageError(f"nothing to cancel: {name} is settled", "`jarvisctl status` shows what is open.")
    said = [
        f"{job.id} {job.name}: {'being cancelled' if job.status == Status.RUNNING else 'cancelled'}" for job in ended
    ]
    click.echo("\n".join(said))
    for job in ended:
        if job.is_report and app.home.run_folder(job.run_id).exists():
            placeholder.plain_report(app.home, job.run, "it was cancelled", keep=True)


@click.command()
@click.argument("what", metavar="JOB|RUN")
@click.option("--fresh", is_flag=True, help="Begin anew: keep none of the pieces that succeeded.")
@click.option("--until", metavar="07:00", help="A new deadline for the run; without it there is none.")
@click.pass_obj
def retry(app: App, what: str, fresh: bool, until: str | None) -> None:
    """Queue a settled job again, or all jobs of a run that did not succeed; the report follows them.

    \b
    Example:
      jarvisctl retry evaluate:qwen3-4b
      jarvisctl retry latest --fresh
    """
    app.need_ledger()
    found = find(what)
    deadline = _deadline(until) if until else None
    chosen = _worth_retrying(found, fresh=fresh) if isinstance(found, Run) else [found]
    revived = queue.retry(chosen, fresh=fresh, deadline=deadline)
    click.echo("\n".join(f"{job.id} {job.name}: queued" for job in revived))
    service.start_if_on_demand(app.home)
    if app.daemon is None:
        click.echo("The daemon is down. `jarvisctl start` starts it.", err=True)


def _deadline(until: str) -> dt.datetime:
    from jarvisd.plan import plans  # it brings pydantic, which takes longer than most of what is done here

    try:
        return plans.deadline(until, database.now())
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None


def _worth_retrying(run: Run, *, fresh: bool) -> list[Job]:
    """All of a run that did not succeed, with --fresh everything settled: their ids, `queue.retry` reads the rest."""
    wanted = [status for status in models.SETTLED if fresh or status != Status.SUCCEEDED]
    chosen = list(Job.select(Job.id).where(Job.run == run.id, Job.status.in_(wanted)))
    if not chosen:
        raise UsageError("nothing to retry: every job succeeded or is open", "`--fresh` does it all again.")
    return chosen


@click.command()
@click.option("--for", "length", metavar="2h", help="End the pause by itself after this time.")
@click.pass_obj
def pause(app: App, length: str | None) -> None:
    """Claim nothing new on this machine; the running job finishes.

    \b
    Example:
      jarvisctl pause --for 2h
    """
    app.open_ledger()
    at = database.now()
    until = at + duration(length) if length is not None else None
    queue.pause(machine.identity(app.home), at, until)
    words = f"until {run_status.clock(until)}" if until else "until `jarvisctl resume` or the next nightly run"
    click.echo(f"Paused {words}.")
    running: Job | None = Job.select().join(Run).where(Job.status == Status.RUNNING).first()
    if running is not None:
        click.echo(f"{running.name} is running and will finish.")


@click.command()
@click.pass_obj
def resume(app: App) -> None:
    """End a pause.

    \b
    Example:
      jarvisctl resume
    """
    app.open_ledger()
    click.echo("Resumed." if queue.resume(machine.identity(app.home)) else "Nothing was paused.")
    if queries.is_anything_open():
        service.start_if_on_demand(app.home)
