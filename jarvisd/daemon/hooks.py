"""What follows when a run is settled: notify the user, remove old runs. A failure here fails no job."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from jarvisd.daemon import notifier
from jarvisd.host import power
from jarvisd.operations import history, retention, status
from jarvisd.paths import Home
from jarvisd.plan import settings
from jarvisd.plan.settings import Notify
from jarvisd.store import queries
from jarvisd.store.models import Run, Status

_log = logging.getLogger("jarvisd.daemon.hooks")


def run_settled(home: Home, run: Run) -> None:
    """Notify and remove old runs, as settings.yaml says. A failure is logged and goes no further."""
    try:
        wanted = settings.read(home)
        if wanted.notification and queries.report_row(run, 1) is not None:
            power.notify("jarvisd", _summary(run), opens=_page(home, run))
        if wanted.notify is not None:
            _call_program(home, run, wanted.notify)
        if wanted.keep is not None:
            retention.remove(home, retention.removable(wanted.keep))
    except Exception as error:  # a full disk, a broken settings file: the run itself is done
        _log.warning("after run %s: %s", run.id, type(error).__name__)


def _summary(run: Run) -> str:
    """The verdict and how the jobs ended, in one line."""
    jobs = [job for job in queries.jobs_of(run) if not job.is_report]  # as the report counts
    succeeded = sum(job.status == Status.SUCCEEDED for job in jobs)
    counts = f"{succeeded} of {len(jobs)} jobs succeeded"
    verdict = history.verdict(run)
    first = f"{verdict}. " if verdict and verdict != counts else ""
    return f"{first}{run.id}: {counts}. The report is ready: jarvisctl report --open"


def _page(home: Home, run: Run) -> Path | None:
    """The report's page, where it was written."""
    page = home.run_folder(run.id) / "report.html"
    return page if page.is_file() else None


def _call_program(home: Home, run: Run, notify: Notify) -> None:
    """Have the user's program run, with the run as JSON on its standard input. Does not wait for it.

    The document is that of `status --json`, and "verdict" in one line ("" without a report) and "page", a path or null.
    """
    jobs = queries.jobs_of(run)
    if notify.when == "failures" and all(job.status == Status.SUCCEEDED for job in jobs):
        return
    page = _page(home, run)
    told = {"verdict": history.verdict(run), "page": None if page is None else str(page)}
    document = json.dumps(status.of_run(run) | told).encode()
    process = notifier.start(home, run.id, notify.command, notify.timeout_s, document)
    threading.Thread(target=process.wait, daemon=True).start()  # or it stays a zombie
