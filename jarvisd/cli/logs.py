"""`jarvisctl logs`: a job's log."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path

import click

from jarvisd.cli.common import App
from jarvisd.errors import UsageError
from jarvisd.operations import daemon_state
from jarvisd.operations.lookup import find_job
from jarvisd.store import models, queries
from jarvisd.store.models import Job, Status

POLL_INTERVAL_S = 0.25


@click.command()
@click.argument("job", required=False)
@click.option("-f", "--follow", is_flag=True, help="Wait for the job, print what it adds, end with it.")
@click.option("-n", "--lines", type=click.IntRange(0, 10**9), metavar="N", help="Only the last N lines.")
@click.pass_obj
def logs(app: App, job: str | None, follow: bool, lines: int | None) -> None:
    """Print a job's log: the running one without JOB, else the last that ran.

    \b
    Example:
      jarvisctl logs -f
      jarvisctl logs evaluate:qwen3-4b -n 20
    """
    app.need_ledger()
    named = find_job(job) if job else None
    awaited = named.status in models.OPEN if named else queries.is_anything_open()
    if follow and awaited and (obstacle := daemon_state.obstacle(app.home)):
        click.echo(obstacle, err=True)
    chosen = named or current(follow)
    path = app.home.job_log(chosen.id)
    if follow:
        _follow(chosen, path, lines)
    elif not path.exists():
        raise UsageError(f"{chosen.name} has no log: it is {chosen.status}", chosen.reason or "It has not started.")
    else:
        _print(path.read_bytes(), lines)


def current(wait: bool) -> Job:
    """The running job, else the one that started last; with `wait`, the first that starts."""
    while True:
        running = Job.select().where(Job.status == Status.RUNNING).first()
        if running is not None:
            return running
        started = queries.last_started()
        waiting = Job.select().where(Job.status == Status.QUEUED).exists()
        if started is not None and not (wait and waiting):
            return started
        if not wait:
            raise UsageError("no job has started yet", "`jarvisctl logs -f` waits for the first.")
        time.sleep(POLL_INTERVAL_S)


def _print(data: bytes, lines: int | None) -> None:
    """Write the bytes of the log unchanged."""
    if lines is not None:
        data = b"".join(deque(data.splitlines(keepends=True), maxlen=lines)) if lines else b""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _follow(job: Job, path: Path, lines: int | None) -> None:
    position = 0
    while True:
        settled = Job.get_by_id(job.id).status in models.SETTLED  # asked before reading: nothing is missed
        if path.exists():
            with path.open("rb") as log:
                log.seek(position)
                data = log.read()
                position = log.tell()
            _print(data, lines)
            lines = None
        if settled:
            return
        time.sleep(POLL_INTERVAL_S)
