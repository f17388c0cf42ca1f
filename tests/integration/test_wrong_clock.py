"""After the clock was wrong for a while, what is newest and what ends is what was counted, not what was dated."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from jarvisd.cli import logs
from jarvisd.paths import Home
from jarvisd.store import database, queries, queue
from jarvisd.store.models import Machine, Run
from tests.claiming import claimed, finish

MakeRun = Callable[..., Run]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dt.datetime]:
    """Sets the wall clock of this process to a year."""

    def choose(year: int) -> dt.datetime:
        at = dt.datetime(year, 2, 28, 22, tzinfo=dt.UTC)
        monkeypatch.setattr(database, "now", lambda: at)
        return at

    return choose


def test_the_newest_run_is_the_one_that_was_submitted_last(
    make_run: MakeRun, set_clock: Callable[[int], dt.datetime]
) -> None:
    for year in (2040, 2026):
        set_clock(year)
        run = make_run("mine", "report")
        finish(claimed())
        finish(claimed())
    newest = queries.latest_run()
    assert newest is not None
    assert newest.id == run.id


def test_the_log_that_is_shown_is_the_one_of_the_last_start(
    make_run: MakeRun, set_clock: Callable[[int], dt.datetime]
) -> None:
    """A retry of an older run's job is the last start too."""
    set_clock(2040)
    make_run("command:a")
    first = claimed()
    finish(first)
    set_clock(2026)
    make_run("command:b")
    second = claimed()
    finish(second)
    assert logs.current(wait=False).id == second.id
    set_clock(2025)
    queue.retry([first])
    finish(claimed())
    assert logs.current(wait=False).id == first.id


def test_the_time_for_a_report_is_that_of_the_report_of_the_last_run(
    make_run: MakeRun, set_clock: Callable[[int], dt.datetime]
) -> None:
    for year, seconds in ((2040, 600.0), (2026, 60.0)):
        at = set_clock(year)
        make_run("report")
        queue.settle(claimed(), queries.Status.SUCCEEDED, None, at, took_s=seconds)
    assert queries.last_report_took("test") == dt.timedelta(seconds=60)


@pytest.mark.parametrize(("year", "ends"), [(2040, False), (2039, True)])
def test_a_pause_that_a_clock_set_back_prolongs_ends_with_the_nightly_run(
    home: Home, set_clock: Callable[[int], dt.datetime], year: int, ends: bool
) -> None:
    at = set_clock(2040)
    queue.pause("here", at, at + dt.timedelta(minutes=10))
    set_clock(year)
    assert queue.end_open_pause("here") is ends
    assert (Machine.get_by_id("here").paused_since is None) is ends
