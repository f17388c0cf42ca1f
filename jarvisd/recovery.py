"""What a daemon does before it takes the first job: end what an earlier life left running, and put it back."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import os
import sqlite3
from pathlib import Path

from jarvisd import crash, disk, files, machine, migrations, processes, queue, stories
from jarvisd.errors import LedgerError
from jarvisd.home import Home
from jarvisd.ledger import Job, Status
from jarvisd.supervisor import end_job, may_start_again, settle_as_committed

_log = logging.getLogger("jarvisd.recovery")

#: What a database of SQLite begins with.
_MAGIC = b"SQLite format 3\0"


def recover(home: Home, machine_id: str) -> None:
    """End orphans of this machine, put their jobs back, and ring for all that is owed."""
    rows = Job.select().where(Job.status == Status.RUNNING, Job.machine == machine_id)
    crash.point("recovery.begun")
    for job in list(rows):
        if _end_orphan(job):
            crash.point("recovery.orphan-ended")
            _put_back(home, job)
            crash.point("recovery.put-back")
    files.sweep(home.results)
    owed = queue.ring_for_owed()
    crash.point("recovery.rung")
    _log.info("%d jobs are owed", owed)


def _end_orphan(job: Job) -> bool:
    """End what an earlier life left running of this job. False when nobody can tell whose its process is."""
    if job.boot_id != machine.boot_id():
        return True  # the computer was restarted since
    if job.pid is not None:
        same = processes.is_same(job.pid, job.token)
        if same is None:
            _log.error("pid %d may be job %d of an earlier life; it is left alone, and so is the job", job.pid, job.id)
            return False
        if same:
            _log.warning("job %d still runs as pid %d; ending it", job.id, job.pid)
            processes.end_tree(job.pid, job.token, grace_s=2.0)
    if ended := processes.end_carriers(job.token):
        _log.warning("job %d had left %d processes; they are ended", job.id, ended)
    return True


def _put_back(home: Home, job: Job) -> None:
    stories.tell(home, job.run_id, f"{job.name} was interrupted: jarvisd ended without warning")
    crash.point("recovery.told")
    if settle_as_committed(home, job):
        return
    if job.pid is None:  # its child was never let go
        queue.requeue(job, "interrupted: jarvisd ended without warning", never_ran=True)
    elif job.cancel_requested:
        end_job(home, job, Status.CANCELLED, "cancelled by its owner")
    elif may_start_again(job):
        queue.requeue(job, "interrupted: jarvisd ended without warning")
    else:
        end_job(home, job, Status.FAILED, _why_given_up(job))


def _why_given_up(job: Job) -> str:
    if job.attempts is not None:
        return "interrupted: jarvisd ended without warning; it has no attempt left, and a command is not run twice"
    return (
        f"given up after {job.fruitless} starts in a row that came to nothing, each ended with the daemon or the "
        "computer; most likely it needs more memory than there is"
    )


def set_damaged_aside(home: Home) -> None:
    """Move a damaged or foreign database away under a dated name, and say so. Only the holder of the lock does this."""
    migrations.refuse_no_file(home)
    if not home.database.exists() or _is_ours(home):
        return
    aside = _free_name(home)
    for suffix in ("", "-wal", "-shm"):
        damaged = home.database.with_name(home.database.name + suffix)
        if damaged.exists():
            damaged.rename(aside.with_name(aside.name + suffix))
    _log.error("the database was damaged, or another program's; it is kept as var/%s, a new one is made", aside.name)


def _is_ours(home: Home) -> bool:
    """Whether it is a whole database, and empty or with our list of migrations.

    A file without the mark of a database is not opened as one: SQLite would write a journal left beside it into it.
    """
    with home.database.open("rb") as file:
        if file.read(len(_MAGIC)) not in (b"", _MAGIC):
            return False
    connection = sqlite3.connect(home.database)
    try:
        whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            what = disk.trouble(error) or "another process holds it"
            raise LedgerError(f"{home.database} cannot be looked at: {what}", "Try again in a moment.") from error
        return False
    finally:
        connection.close()
    return whole and (not tables or "migration" in tables)


def _free_name(home: Home) -> Path:
    """A dated name that no file has: what was set aside before is never overwritten."""
    stamp = dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        name = f"jarvis-damaged-{stamp}.db" if number == 1 else f"jarvis-damaged-{stamp}-{number}.db"
        if not any(os.path.lexists(home.var / f"{name}{suffix}") for suffix in ("", "-wal", "-shm")):
            return home.var / name
    raise AssertionError("there is always a next number")
