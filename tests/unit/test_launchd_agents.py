"""The agents as data: schedules, rendering, and every key against launchd.plist(5)."""

from __future__ import annotations

import datetime as dt
import plistlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import UsageError
from jarvisd.host import power
from jarvisd.launchd import agents
from jarvisd.launchd.agents import DAEMON, NIGHTLY
from jarvisd.operations.doctor.mac import wakes_before
from jarvisd.paths import Home
from jarvisd.plan.missed_start import NightlyStart
from jarvisd.plan.schedule import Schedule
from tests.launchd_keys import problems

HOME = Home(Path("/Users/mo/it's <here> & there"), "--home")
SUNDAY = dt.datetime(2026, 11, 22, 12, 0).astimezone()


def test_every_path_is_absolute_and_no_sign_is_left() -> None:
    for agent in agents.render(HOME, Schedule()).values():
        text = agents.write(agent).decode()
        assert "@" not in text
        assert plistlib.loads(text.encode()) == agent
        assert problems(agent) == []
        assert agents.home_of(agent) == str(HOME.root)


def test_where_models_lie_is_passed_on_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "/Volumes/models")
    installed = agents.render(HOME, Schedule())[DAEMON]
    assert installed["EnvironmentVariables"]["HF_HOME"] == "/Volumes/models"
    monkeypatch.delenv("HF_HOME")
    assert agents.render(HOME, Schedule(), installed)[DAEMON] == installed
    assert "HF_HOME" not in agents.render(HOME, Schedule())[DAEMON]["EnvironmentVariables"]


@pytest.mark.skipif(shutil.which("plistutil") is None, reason="plistutil (libplist-utils) is not installed")
@pytest.mark.parametrize("label", agents.LABELS)
def test_a_reader_that_is_not_pythons_reads_the_same(label: str, tmp_path: Path) -> None:
    agent = agents.render(HOME, Schedule(("22:00", "03:00"), ("mon",)))[label]
    text, binary = tmp_path / "text", tmp_path / "binary"
    text.write_bytes(agents.write(agent))
    subprocess.run(["plistutil", "-i", text, "-o", binary, "-f", "bin"], check=True, timeout=30)
    assert plistlib.loads(binary.read_bytes()) == agent


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ExitTimeout": 30}, "launchd has no key ExitTimeout"),
        ({"ExitTimeOut": "30"}, "ExitTimeOut cannot be '30'"),
        ({"Umask": "077"}, "Umask cannot be '077'"),
        ({"RunAtLoad": 1}, "RunAtLoad cannot be 1"),
        ({"KeepAlive": {"SuccesfulExit": False}}, "KeepAlive cannot be"),
        ({"KeepAlive": {}}, "KeepAlive cannot be"),
        ({"ProcessType": "standard"}, "ProcessType cannot be"),
        ({"StartCalendarInterval": {"Hour": 24, "Minute": 0}}, "StartCalendarInterval cannot be"),
        ({"StartCalendarInterval": []}, "StartCalendarInterval cannot be"),
        ({"StandardOutPath": "~/Library/Logs/x.log"}, "StandardOutPath cannot be"),
        ({"EnvironmentVariables": {"PATH": 1}}, "EnvironmentVariables cannot be"),
        ({"ProgramArguments": ["jarvisd"]}, "must begin with an absolute path"),
    ],
)
def test_what_launchd_would_ignore_is_named(change: dict[str, Any], message: str) -> None:
    agent = agents.render(HOME, Schedule())[DAEMON] | change
    assert any(message in line for line in problems(agent))


def test_an_agent_without_a_label_or_program_is_refused() -> None:
    assert problems({}) == ["Label is missing", "ProgramArguments is missing"]


# ------------------------------------------------------------------------------------------------------- schedules


def test_several_times_and_weekdays_become_one_interval_each_with_hour_and_minute() -> None:
    schedule = Schedule.of(("22:00", "3:05"), "fri, Monday")
    assert schedule.intervals() == [
        {"Weekday": day, "Hour": hour, "Minute": minute} for day in (1, 5) for hour, minute in ((3, 5), (22, 0))
    ]
    nightly = agents.render(HOME, schedule)[NIGHTLY]
    assert agents.schedule_of(nightly) == schedule
    assert nightly["ProgramArguments"][-6:] == ["--due", "03:05", "--due", "22:00", "--due-on", "mon,fri"]


@pytest.mark.parametrize("text", ["24:00", "22", "22:60", "ten", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time of day"):
        Schedule.of((text,))


def test_what_is_no_weekday_is_refused() -> None:
    with pytest.raises(UsageError, match="not a weekday"):
        Schedule.of(("22:00",), "mon,thx")


def test_a_start_is_for_the_last_scheduled_time_before_it() -> None:
    daily, fridays = Schedule(), Schedule(weekdays=("fri",))
    assert f"{daily.last(SUNDAY):%a %H:%M}" == "Sat 22:00"
    assert f"{fridays.last(SUNDAY):%a %H:%M}" == "Fri 22:00"
    assert f"{daily.next(SUNDAY):%a %H:%M}" == "Sun 22:00"
    assert f"{fridays.next(SUNDAY):%a %H:%M}" == "Fri 22:00"
    exactly = SUNDAY.replace(hour=22)
    assert daily.last(exactly) == exactly
    assert daily.next(exactly) == exactly + dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("late", "minutes", "runs"),
    [
        ("skip", 0, True),
        ("skip", 61, True),  # the clock went forward, or back
        ("skip", 74, True),
        ("skip", 76, False),
        ("run", 600, True),
        (90, 89, True),
        (90, 91, False),
        (5, 20, True),
    ],
)
def test_the_plan_decides_whether_a_late_start_runs(late: Any, minutes: int, runs: bool) -> None:
    assert NightlyStart(SUNDAY, SUNDAY + dt.timedelta(minutes=minutes)).may_run(late) is runs


# ----------------------------------------------------------------------------------------------------------- waking


@pytest.mark.parametrize(
    ("time", "weekdays", "expected"),
    [
        ("22:00", (), ["MTWRFSU", "21:58:00"]),
        ("22:00", ("mon", "thu", "sun"), ["MRU", "21:58:00"]),
        ("00:01", ("mon", "tue"), ["MU", "23:59:00"]),
        ("00:02", ("mon",), ["M", "00:00:00"]),
    ],
)
def test_the_mac_is_to_wake_two_minutes_before(time: str, weekdays: tuple[str, ...], expected: list[str]) -> None:
    assert power.wake_command(time, weekdays) == ["sudo", "pmset", "repeat", "wakeorpoweron", *expected]


@pytest.mark.parametrize(
    ("message", "wakes"),
    [
        ("Repeating power events:\n  wakepoweron at 9:58PM every day\n", True),
        ("Repeating power events:\n  wakepoweron at 21:58:00 MTWRFSU\n", True),
        ("Repeating power events:\n  wakepoweron at 9:58AM every day\n", False),
        ("Repeating power events:\n  sleep at 9:58PM every day\n", False),
        ("", False),
    ],
)
def test_a_scheduled_wake_up_counts_when_it_comes_just_before(message: str, wakes: bool) -> None:
    assert wakes_before(message, SUNDAY.replace(hour=22)) is wakes
