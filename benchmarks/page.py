"""What does the local page cost: memory, first answer, a poll without news, and every screen over 10,000 jobs?

python -m benchmarks page
"""

from __future__ import annotations

import datetime as dt
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from jarvisd.operations import report
from jarvisd.paths import Home
from jarvisd.store import database, migrations
from jarvisd.store.models import Job, Run, Status
from jarvisd.web import process
from tests import morning_rows
from tests.web_client import Client, log_in

RUNS, JOBS = 300, 10_000
REQUESTS, POLLS = 20, 400
#: Lines of the log of the newest run: a long night's.
LOG_LINES = 20_000
SCREENS = (
    *("tonight", "tonight/live", "queue", "queue?state=failed", "queue?page=200", "queue?run=night-150&name=n1"),
    *("history", "history?page=12", "history/run/night-300", "log/job/10000", "log/run/night-300", "queue/new"),
    *("decide", "vote", "review", "review/cards", "review/templates"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), "--home")
        fill(home)
        rows = [_first_answer(home)]
        with _page(home) as client:
            rows += [*_screens(client), _poll(client), _memory(client), *_votes(client)]
    for what, figure, aim in rows:
        print(f"  {what:<58} {figure:>22}   {aim}".rstrip())


# ------------------------------------------------------------------------------------------------------- a long history


def fill(home: Home, runs: int = RUNS, jobs: int = JOBS) -> None:
    """So many runs with so many jobs together: all ended but the newest run, one of whose jobs runs."""
    migrations.migrate(home)
    at, each, rows = database.now() - dt.timedelta(days=runs), jobs // runs, list[Job]()
    with database.write():
        for number in range(1, runs + 1):
            at += dt.timedelta(days=1)
            run = _run(number, at)
            run.save(force_insert=True)
            count = each if number < runs else jobs - len(rows)
            rows += [_job(run, place, at, ended=number < runs) for place in range(count)]
        Job.bulk_create(rows, batch_size=500)
    folder = home.run_folder(f"night-{runs}")
    folder.mkdir(parents=True)
    lines = [f"{at.isoformat(timespec='seconds')} mine: line {number} of the night" for number in range(LOG_LINES)]
    (folder / "experiment.log").write_text("\n".join(lines) + "\n")
    report.write_again(home, morning_rows.morning())
    database.disconnect()


def _run(number: int, at: dt.datetime) -> Run:
    return Run(
        id=f"night-{number}",
        number=number,
        plan="many",
        title="Many",
        night=f"{at:%Y-%m-%d}",
        created_at=at,
        started_at=at,
        snapshot={"plan": {}},
        warnings=[],
    )


def _job(run: Run, place: int, at: dt.datetime, *, ended: bool) -> Job:
    status = (Status.SUCCEEDED if place % 7 else Status.FAILED) if ended else Status.QUEUED
    if not ended and place == 0:
        status = Status.RUNNING
    return Job(
        run=run,
        name=f"command:n{place}",
        kind="command",
        place=place,
        params={"program": ["true"]},
        status=status,
        reason="exit status 1" if status == Status.FAILED else None,
        attempt=int(status != Status.QUEUED),
        started_at=at if status != Status.QUEUED else None,
        ended_at=at + dt.timedelta(minutes=place) if ended else None,
        took_s=60.0 if ended else None,
        done=3 if status == Status.RUNNING else None,
        total=10 if status == Status.RUNNING else None,
    )


# ------------------------------------------------------------------------------------------------------------- a client


@contextmanager
def _page(home: Home) -> Iterator[Client]:
    try:
        yield log_in(home, process.ensure(home))
    finally:
        process.stop(home)


def _first_answer(home: Home) -> tuple[str, str, str]:
    """From the start of the process to the first screen, as `jarvisctl open` waits for it; median of five.

    On a busy computer the CPU time, which is beside it, says more.
    """
    times, used = [], []
    for _ in range(5):
        began = time.perf_counter()
        with _page(home) as client:
            assert client.get("tonight")[0] == 200
            times.append(time.perf_counter() - began)
            used.append(sum(psutil.Process(client.page.pid).cpu_times()[:2]))
    figure = f"{statistics.median(times):.2f} s (CPU {statistics.median(used):.2f})"
    return "from the start of the process to the first screen", figure, "at most 0.5 s"


def _screens(client: Client) -> list[tuple[str, str, str]]:
    """The median and the longest time of each screen."""
    rows = []
    for path in SCREENS:
        times = []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            assert client.get(path)[0] == 200, path
            times.append((time.perf_counter() - began) * 1000)
        figure = f"{statistics.median(times):.0f} ms, max {max(times):.0f}"
        rows.append((f"{path}, {JOBS:,} jobs and {RUNS} runs", figure, "at most 300 ms"))
    return rows


def _poll(client: Client) -> tuple[str, str, str]:
    """CPU time of the page for one poll that has no news."""
    tag, connection = client.get("queue/live")[1], client.connect()
    times = psutil.Process(client.page.pid).cpu_times()
    for _ in range(POLLS):
        assert client.ask(connection, "queue/live", tag)[0] == 304
    after = psutil.Process(client.page.pid).cpu_times()
    connection.close()
    cpu_ms = (after.user + after.system - times.user - times.system) * 1000 / POLLS
    return "a poll without news, CPU time of the page", f"{cpu_ms:.2f} ms", "at most 1 ms"


def _memory(client: Client) -> tuple[str, str, str]:
    """Resident memory after all of that."""
    used_mb = psutil.Process(client.page.pid).memory_info().rss / 1e6
    return "memory of the page after all of that", f"{used_mb:.0f} MB", "at most 60 MB"


def _votes(client: Client) -> list[tuple[str, str, str]]:
    """A session of votes, whose numerical libraries are in a child of the page."""
    begun = time.perf_counter()
    assert client.post("vote/begin", {}) == 303
    times, began_s = [], time.perf_counter() - begun
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        page = client.text("vote")
        (pair,) = re.findall(r'name="pair" value="([\d-]+)"', page)
        assert client.post("vote/answer", {"pair": pair, "choice": "left"}) == 303
        times.append((time.perf_counter() - begun) * 1000)
    page = psutil.Process(client.page.pid)
    used_mb, child_mb = (each.memory_info().rss / 1e6 for each in (page, *page.children()))
    figure = f"{statistics.median(times):.0f} ms, max {max(times):.0f}"
    return [
        ("the beginning of a session of votes", f"{began_s:.2f} s", ""),
        ("a vote and the next pair", figure, "at most 300 ms"),
        ("memory of the page with a session of votes", f"{used_mb:.0f} MB", "at most 60 MB"),
        ("memory of the child of that session", f"{child_mb:.0f} MB", ""),
    ]
