"""`jarvisctl wait`: return when a run is settled."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from jarvisd.cli.common import App, on_terminal
from jarvisd.cli.status import obstacle
from jarvisd.operations.lookup import find_run
from jarvisd.store import database, models, queries
from jarvisd.store.models import Job, Run, Status
from jarvisd.words import label, plain, took

LOOK_EVERY_S = 0.3
#: An end is stamped a moment before it is stored, and the clock may be set back a little meanwhile.
LOOK_BACK = dt.timedelta(minutes=1)
TIMED_OUT = 124


@click.command()
@click.argument("run", default="latest")
@click.option("--timeout", type=click.FloatRange(0), metavar="S", help="Give up after S seconds, with exit code 124.")
@click.pass_obj
def wait(app: App, run: str, timeout: float | None) -> int:
    """Return when a run is settled: 0 when all its jobs succeeded, 1 otherwise, 124 on timeout.

    \b
    Example:
      jarvisctl wait
      jarvisctl wait 2026-11-22-overnight --timeout 3600
    """
    app.need_ledger()
    awaited = find_run(run).id
    if not queries.is_settled(awaited) and (why := obstacle(app)):
        click.echo(why, err=True)
    return follow(awaited, timeout_s=timeout)


def follow(run_id: str, *, timeout_s: float | None = None) -> int:
    """Show a run's progress on stderr until it is settled; returns what `wait` exits with."""
    end = None if timeout_s is None else time.monotonic() + timeout_s
    with _display(run_id) as show:
        while True:
            show()
            if queries.is_settled(run_id):
                break
            if end is not None and time.monotonic() >= end:
                click.echo(f"{run_id} is not settled after {timeout_s:g} s.", err=True)
                return TIMED_OUT
            time.sleep(LOOK_EVERY_S)
    return int(Job.select().where(Job.run == run_id, Job.status != Status.SUCCEEDED).exists())


@contextmanager
def _display(run_id: str) -> Iterator[Any]:
    """A live table on a terminal, a line a change of status elsewhere."""
    if not on_terminal():
        yield _Changes(run_id).say
        return
    from rich.console import Console
    from rich.live import Live

    from jarvisd.cli.status import run_table

    def table() -> Any:
        return run_table(Run.get_by_id(run_id))

    with Live(table(), console=Console(stderr=True), refresh_per_second=4) as live:
        yield lambda: live.update(table())


class _Changes:
    """A line a change of status. Only rows that can have changed are read: a run may have ten thousand."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._seen: dict[int, str] = {}
        self._since: dt.datetime | None = None

    def say(self) -> None:
        rows = Job.select().where(Job.run == self.run_id, Job.status != Status.QUEUED)
        if self._since is not None:
            rows = rows.where((Job.status == Status.RUNNING) | (Job.ended_at >= self._since - LOOK_BACK))
        self._since = database.now()
        for job in rows.order_by(Job.round, Job.place, Job.id):
            if self._seen.get(job.id) != job.status:
                self._seen[job.id] = job.status
                click.echo(_words(job), err=True)


def _words(job: Job) -> str:
    words = f"{label(job)} {job.status}"
    if job.status in models.SETTLED and job.took_s is not None:
        words += f" after {took(job.took_s)}"
    return f"{words}: {plain(job.reason)}" if job.reason else words
