"""Removes old runs: their rows, results and logs. Open runs, what they wait for, and the newest report stay."""

from __future__ import annotations

import logging
import re
import shutil

from jarvisd.host import files, log_times
from jarvisd.paths import Home
from jarvisd.store import database, dependencies, models, queries, transitions
from jarvisd.store.models import Job, Run

_log = logging.getLogger("jarvisd.operations.retention")

#: A results folder that is being deleted. After a crash the next pruning deletes the rest.
_DOOMED = ".pruned-"
#: The name of a job's log, or of the times of its lines.
_LOG = re.compile(r"job-[0-9]{1,12}\.(log|times)")


def removable(keep: int) -> list[Run]:
    """Settled runs beyond the newest `keep`, oldest first; never the newest report, or what an open run waits for."""
    newest = {run.id for run in Run.select(Run.id).order_by(Run.number.desc()).limit(keep)}
    unsettled = {job.run_id for job in Job.select(Job.run).where(Job.status.in_(models.OPEN)).distinct()}
    last = (queries.newest_reported(), queries.newest_with_report())
    needed = newest | unsettled | dependencies.awaited_runs() | {run.id for run in last if run is not None}
    return [run for run in Run.select().order_by(Run.number) if run.id not in needed]


def size(home: Home, run: Run) -> int:
    """Bytes of a run's files: its results and the logs of its jobs, without its rows in the database."""
    logs = [home.job_log(job.id) for job in Job.select(Job.id).where(Job.run == run.id)]
    kept = [*home.run_folder(run.id).rglob("*"), *logs, *map(log_times.path_of, logs)]
    return sum(path.lstat().st_size for path in kept if path.is_file() and not path.is_symlink())


def remove(home: Home, runs: list[Run]) -> int:
    """Remove these runs; returns how many. A run that was opened again meanwhile stays."""
    removed = 0
    for run in runs:
        jobs = [job.id for job in Job.select(Job.id).where(Job.run == run.id)]
        folder, doomed = home.run_folder(run.id), home.results / f"{_DOOMED}{run.id}"
        with database.write():
            if not queries.is_settled(run.id) or run.id in dependencies.awaited_runs():
                continue
            if folder.is_dir() and not folder.is_symlink():
                folder.rename(doomed)  # a crash after this loses files, which the database can render again
                files.flush_folder(home.results)  # else the folder could be back under its name, with no row for it
            Run.delete().where(Run.id == run.id).execute()
        for job_id in jobs:
            _remove_log(home, job_id)
        removed += 1
        _log.info("run %s is pruned", run.id)
    if removed:
        database.shrink()
    for left in home.results.glob(f"{_DOOMED}*"):
        shutil.rmtree(left, ignore_errors=True)
    if removed and not database.empty_log():
        _log.warning("another process reads the database; what was pruned is erased from its log later")
    return removed


def _remove_log(home: Home, job_id: int) -> None:
    """Remove a job's log, and then the times of its lines."""
    log = home.job_log(job_id)
    log.unlink(missing_ok=True)
    log_times.path_of(log).unlink(missing_ok=True)


def sweep_logs(home: Home) -> int:
    """Remove the logs of jobs that were pruned, which a crash in `remove` leaves; returns how many.

    The log of a job that this database never stored stays: the database was replaced. No new job gets its number.
    """
    numbers = {int(path.stem.removeprefix("job-")) for path in home.logs.glob("job-*") if _LOG.fullmatch(path.name)}
    stored = {job.id for job in Job.select(Job.id)}
    last = queries.next_job_id() - 1
    pruned = [number for number in numbers - stored if number <= last]
    for number in pruned:
        _remove_log(home, number)
    transitions.raise_last_number("job", max(numbers, default=0))
    return len(pruned)
