"""The jobs of a run as a report shows them; those that did not succeed by cause, with the command that mends them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jarvisd import plugin
from jarvisd.plugin import Job, Status

#: Ways to end without success, the worst first.
_MENDABLE = (Status.FAILED, Status.STOPPED, Status.SKIPPED, Status.CANCELLED)
#: So many missing models are named; more are fetched as the plan names them.
FEW = 2
#: What the reason of a job says whose model can be downloaded.
_FETCHED = re.compile(r"jarvisctl models fetch ([\w./@-]*\w)")


@dataclass(frozen=True, kw_only=True)
class JobLine:
    """A job of the night, as the table shows it."""

    id: int
    name: str
    kind: str
    round: int
    status: str
    attempt: int
    reason: str
    remedy: str  #: the command that tries again, or ""
    duration_s: float | None  #: of the last attempt
    peak_memory_mb: float | None


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why some jobs did not succeed."""

    what: str  #: the reason that all of them share, as a sentence
    status: str  #: of the jobs
    jobs: tuple[str, ...]  #: their names
    downloads: tuple[str, ...] = ()  #: models that are missing


def line(row: Job) -> JobLine:
    """What the table shows of a job."""
    running = row.status == Status.RUNNING
    seconds = (plugin.now() - row.started_at).total_seconds() if running else row.took_s
    number: int = row.__data__["id"]
    return JobLine(
        id=number,
        name=row.name,
        kind=row.kind,
        round=row.round,
        status=str(row.status),
        attempt=row.attempt,
        reason=row.reason or "",
        remedy=f"jarvisctl retry {number}" if row.status in _MENDABLE else "",
        duration_s=seconds,
        peak_memory_mb=row.peak_memory_mb,
    )


def causes(jobs: Sequence[JobLine]) -> tuple[Cause, ...]:
    """The jobs that did not succeed, those with one cause together; failed ones first."""
    groups: dict[tuple[str, str], list[JobLine]] = {}
    for job in jobs:
        if job.remedy:
            shared = "a model is missing" if _FETCHED.search(job.reason) else job.reason
            groups.setdefault((job.status, shared), []).append(job)
    order = sorted(groups, key=lambda group: [str(status) for status in _MENDABLE].index(group[0]))
    return tuple(_cause(status, groups[status, shared]) for status, shared in order)


def _cause(status: str, jobs: Sequence[JobLine]) -> Cause:
    downloads = tuple(dict.fromkeys(name for job in jobs for name in _FETCHED.findall(job.reason)))
    what = jobs[0].reason or "no reason was stored"
    if len(downloads) > 1:
        what = f"{len(downloads)} models are not on this disk"
    return Cause(what=what, status=status, jobs=tuple(job.name for job in jobs), downloads=downloads)


def mending_command(run_id: str, plan: str, jobs: Sequence[JobLine]) -> str:
    """The one command that downloads what is missing and runs again what did not succeed; "" for nothing to mend."""
    again = [job for job in jobs if job.remedy]
    if not again:
        return ""
    retry = again[0].remedy if len(again) == 1 else f"jarvisctl retry {run_id}"
    missing = list(dict.fromkeys(name for job in again for name in _FETCHED.findall(job.reason)))
    if not missing:
        return retry
    which = " ".join(missing) if len(missing) <= FEW else f"--only {plan}"
    return f"jarvisctl models fetch {which} && {retry}"
