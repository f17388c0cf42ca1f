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

_NO_REPORT = "There is no report of this run:"


def running_page(home: Home, run: Run) -> None:
    """Write REPORT.md of a run that has just started: its start, how to follow it, and the previous report."""
    since = database.now().astimezone().strftime("%Y-%m-%d %H:%M")
    previous = queries.newest_reported(before=run.number)
    last = (
        f"The previous report is {home.run_folder(previous.id) / 'REPORT.md'}." if previous else "It is the first one."
    )
    lines = [
        _running_title(run),
        "",
        f"Since {since}. The report takes the place of this page when every job has ended.",
        "",
        "    jarvisctl status --watch",
        "    jarvisctl logs -f",
        "",
        last,
        "",
    ]
    try:
        files.replace(logs.make_folder(home, run.id) / "REPORT.md", "\n".join(lines))
    except OSError as error:
        logging.getLogger("jarvisd").error("REPORT.md of %s cannot be written: %s", run.id, error.strerror)


def has_report_since(home: Home, run: Run, moment: dt.datetime) -> bool:
    """Whether REPORT.md of a run is a report, and not a page of this module, written at that time or later."""
    page = home.run_folder(run.id) / "REPORT.md"
    try:
        written, text = page.stat().st_mtime, page.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return written >= moment.timestamp() and _NO_REPORT not in text and not text.startswith(_running_title(run))


def _running_title(run: Run) -> str:
    return f"# {run.id} is running"


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
    try:
        files.replace(logs.make_folder(home, run.id) / "REPORT.md", "\n".join(lines))
    except OSError as error:
        logging.getLogger("jarvisd").error("REPORT.md of %s cannot be written: %s", run.id, error.strerror)
