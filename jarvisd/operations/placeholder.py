"""REPORT.md while a run has no report yet, and when its report job failed. Needs only the queue's tables."""

from __future__ import annotations

import datetime as dt
import logging

from jarvisd import logs
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store import database, queries
from jarvisd.store.models import Run
from jarvisd.words import plain

_log = logging.getLogger("jarvisd")

_NO_REPORT = "There is no report of this run:"


def link_latest(home: Home) -> None:
    """Point results/latest to what `latest` means, where that run has a report. An error is logged, not raised."""
    run = queries.newest_with_report()
    if run is None or not home.run_folder(run.id).is_dir():
        return
    try:
        files.replace_symlink(home.latest, run.id)
    except OSError as error:
        _log.warning("results/latest cannot point to %s: %s", run.id, error.strerror)


def has_page(home: Home, run: Run) -> bool:
    """Whether a run has a REPORT.md that is newer than the page of a run that waits."""
    try:
        return not (home.run_folder(run.id) / "REPORT.md").read_bytes().startswith(_waiting_title(run).encode())
    except OSError:
        return False


def waiting_page(home: Home, run: Run) -> None:
    """Write REPORT.md of a run that has just been submitted, and point `latest` to it."""
    lines = [
        _waiting_title(run),
        "",
        "The report takes the place of this page when every job has ended.",
        "",
        "    jarvisctl status",
        "",
        _previous(home, run),
        "",
    ]
    _write(home, run, lines)
    link_latest(home)


def running_page(home: Home, run: Run) -> None:
    """Write REPORT.md of a run that has just started: its start, how to follow it, and the previous report."""
    since = database.now().astimezone().strftime("%Y-%m-%d %H:%M")
    lines = [
        _running_title(run),
        "",
        f"Since {since}. The report takes the place of this page when every job has ended.",
        "",
        "    jarvisctl status --watch",
        "    jarvisctl logs -f",
        "",
        _previous(home, run),
        "",
    ]
    _write(home, run, lines)


def _previous(home: Home, run: Run) -> str:
    previous = queries.newest_reported(before=run.number)
    return (
        f"The previous report is {home.run_folder(previous.id) / 'REPORT.md'}." if previous else "It is the first one."
    )


def has_report_since(home: Home, run: Run, moment: dt.datetime) -> bool:
    """Whether REPORT.md of a run is a report, and not a page of this module, written at that time or later."""
    page = home.run_folder(run.id) / "REPORT.md"
    try:
        written, text = page.stat().st_mtime, page.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    titles = (_running_title(run), _waiting_title(run))
    return written >= moment.timestamp() and _NO_REPORT not in text and not text.startswith(titles)


def _running_title(run: Run) -> str:
    return f"# {run.id} is running"


def _waiting_title(run: Run) -> str:
    return f"# {run.id} is waiting"


def _write(home: Home, run: Run, lines: list[str]) -> None:
    """Replace REPORT.md. A page that cannot be written is logged, not raised."""
    try:
        files.replace(logs.make_folder(home, run.id) / "REPORT.md", "\n".join(lines))
    except OSError as error:
        _log.error("REPORT.md of %s cannot be written: %s", run.id, error.strerror)


def plain_report(home: Home, run: Run, reason: str, *, keep: bool = False) -> None:
    """Write REPORT.md of a run whose report job failed: statuses, reasons and the command that tries again.

    `keep` leaves an earlier report of the run in place. A page that cannot be written is logged, not raised.
    """
    if keep and (home.run_folder(run.id) / "report.html").exists():
        return
    lines = [f"# {run.id}", "", f"{_NO_REPORT} {plain(reason)}", "", "## Jobs", ""]
    jobs = [job for job in queries.jobs_of(run) if not job.is_report]
    lines += [f"    {job.id:>5}  {plain(job.name):<32} {job.status:<10} {plain(job.reason)}".rstrip() for job in jobs]
    lines += ["", "What the jobs found is in the database. To write the report again:", ""]
    lines += [f"    jarvisctl retry {queries.jobs_of(run)[-1].id}", ""]
    _write(home, run, lines)
