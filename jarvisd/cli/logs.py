"""`jarvisctl logs`: the log of a job, or of a run, and how it ended."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from jarvisd import logs as log_files
from jarvisd.cli.common import App, Whole, note
from jarvisd.errors import JarvisError, UsageError
from jarvisd.host.log_times import KnownTimes, stamp_of
from jarvisd.operations import daemon_state, log_lines
from jarvisd.operations.lookup import find_job_or_run
from jarvisd.paths import Home
from jarvisd.store import database, models, queries, run_lines
from jarvisd.store.models import Job, Run, Status

POLL_INTERVAL_S = 0.25


@click.command()
@click.argument("name", metavar="[JOB|RUN]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Print what is added until the end; exit code 1 where it failed.")
@click.option("-n", "--lines", type=Whole(0, 10**9), metavar="N", help="Only the last N lines.")
@click.option("--since", metavar="TIME", help="Only lines from this time on: 10m, 2h, 22:30 or a full timestamp.")
@click.option("--timestamps", is_flag=True, help="Write before each line when it was written.")
@click.pass_obj
def logs(app: App, name: str | None, follow: bool, lines: int | None, since: str | None, timestamps: bool) -> int:
    """Print the log of a job, or of a run; without a name that of the running job, else of the last that ran.

    How the job ended, or why it printed nothing, is said on stderr.

    \b
    Example:
      jarvisctl logs -f
      jarvisctl logs evaluate:qwen3-4b -n 20
      jarvisctl logs latest --since 2h
    """
    app.need_ledger()
    start = log_lines.since(since, database.now()) if since is not None else None
    target = find_job_or_run(name) if name else None
    is_open = queries.is_anything_open() if target is None else _is_open(target)
    if follow and is_open and (obstacle := daemon_state.obstacle(app.home)):
        note(obstacle)
    chosen = target or current(follow)
    _refuse_elsewhere(app.home, chosen)
    path = log_files.run_log(app.home, chosen.id) if isinstance(chosen, Run) else app.home.job_log(chosen.id)
    is_shared = isinstance(chosen, Run) and database.is_shared()
    has_rows, has_file = is_shared and run_lines.exist(chosen.id), path.exists()
    if not (follow or has_file or has_rows):
        raise UsageError(*log_lines.no_log(chosen))
    by_rows = has_rows or (is_shared and not has_file)
    printer = _RowPrinter(chosen.id, start) if by_rows else _Printer(path, start, timestamps=timestamps)
    if follow:
        _follow(chosen, printer, lines)
        _refuse_elsewhere(app.home, chosen)  # another machine may have taken it meanwhile
    else:
        printer.print_new(lines, complete=True)
    for sentence in log_lines.outcome(chosen, printed=printer.printed_any):
        note(sentence)
    return 1 if follow and not log_lines.succeeded(chosen) else 0


def _refuse_elsewhere(home: Home, target: Job | Run) -> None:
    """Raise JarvisError for a job that another machine has run: its log is there."""
    if isinstance(target, Run) or not database.is_shared():
        return
    job = Job.get_by_id(target.id)
    if where := log_lines.elsewhere(home, job):
        raise JarvisError(f"its log is {where}", f"`jarvisctl logs {job.run_id}` shows the run's lines here.")


def _is_open(target: Job | Run) -> bool:
    return not queries.is_settled(target.id) if isinstance(target, Run) else target.status in models.OPEN


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


@dataclass
class _Printer:
    """Writes what a log holds beyond what was written: its bytes, unchanged unless a time is asked for."""

    path: Path
    since: dt.datetime | None
    timestamps: bool
    position: int = 0
    printed_any: bool = False
    _shown: bool = field(default=True)  #: whether the last line with a known time was late enough

    def print_new(self, lines: int | None, *, complete: bool) -> None:
        """Print what was added since the last call, or of that the last `lines` lines.

        Unless the log is `complete`, a last line without its end is left for the next call where lines get times.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as log:
            log.seek(self.position)
            data = log.read()
        by_line = self.timestamps or self.since is not None
        if by_line and not complete:
            data = data[: data.rfind(b"\n") + 1]
        start, self.position = self.position, self.position + len(data)
        self.printed_any = self.printed_any or bool(data)
        added = b"".join(self._chosen(data, start)) if by_line else data
        if lines is not None:
            added = b"".join(deque(added.splitlines(keepends=True), maxlen=lines)) if lines else b""
        sys.stdout.buffer.write(added)
        sys.stdout.buffer.flush()

    def _chosen(self, data: bytes, start: int) -> Iterator[bytes]:
        """The lines from `since` on, with their times. A line whose time is unknown follows the line before it."""
        known = KnownTimes.of(self.path)
        parts = data.splitlines(keepends=True)
        for offset, line in zip(itertools.accumulate(map(len, parts), initial=start), parts, strict=False):
            at = known.at(offset, line)
            if at is not None:
                self._shown = self.since is None or at >= self.since
            if self._shown:
                yield self._stamped(at, line)

    def _stamped(self, at: dt.datetime | None, line: bytes) -> bytes:
        if not self.timestamps or stamp_of(line) is not None:
            return line
        when = at.astimezone().isoformat(timespec="seconds") if at is not None else "-" * 25
        return f"{when} ".encode() + line


@dataclass
class _RowPrinter:
    """Writes the lines of a run log that several machines wrote, beyond what was written. Each has its time."""

    run_id: str
    since: dt.datetime | None
    printed_any: bool = False
    _last: int = 0

    def print_new(self, lines: int | None, *, complete: bool) -> None:
        """Print what was stored since the last call, or of that the last `lines` lines."""
        rows = run_lines.after(self.run_id, self._last)
        self._last = rows[-1].id if rows else self._last
        self.printed_any = self.printed_any or bool(rows)
        late = [f"{run_lines.printed(row)}\n".encode() for row in rows if self.since is None or row.at >= self.since]
        sys.stdout.buffer.writelines(late if lines is None else deque(late, maxlen=lines))
        sys.stdout.buffer.flush()


def _follow(target: Job | Run, printer: _Printer | _RowPrinter, lines: int | None) -> None:
    """Print what is added to the log until the job or run has ended."""
    while True:
        ended = not _is_open(type(target).get_by_id(target.id))  # asked before reading: nothing is missed
        printer.print_new(lines, complete=ended)
        lines = None if printer.printed_any else lines
        if ended:
            return
        time.sleep(POLL_INTERVAL_S)
