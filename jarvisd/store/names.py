"""The names of jobs and runs, read without peewee: a shell completes them on a key press."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd import store

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
            return _newest(connection.execute)
    except (sqlite3.Error, ValueError):
        return Names()


def read_from_server(address: str) -> Names:
    """The same of a database server. Empty where it cannot be asked; how long that may take is the caller's to say."""
    store.show_driver()
    try:
        import psycopg  # late: it takes twice as long as all the rest, and a file does not need it

        from jarvisd.store import login
    except ImportError:
        return Names()
    try:
        with closing(login.connect(address)) as connection:
            return _newest(connection.execute)
    except (psycopg.Error, ValueError):
        return Names()


def _newest(execute: Callable[..., Iterable[Any]]) -> Names:
    newest = f"SELECT id, name, status, run_id FROM job ORDER BY id DESC LIMIT {MOST_JOBS}"  # noqa: S608 - a number
    jobs = tuple(JobName(*row) for row in execute(newest))
    runs = tuple(execute(f"SELECT id, plan FROM run ORDER BY number DESC LIMIT {MOST_RUNS}"))  # noqa: S608
    evaluated = (job.name.partition(":")[2] for job in jobs if job.name.startswith("evaluate:"))
    return Names(jobs, runs, tuple(dict.fromkeys(evaluated)))
