"""`jarvisctl start`, `stop` and `restart`: the daemon, by launchd where it is installed, else in the background."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import peewee

from jarvisd.cli.common import App, note, say
from jarvisd.errors import JarvisError
from jarvisd.operations import service
from jarvisd.store import salvage
from jarvisd.store.models import Job, Status
from jarvisd.web import process
from jarvisd.words import plain


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
        say(f"The daemon runs already (pid {held['pid']}).")
    else:
        _start(app)


@click.command()
@click.pass_obj
def stop(app: App) -> None:
    """Stop the daemon, and the page where one is open. The running job continues at the next start; a command, which
    is run once, is ended.

    \b
    Example:
      jarvisctl stop
    """
    with _saying_what_ended(app):
        stopped = service.stop(app.home)
    if process.stop(app.home):
        note("The page has ended too.")
    say("Stopped." if stopped else "The daemon was not running.")


@click.command()
@click.pass_obj
def restart(app: App) -> None:
    """Stop the daemon and start it again. What `stop` says of the running job holds here too.

    \b
    Example:
      jarvisctl restart
    """
    with _saying_what_ended(app):
        service.stop(app.home)
    _start(app)


def _start(app: App) -> None:
    """Start the daemon, and print what it has saved of a damaged database."""
    say(f"Started (pid {service.start(app.home)}).")
    if saved := salvage.message(app.home):
        note(saved)


@contextmanager
def _saying_what_ended(app: App) -> Iterator[None]:
    """Name a job that was running and will not continue. Works with a damaged database too."""
    before = _jobs(app, Job.status == Status.RUNNING) if app.daemon is not None else []
    yield
    for job in _jobs(app, Job.id.in_([job.id for job in before]), Job.status == Status.FAILED) if before else ():
        note(f"{job.id} {plain(job.name)} has ended: {plain(job.reason)}. `jarvisctl retry {job.id}`")


def _jobs(app: App, *which: peewee.Expression) -> list[Job]:
    try:
        return list(Job.select().where(*which)) if app.look_into_ledger() else []
    except (JarvisError, OSError, peewee.PeeweeException):
        return []
