"""Tonight: what runs, what waits and why, and the log of the run."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jarvisd import logs
from jarvisd.errors import JarvisError
from jarvisd.host import machine, processes
from jarvisd.host.lockfile import lock_holder
from jarvisd.operations import (
    daemon_state,
    log_lines,
    machines,
    notification,
    queue_order,
    status_page,
    this_machine,
)
from jarvisd.operations.status_page import Row
from jarvisd.paths import Home
from jarvisd.store import database, models, queries
from jarvisd.store.models import Job
from jarvisd.web import log_text
from jarvisd.web.pages import Answer, Live, Request, Room, get, poll, render
from jarvisd.web.rendering import TEMPLATES
from jarvisd.words import label, lasting, plain

#: Lines of a job's log and of the run log.
_LOG_LINES, _RUN_LOG_LINES = 8, 12
#: Seconds after which times and memory are shown anew while a job runs.
_REFRESH_S = 5
#: Under this key the session keeps what the last answer was about, so that a poll needs no query.
_SEEN = "tonight.seen"


@dataclass(frozen=True)
class Seen:
    """What a poll looks at beside the database."""

    runs: bool  #: whether a job runs
    logs: tuple[Path, ...]


def tonight(request: Request) -> Answer:
    page, live = _read(request)
    return render(
        "tonight.html",
        rows=page.rows,
        now=live,
        live=request.link("tonight/live"),
        outline=live.outline,
        runs=_runs_shown(page.rows),
        paused=_is_paused(request.home),
        down=lock_holder(request.home) is None,
    )


def changes(request: Request) -> Live:
    return _read(request)[1]


def version(request: Request) -> str:
    """The sizes of the logs, whether the daemon runs and, while a job does, the time."""
    seen: Seen = request.session.get(_SEEN) or Seen(True, ())
    tick = int(time.time() / (_REFRESH_S if seen.runs else 60))
    return f"{tick} {[log_text.size(path) for path in seen.logs]} {_daemon(request.home)}"


def _daemon(home: Home) -> object:
    holder = lock_holder(home)
    return holder and holder["pid"]


def _read(request: Request) -> tuple[status_page.Page, Live]:
    page, job = status_page.of_queue(), _running(request.home)
    place = _place(request.home, job)
    job_log = request.home.job_log(job.id) if job else None
    run_id = job.run_id if job else next((row.run_id for row in page.rows), None)
    run_log = logs.whole_run_log(request.home, run_id) if run_id else None
    request.session[_SEEN] = Seen(job is not None, tuple(log for log in (job_log, run_log) if isinstance(log, Path)))
    texts = {
        "daemon": " ".join(_head(request.home)),
        "summaries": "\n".join([*page.summaries, *page.below]),
        "job-log": _job_log(request.home, job, place),
        "run-log": log_text.tail(run_log, _RUN_LOG_LINES),
        **_now(request.home, job, place),
    }
    for row in page.rows:
        texts |= {f"state-{row.job_id}": str(row.state), f"facts-{row.job_id}": row.facts}
    shares = {"share": _share(job)}
    disabled = {f"cancel-{row.job_id}": not _is_open(row) for row in page.rows}
    disabled |= {f"retry-{row.job_id}": _is_open(row) for row in page.rows}
    ids = sorted(row.job_id for row in page.rows)
    buttons = (_is_paused(request.home), lock_holder(request.home) is None)  # which of them a page has
    return page, Live(texts, shares, disabled, hashlib.sha256(f"{ids} {buttons}".encode()).hexdigest()[:16])


def _job_log(home: Home, job: Job | None, place: str) -> str:
    """The last lines of a job's log, or on which other machine it is."""
    if job is None:
        return ""
    return f"The log is {log_lines.elsewhere(home, job)}" if place else log_text.tail(home.job_log(job.id), _LOG_LINES)


def _running(home: Home) -> Job | None:
    """The job that runs on this machine, else one that another machine of a shared database runs."""
    return min(queries.running(), key=lambda job: _place(home, job), default=None)


def _place(home: Home, job: Job | None) -> str:
    """Where a job runs: "on mini"; "" where that is this machine."""
    if job is None or not database.is_shared() or job.machine == this_machine.known_identity(home):
        return ""
    return machines.places(database.now()).get(job.machine, "on another machine")


def _head(home: Home) -> list[str]:
    """Whether the daemon takes jobs, what the notification does, and when the next night begins."""
    lines = [daemon_state.sentence(home, has_database=True), notification.line(home), *daemon_state.night_lines(home)]
    return [line.replace("`", "") for line in lines if line]


def _is_open(row: Row) -> bool:
    return row.state in models.OPEN


def _is_paused(home: Home) -> bool:
    name = machine.known_identity(home)
    return name is not None and queries.paused(name, database.now())


def _runs_shown(rows: list[Row]) -> list[tuple[str, bool]]:
    """The runs of the rows, each with whether one of its jobs is open."""
    runs: dict[str, bool] = {}
    for row in rows:
        runs[row.run_id] = runs.get(row.run_id, False) or _is_open(row)
    return list(runs.items())


def _now(home: Home, job: Job | None, place: str) -> dict[str, str]:
    """The fixed texts about the running job. `place`: the other machine that runs it, whose memory is not known."""
    if job is None:
        return dict.fromkeys(("now", "run-now", "progress", "left", "memory"), "") | {"now": "Nothing is running."}
    left = queue_order.seconds_left(job, database.now())
    done = f"{job.done:,} of {job.total:,}" if job.total else "no progress reported yet"
    return {
        "now": f"{job.id} {label(job)}",
        "run-now": plain(job.run_id),
        "progress": f"{done}, {plain(job.note)}" if job.note else done,
        "left": f"{lasting(left)} left" if left is not None else "time left unknown",
        "memory": place or _memory(home, job),
    }


def _share(job: Job | None) -> float:
    return min(1.0, (job.done or 0) / job.total) if job is not None and job.total else 0.0


def _memory(home: Home, job: Job) -> str:
    """1,200 MB of at most 6,144 MB."""
    used_mb = processes.tree_use(job.pid)[0] if job.pid else 0
    declared = f", {job.memory_mb:,} MB declared" if job.memory_mb else ""
    return f"{used_mb:,} MB of at most {_limit_mb(home, int(time.monotonic() // 60)):,} MB{declared}"


@lru_cache(maxsize=1)
def _limit_mb(home: Home, _minute: int) -> int:
    """The most memory that a job may use. Read once per minute: settings are YAML.

    The YAML is parsed only where a line looks like that setting: its libraries take 0.1 s and 8 MB.
    """
    path = home.config_file("settings.yaml")
    if not path.is_file() or not re.search(r"^[^#\n]*\bhard_mb\W+[1-9]", path.read_text(errors="replace"), re.M):
        return machine.most_mb()
    from jarvisd.plan import settings

    try:
        return settings.read(home).memory.hard_mb or machine.most_mb()
    except JarvisError:
        return machine.most_mb()


WEB = Room(
    name="tonight",
    title="Tonight",
    templates=TEMPLATES,
    place=10,
    routes=(get("", tonight), poll("live", changes, version)),
)
