"""`jarvisctl cancel`, `retry`, `pause` and `resume`."""

from __future__ import annotations

import click

from jarvisd.cli.common import App, note, say
from jarvisd.operations import control, moments
from jarvisd.operations.lookup import find_job_or_run
from jarvisd.store.models import Status
from jarvisd.words import duration, plain


@click.command()
@click.argument("target", metavar="JOB|RUN")
@click.pass_obj
def cancel(app: App, target: str) -> None:
    """Cancel a job, or every open job of a run. All processes of a running job end within 10 seconds.

    \b
    Example:
      jarvisctl cancel evaluate:qwen3-4b
      jarvisctl cancel latest
    """
    app.need_ledger()
    for job in control.cancel(app.home, find_job_or_run(target, ends_it=True)):
        state = "being cancelled" if job.status == Status.RUNNING else "cancelled"
        say(f"{job.id} {plain(job.name)}: {state}")


@click.command()
@click.argument("target", metavar="JOB|RUN")
@click.option("--fresh", is_flag=True, help="Start from the beginning: delete the checkpoints.")
@click.option("--until", metavar="07:00", help="A new deadline for the run. Without it the run has none.")
@click.pass_obj
def retry(app: App, target: str, fresh: bool, until: str | None) -> None:
    """Queue a settled job again, or all jobs of a run that did not succeed. The report is written again after them.

    \b
    Example:
      jarvisctl retry evaluate:qwen3-4b
      jarvisctl retry latest --fresh
    """
    app.need_ledger()
    retried = control.retry(app.home, find_job_or_run(target), fresh=fresh, until=until)
    say("\n".join(f"{job.id} {plain(job.name)}: queued" for job in retried.jobs))
    if retried.start_error is not None:
        raise retried.start_error
    if app.daemon is None:
        note("The daemon is down. `jarvisctl start` starts it.")


@click.command()
@click.option("--for", "length", metavar="2h", help="End the pause after this time.")
@click.pass_obj
def pause(app: App, length: str | None) -> None:
    """Start no new job on this machine. The running job finishes.

    \b
    Example:
      jarvisctl pause --for 2h
    """
    app.open_ledger()
    paused = control.pause(app.home, duration(length) if length is not None else None)
    end = moments.clock(paused.until) if paused.until else "`jarvisctl resume` or the next nightly run"
    say(f"Paused until {end}.")
    if paused.running is not None:
        say(f"{plain(paused.running.name)} is running and will finish.")


@click.command()
@click.pass_obj
def resume(app: App) -> None:
    """End a pause.

    \b
    Example:
      jarvisctl resume
    """
    app.open_ledger()
    resumed = control.resume(app.home)
    say("Resumed." if resumed.was_paused else "Nothing was paused.")
    if resumed.start_error is not None:
        raise resumed.start_error
