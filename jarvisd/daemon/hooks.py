"""What follows when a run is settled: notify the user, remove old runs. A failure here fails no job."""

from __future__ import annotations

import json
import logging
import threading

from jarvisd.daemon import notifier
from jarvisd.host import power
from jarvisd.operations import retention, status
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
            power.notify("jarvisd", _summary(run))
        if wanted.notify is not None:
            _call_program(home, run, wanted.notify)
        if wanted.keep is not None:
            retention.remove(home, retention.removable(wanted.keep))
    except Exception as error:  # a full disk, a broken settings file: the run itself is done
        _log.warning("after run %s: %s", run.id, type(error).__name__)


def _summary(run: Run) -> str:
    jobs = [job for job in queries.jobs_of(run) if not job.is_report]  # as the report counts
    succeeded = sum(job.status == Status.SUCCEEDED for job in jobs)
    return f"{run.id}: {succeeded} of {len(jobs)} jobs succeeded. The report is ready: jarvisctl report --open"


def _call_program(home: Home, run: Run, notify: Notify) -> None:
    """Have the user's program run, with the run as in `status --json` on its standard input. Does not wait for it."""
    jobs = queries.jobs_of(run)
    if notify.when == "failures" and all(job.status == Status.SUCCEEDED for job in jobs):
        return
    document = json.dumps(status.of_run(run)).encode()
    process = notifier.start(home, run.id, notify.command, notify.timeout_s, document)
    threading.Thread(target=process.wait, daemon=True).start()  # or it stays a zombie
