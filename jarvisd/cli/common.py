"""What several verbs need: the home, the database, and how a run and its progress are shown."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from jarvisd import paths as homes
from jarvisd.host import lockfile, streams
from jarvisd.paths import Home

if TYPE_CHECKING:
    from jarvisd.store.models import Job


@dataclass(frozen=True)
class App:
    """What every verb is given (`@click.pass_obj`)."""

    home: Home

    @classmethod
    def at(cls, folder: str | None) -> App:
        return cls(homes.find(folder))

    def open_ledger(self) -> None:
        """Open the database to write, making it and bringing its schema up to date."""
        from jarvisd.store import migrations

        migrations.migrate(self.home)

    def look_into_ledger(self) -> bool:
        """Open the database to read; False where nothing was submitted here yet."""
        from jarvisd.store import migrations

        return migrations.open_existing(self.home)

    def need_ledger(self) -> None:
        """Open the database to read. Raises UsageError where nothing was submitted here yet."""
        from jarvisd.operations import lookup

        lookup.open_database(self.home)

    @property
    def daemon(self) -> dict[str, object] | None:
        """Pid, version and start of the process that holds the daemon's lock, or None."""
        return lockfile.lock_holder(self.home)


class Whole(click.IntRange):
    """A whole number between two bounds, which the error names."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            number = self.low - 1
        if not self.low <= number <= self.high:
            self.fail(f"{value!r} is not a whole number from {self.low:,} to {self.high:,}.", param, ctx)
        return number


class Seconds(click.FloatRange):
    """A time in seconds. click takes nan and inf for numbers too, and a wait until nan never ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return super().convert(value, param, ctx)


def on_terminal() -> bool:
    return sys.stdout.isatty()


def say(line: str, otherwise: str | None = None) -> None:
    """Print on stdout what was done. Where that fails, print `otherwise` on stderr: what was done stays done."""
    try:
        click.echo(line)
    except OSError as error:
        streams.silence(1)
        note(f"{otherwise or line} (stdout cannot be written: {error.strerror})")


def note(line: str) -> None:
    """Print on stderr. Where that fails too, go on: nothing is left to say it on."""
    try:
        click.echo(line, err=True)
    except OSError:
        streams.silence(2)


def follow(run_id: str, *, timeout_s: float | None = None, silence_s: float = math.inf) -> bool:
    """Show a run's progress on stderr until it is settled: whether all its jobs succeeded. Raises TimeoutError.

    `silence_s`: without a terminal, the seconds after which a line about the running job is printed.
    """
    from jarvisd.operations import wait

    with _progress(run_id, silence_s) as show:
        return wait.until_settled(run_id, show, timeout_s=timeout_s)


@contextmanager
def _progress(run_id: str, silence_s: float) -> Iterator[Callable[[], None]]:
    """Yields what to call again and again: a live table on a terminal, elsewhere one line per change of status."""
    if not on_terminal():
        yield _line_printer(run_id, silence_s)
        return
    from jarvisd.cli.frame import Frame
    from jarvisd.cli.table import Screen, page_lines
    from jarvisd.operations import status_page
    from jarvisd.store.models import Run

    with Frame(sys.stderr) as frame:
        yield lambda: frame.draw(page_lines(status_page.of_run(Run.get_by_id(run_id)), Screen.of_stdout()))


def _line_printer(run_id: str, silence_s: float) -> Callable[[], None]:
    from jarvisd.operations import wait

    changes, running = wait.StatusChanges(run_id), wait.RunningLines(run_id, silence_s)

    def print_news() -> None:
        news = [_change_line(job) for job in changes.next()]
        if news:
            running.quiet()
        for line in news or running.next():
            click.echo(line, err=True)

    return print_news


def _change_line(job: Job) -> str:
    from jarvisd.store import models
    from jarvisd.words import label, plain, took

    line = f"{label(job)} {job.status}"
    if job.status in models.SETTLED and job.took_s is not None:
        line += f" after {took(job.took_s)}"
    return f"{line}: {plain(job.reason)}" if job.reason else line
