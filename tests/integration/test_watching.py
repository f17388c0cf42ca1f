"""What the verbs print while a run is watched: why nothing happens, what will be missing, and when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from jarvisd.cli import cli
from jarvisd.host import machine
from jarvisd.operations import moments
from jarvisd.paths import Home
from jarvisd.store import database, queue
from jarvisd.store.models import Run

MakeRun = Callable[..., Run]


def call(home: Home, *words: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(home.root), *words], standalone_mode=False)


def test_waiting_for_a_run_that_no_daemon_will_take_says_so(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    done = call(home, "wait", "--timeout", "0")
    assert done.return_value == 124
    assert done.stderr.startswith("The daemon is down")


def test_a_pause_is_shown_also_while_the_daemon_is_down(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    queue.pause(machine.identity(home), database.now(), None)
    first = call(home, "status").output.splitlines()[0]
    assert first.startswith("The daemon is down")
    assert first.endswith("Paused; `jarvisctl resume` ends the pause.")


def test_the_warnings_of_a_run_stand_below_its_jobs_and_do_not_fill_the_page(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    Run.update(warnings=[f"model {n} is not on this disk" for n in range(10)]).where(Run.id == run.id).execute()
    output = call(home, "status").output.splitlines()
    place = next(n for n, line in enumerate(output) if " mine " in line)
    assert [line.strip() for line in output[place + 1 :]] == [
        *(f"warning: model {n} is not on this disk" for n in range(3)),
        "7 more warnings: `jarvisctl doctor`",
    ]


@pytest.mark.parametrize(("days", "shape"), [(0.1, "%a %H:%M"), (-5.9, "%a %H:%M"), (6.1, "%Y-%m-%d %H:%M")])
def test_a_time_that_is_far_away_has_its_date(days: float, shape: str) -> None:
    moment = database.now() + dt.timedelta(days=days)
    assert moments.clock(moment) == moment.astimezone().strftime(shape)
