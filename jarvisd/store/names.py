"""The names of jobs and runs, read without peewee: a shell completes them on a key press."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

#: Jobs and runs that are read, the newest ones, and seconds that a busy database is waited for.
MOST_JOBS, MOST_RUNS, PATIENCE_S = 300, 60, 0.1


@dataclass(frozen=True)
class JobName:
    """A job, as a completion shows it."""

    id: int
    name: str
    status: str
    run: str


@dataclass(frozen=True)
class Names:
    """The newest jobs and runs, newest first."""

    jobs: tuple[JobName, ...] = ()
    runs: tuple[tuple[str, str], ...] = ()  #: id and plan
    models: tuple[str, ...] = ()  #: keys of models that have answered


def read(database: Path) -> Names:
    """Empty where there is no database, or none that can be read now."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)) as connection:
            newest = "SELECT id, name, status, run_id FROM job ORDER BY id DESC LIMIT ?"
            jobs = tuple(JobName(*row) for row in connection.execute(newest, (MOST_JOBS,)))
            runs = tuple(connection.execute("SELECT id, plan FROM run ORDER BY number DESC LIMIT ?", (MOST_RUNS,)))
    except (sqlite3.Error, ValueError):
        return Names()
    evaluated = (job.name.partition(":")[2] for job in jobs if job.name.startswith("evaluate:"))
    return Names(jobs, runs, tuple(dict.fromkeys(evaluated)))
