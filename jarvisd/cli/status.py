"""`jarvisctl status`: what a person wants at a glance. Plain text without rich when nobody watches."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import click

from jarvisd.cli.common import App, on_terminal
from jarvisd.errors import JarvisError
from jarvisd.launchd import launchctl
from jarvisd.operations import service
from jarvisd.operations import status as run_status
from jarvisd.operations.lookup import find_run
from jarvisd.operations.status import RunSummary
from jarvisd.paths import Home
from jarvisd.plan import missed_start
from jarvisd.store import database, models, queries
from jarvisd.store.models import Job, Run, Status
from jarvisd.words import counted, label, plain, took

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Above this many jobs, a run is shown as a summary.
FULL_LIST = 40
#: Warnings of an open run that are shown in full.
MOST_WARNINGS = 3
_NO_RUN = "Nothing was submitted yet. `jarvisctl enqueue overnight` submits tonight's run."
_COLOURS = {
    Status.RUNNING: "green",
    Status.SUCCEEDED: "green",
    Status.QUEUED: "yellow",
    Status.FAILED: "red",
    Status.CANCELLED: "red",
    Status.SKIPPED: "magenta",
    Status.STOPPED: "magenta",
}


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Show it again every second until interrupted.")
@click.pass_obj
def status(app: App, run: str | None, as_json: bool, watch: bool) -> None:
    """Is the daemon up, what runs, what waits and for what, what ended and why.

    \b
    Example:
      jarvisctl status
      jarvisctl status latest --json
    """
    if as_json:
        click.echo(json.dumps(_document(app, run), indent=2, ensure_ascii=False))
    elif watch:
        _watch(app, run)
    elif on_terminal():
        from rich.console import Console

        Console().print(rich_page(app, run))
    else:
        click.echo("\n".join(lines(app, run)))


def _runs(app: App, name: str | None) -> list[Run] | None:
    """The runs to show; None where nothing was ever submitted."""
    if not app.look_into_ledger():
        app.need_ledger() if name else None
        return None
    return [find_run(name)] if name else run_status.active_runs()


def _document(app: App, name: str | None) -> dict[str, Any]:
    runs = _runs(app, name)
    if runs is None:
        return run_status.empty(app.home, app.daemon)
    return run_status.overview(app.home, runs, app.daemon, machine_id(app))


def machine_id(app: App) -> str | None:
    path = app.home.var / "machine-id"
    return path.read_text().strip() if path.exists() else None


# ----------------------------------------------------------------------------------------------------- plain lines


def lines(app: App, name: str | None) -> list[str]:
    """The page as plain lines."""
    runs = _runs(app, name)
    head = [daemon_line(app, runs is not None)]
    if not app.home.is_default:
        head.append(f"Home: {app.home.root}")
    head += _nights(app)
    if runs is None:
        return [*head, _NO_RUN]
    for run in runs:
        head += ["", *_run_lines(run)]
    return head if runs else [*head, _NO_RUN]


def daemon_line(app: App, has_ledger: bool) -> str:
    daemon = app.daemon
    paused = _paused(app) if has_ledger else ""
    if daemon is None:
        return f"{_why_down(app)}{paused}"
    if not app.home.ready.exists() and (mend := _unreadable(app)):
        return f"The daemon (pid {daemon['pid']}) waits for a valid configuration: {mend}"
    return f"The daemon runs (pid {daemon['pid']}, version {daemon['version']}).{paused}"


def _paused(app: App) -> str:
    own = machine_id(app)
    if own is None or not queries.paused(own, database.now()):
        return ""
    until = models.Machine.get_by_id(own).paused_until
    return f" Paused until {run_status.clock(until)}." if until else " Paused; `jarvisctl resume`."


def obstacle(app: App) -> str:
    """Why nothing that is queued will start now, as a line of the page; "" where a daemon takes jobs."""
    return daemon_line(app, True) if app.daemon is None or _paused(app) else ""


def _why_down(app: App) -> str:
    from jarvisd.host import machine

    if service.is_idle_on_demand(app.home):
        return "The daemon sleeps; it starts with the next job."
    if machine.MACOS and not launchctl.serves(app.home):
        return (
            "The daemon is down and not installed. `jarvisctl install` sets the nights up; `jarvisctl start` starts it."
        )
    return "The daemon is down. `jarvisctl start` starts it."


def _unreadable(app: App) -> str:
    """Why the settings cannot be read, or ""."""
    from jarvisd.plan import settings

    try:
        settings.read(app.home)
    except JarvisError as error:
        return str(error)
    return ""


def _nights(app: App) -> list[str]:
    """On a Mac: when the next night begins, what is wrong with the agents, and whether the last start came too late."""
    return _nights_at(app.home, int(time.monotonic() // 60))


@lru_cache(maxsize=1)
def _nights_at(home: Home, _minute: int) -> list[str]:
    """Looked at once a minute: `--watch` shows it every second, and launchctl is asked each time."""
    from jarvisd.host import machine

    found = [line for line in (missed_start.skipped_message(home),) if line]
    if not machine.MACOS or not launchctl.is_installed():
        return found
    schedule = launchctl.schedule(home)
    if schedule is not None:
        found.append(f"Next start: {schedule.next(database.now()):%a %H:%M}.")
    return found + [f"warning: {trouble}" for trouble in launchctl.agent_problems(home)]


def title(run: Run, brief: RunSummary) -> str:
    until = f", until {run_status.clock(run.deadline)}" if run.deadline else ""
    return f"{run.id}: {brief.state}, {brief.settled:,} of {brief.total:,} jobs settled{until}"


def _run_lines(run: Run) -> list[str]:
    brief = run_status.brief(run, FULL_LIST)
    page = [title(run, brief)]
    page += [f"  {_plain_row(job)}" for job in brief.jobs]
    return page + [f"  {line}" for line in (*summary(brief), *warnings_of(run, brief))]


def warnings_of(run: Run, brief: RunSummary) -> list[str]:
    """What an open run will lack; of many the first, because each takes a line or two."""
    if brief.state == "settled":
        return []
    said = [f"warning: {plain(warning)}" for warning in run.warnings[:MOST_WARNINGS]]
    more = len(run.warnings) - len(said)
    return [*said, f"{counted(more, 'more warning')}: `jarvisctl doctor`"] if more else said


def _plain_row(job: Job) -> str:
    return f"{job.id:>5}  {label(job):<28} {job.status:<10} {what_of(job)}".rstrip()


def summary(brief: RunSummary) -> list[str]:
    """How the jobs of a huge run stand, most of which have no line of their own."""
    return [run_status.in_words(brief.counts)] if brief.total > FULL_LIST else []


def what_of(job: Job) -> str:
    """What there is to say of a job: how far it is, how long it took, why it ended or waits."""
    at = database.now()
    words = []
    if job.status == Status.RUNNING:
        if job.total:
            words.append(f"{job.done} of {job.total}")
        if job.note:
            words.append(plain(job.note))
        words.append(f"since {took((at - job.started_at).total_seconds())}")
        if (left := run_status.seconds_left(job, at)) is not None:
            words.append(f"about {took(left)} left")
    elif job.status in models.SETTLED and job.took_s is not None:
        words.append(f"took {took(job.took_s)}")
    if job.peak_memory_mb:
        words.append(f"{job.peak_memory_mb:,} MB")
    if job.attempt > 1:
        words.append(f"attempt {job.attempt}")
    if job.cancel_requested and job.status == Status.RUNNING:
        words.append("being cancelled")
    if job.reason:
        words.append(plain(job.reason))
    return ", ".join(words)


# ---------------------------------------------------------------------------------------------------- on a terminal


def _watch(app: App, name: str | None) -> None:
    """Show the page until interrupted; plain pages, one a change, when not on a terminal."""
    if not on_terminal():
        shown: list[str] = []
        while True:
            if (page := lines(app, name)) != shown:
                click.echo("\n".join(page) + "\n")
                shown = page
            time.sleep(1)
    from rich.live import Live

    with Live(rich_page(app, name), refresh_per_second=4, screen=True) as live:
        while True:
            time.sleep(1)
            live.update(rich_page(app, name))


def rich_page(app: App, name: str | None) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    runs = _runs(app, name)
    page: list[RenderableType] = [Text(daemon_line(app, runs is not None))]
    if not app.home.is_default:
        page.append(Text(f"Home: {app.home.root}", style="dim"))
    page += [Text(line) for line in _nights(app)]
    if not runs:
        page.append(Text(_NO_RUN))
    for run in runs or []:
        page += [Text(), run_table(run)]
    return Group(*page)


def run_table(run: Run) -> RenderableType:
    """A run as a table with a bar for the running job."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    brief = run_status.brief(run, FULL_LIST)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Id", "Job", "Status", "", ""):
        table.add_column(heading, justify="right" if heading == "Id" else "left", overflow="fold")
    for job in brief.jobs:
        colour = _COLOURS[Status(job.status)]
        table.add_row(str(job.id), Text(label(job)), Text(job.status, style=colour), bar(job), Text(what_of(job)))
    parts: list[RenderableType] = [Text(title(run, brief), style="bold")]
    parts += [table, *[Text(line) for line in summary(brief)]]
    return Group(*parts, *[Text(line, style="yellow") for line in warnings_of(run, brief)])


def bar(job: Job) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    if job.status != Status.RUNNING or not job.total:
        return Text()
    return ProgressBar(total=job.total, completed=job.done or 0, width=20)
