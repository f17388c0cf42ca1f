"""A whole night on a fake Mac, by its own clock: from the nightly start, through sleep and battery, to the report."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import House, until
from tests.fakes.mac import BATTERY, FakeMac

DAEMON, NIGHTLY = "org.jarvisd.daemon", "org.jarvisd.nightly"
RUN = "2026-12-07-overnight"

#: A program that says that it begins, works for a second, goes on until it is let go, and says that it ends.
WORK = """
echo begins >>"$1.log"
trap 'echo "is stopped" >>"$1.log"; exit 0' TERM
sleep 1
while [ ! -e "$1.go" ]; do echo works >>"$1.log"; sleep 0.1; done
echo ends >>"$1.log"
"""
PLAN = """
title: A night on a Mac
once: nightly
until: "07:00"
command:
  - {name: evening, run: [sh, work.sh, evening], cwd: WORKSHOP}
  - {name: asleep, run: [sh, work.sh, asleep], cwd: WORKSHOP}
  - {name: unplugged, run: [sh, work.sh, unplugged], cwd: WORKSHOP}
  - {name: cut, run: [sh, work.sh, cut], cwd: WORKSHOP}
  - {name: left, run: [sh, work.sh, left], cwd: WORKSHOP}
report: {}
"""
SETTINGS = """
notification: true
power: {on_battery: wait, wait_minutes: 20}
memory: {look_every_s: 3}
report: {reserve_minutes: 5}
"""


def at(clock: str) -> dt.datetime:
    """That time of day in the night from the 7th to the 8th of December."""
    time = dt.time.fromisoformat(clock)
    return dt.datetime.combine(dt.date(2026, 12, 7 if time.hour > 12 else 8), time).astimezone()


#: Name of a job, without "command:" -> the job as `runs --json` prints it.
Jobs = Mapping[str, Mapping[str, Any]]


@dataclass
class Night:
    """A Mac at 21:00 with both agents installed, and a plan of five programs for the night."""

    house: House
    mac: FakeMac
    workshop: Path

    def job(self, name: str) -> dict[str, Any]:
        return self.house.jobs(RUN)["report" if name == "report" else f"command:{name}"]

    def did(self, name: str) -> list[str]:
        """The lines that a program wrote so far."""
        log = self.workshop / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def works(self, name: str) -> None:
        """Wait until a program writes that it works, from now on."""
        before = self.did(name).count("works")
        until(lambda: self.did(name).count("works") > before, what=f"{name} works")

    def let_go(self, name: str) -> None:
        (self.workshop / f"{name}.go").touch()

    def held_and_ended(self) -> tuple[int, int]:
        """How often caffeinate was started so far, and how often it ended."""
        return len(self.mac.calls("caffeinate")), len(self.mac.calls("caffeinate ends"))

    def awaits(self, held: int, ended: int) -> None:
        until(lambda: self.held_and_ended() == (held, ended), what=f"caffeinate: {held} held, {ended} ended")

    def asked_for_power(self) -> int:
        return len(self.mac.calls("pmset", "-g", "batt"))

    def next_look_s(self) -> float:
        """Until the first of the programs that have not begun yet is looked at again."""
        database = sqlite3.connect(f"file:{self.house.root / 'var' / 'jarvis.db'}?mode=ro", uri=True)
        with closing(database):
            rows = database.execute("SELECT not_before FROM job WHERE status = 'queued' AND kind = 'command'")
            planned = [dt.datetime.fromisoformat(text) if text else self.mac.now() for (text,) in rows]
        return (min(planned) - self.mac.now()).total_seconds()


@contextmanager
def dreamless(mac: FakeMac, daemon: int) -> Iterator[list[psutil.Process]]:
    """The Mac sleeps, and wakes at the end of the block."""
    asleep = mac.sleep(daemon)
    try:
        yield asleep
    finally:
        mac.wake(asleep)


@pytest.fixture
def night(house: House, tmp_path: Path) -> Iterator[Night]:
    mac = FakeMac(tmp_path / "mac")
    house.environment |= mac.environment
    mac.set_clock(at("21:00:00"))
    workshop = tmp_path / "workshop"
    workshop.mkdir()
    (workshop / "work.sh").write_text(WORK)
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True)
    (plans / "overnight.yaml").write_text(PLAN.replace("WORKSHOP", str(workshop)))
    (plans.parent / "settings.yaml").write_text(SETTINGS)
    yield Night(house, mac, workshop)
    house.ctl("stop", code=None)
    mac.close()


@pytest.mark.slow
def test_a_night_with_sleep_battery_and_deadline_ends_in_a_report_in_time(night: Night) -> None:
    house, mac = night.house, night.mac
    house.ctl("install", "--at", "22:00")
    daemon = until(lambda: house.status()["daemon"]["pid"], what="launchd's daemon runs")
    assert "Next start: Mon 22:00." in house.ctl("status").stdout
    installing = len(mac.calls("launchctl"))

    nightly_start_is_in_time(night)
    sleep_in_the_middle_of_a_job_loses_nothing(night, daemon)
    a_job_waits_for_power_where_everybody_sees_it(night)
    sleep_does_not_use_up_the_wait_for_power(night, daemon)
    power_that_returned_during_sleep_is_noticed(night, daemon)
    the_reserve_of_the_deadline_stops_what_runs(night)

    jobs = {name.removeprefix("command:"): job for name, job in house.jobs(RUN).items()}
    jobs_ended_as_planned(jobs)
    times_are_in_order(jobs)
    each_program_ran_once(night)
    report_and_log_say_how_the_night_went(night, jobs)

    # caffeinate was held by this daemon alone; launchd was asked for nothing but the state of the agents
    assert mac.calls("caffeinate") == [["caffeinate", "-i", "-w", str(daemon)]] * 2
    assert house.status()["daemon"]["pid"] == daemon == mac.state()["loaded"][DAEMON]["pid"]
    since = mac.calls("launchctl")[installing:]
    assert {call[1] for call in since} <= {"print", "print-disabled"}, since
    assert not psutil.Process(daemon).children(), "nothing is left running"
    assert "Next start: Tue 22:00." in house.ctl("status").stdout


# ------------------------------------------------------------------------------------------------ hours of the night


def nightly_start_is_in_time(night: Night) -> None:
    """At 22:00 launchd runs the nightly agent's own command."""
    mac = night.mac
    mac.set_clock(at("22:00:01"))
    assert mac.agent(NIGHTLY)["ProgramArguments"][-2:] == ["--due", "22:00"]
    started = mac.fire(NIGHTLY)
    assert (started.returncode, started.stdout, started.stderr) == (0, f"{RUN}\n", "")
    night.let_go("evening")
    night.works("asleep")
    assert night.job("evening")["status"] == "succeeded"
    night.awaits(held=1, ended=0)


def sleep_in_the_middle_of_a_job_loses_nothing(night: Night, daemon: int) -> None:
    """From 01:00 to 05:30; the Mac is unplugged at 04:00, when no program can notice it."""
    house, mac = night.house, night.mac
    mac.set_clock(at("01:00:00"))
    night.works("asleep")
    with dreamless(mac, daemon) as asleep:
        words = {word for process in asleep for word in process.cmdline()}
        assert {"jarvisd.worker", "work.sh", str(mac.bin / "caffeinate")} <= words, "all that it does is asleep"
        before = night.did("asleep")
        mac.answer("pmset -g batt", BATTERY.format(41))
        mac.set_clock(at("05:30:00"))
        run = house.run(RUN)
        assert night.did("asleep") == before
    assert (run["state"], run["deadline"]) == ("running", at("07:00:00").isoformat())
    assert [job["status"] for job in run["jobs"]] == ["succeeded", "running", *["queued"] * 4]


def a_job_waits_for_power_where_everybody_sees_it(night: Night) -> None:
    """The job that runs goes on without the plug, once, and ends; the next one waits."""
    night.works("asleep")
    assert (night.job("asleep")["status"], night.job("asleep")["attempt"]) == ("running", 1)
    night.awaits(held=1, ended=0)
    night.let_go("asleep")
    until(lambda: night.job("unplugged")["reason"], what="the next job waits for power")
    assert night.job("unplugged")["reason"] == "waiting for power: on battery, which holds 41 %"
    assert "waiting for power: on battery, which holds 41 %" in night.house.ctl("status").stdout
    assert night.job("asleep")["status"] == "succeeded"
    night.awaits(held=1, ended=1)


def sleep_does_not_use_up_the_wait_for_power(night: Night, daemon: int) -> None:
    """The Mac sleeps for longer than the 20 minutes that a job waits: they count while it is awake."""
    with dreamless(night.mac, daemon):
        night.mac.set_clock(at("05:58:00"))
    asked = night.asked_for_power()
    until(lambda: night.asked_for_power() >= asked + 3, what="the power is checked again and again")
    assert (night.held_and_ended(), night.did("unplugged")) == ((1, 1), []), "a Mac that waits may sleep"
    assert [job["status"] for job in night.house.jobs(RUN).values()] == ["succeeded"] * 2 + ["queued"] * 4


def power_that_returned_during_sleep_is_noticed(night: Night, daemon: int) -> None:
    """Plugged in again at 06:00."""
    mac = night.mac
    # a check that was asleep would see the power both before and after the change
    until(lambda: night.next_look_s() > 1, what="no check is under way")
    with dreamless(mac, daemon):
        mac.answers()
        mac.set_clock(at("06:00:00"))
    night.works("unplugged")
    night.awaits(held=2, ended=1)
    night.let_go("unplugged")
    night.works("cut")


def the_reserve_of_the_deadline_stops_what_runs(night: Night) -> None:
    """It begins at 06:55."""
    night.mac.set_clock(at("06:54:57"))
    night.house.settled(RUN)
    night.awaits(held=2, ended=2)
    assert night.mac.now() < at("07:00:00")


# ------------------------------------------------------------------------------------------------------ the morning


def jobs_ended_as_planned(jobs: Jobs) -> None:
    assert {name: (job["status"], job["attempt"], job["reason"]) for name, job in jobs.items()} == {
        "evening": ("succeeded", 1, None),
        "asleep": ("succeeded", 1, None),
        "unplugged": ("succeeded", 1, None),
        "cut": ("stopped", 1, "the run had to end by 07:00; what was finished is kept"),
        "left": ("skipped", 0, "not started: the run had to end by 07:00"),
        "report": ("succeeded", 1, None),
    }


def times_are_in_order(jobs: Jobs) -> None:
    times = {
        name: tuple(job[key] and dt.datetime.fromisoformat(job[key]) for key in ("started_at", "ended_at"))
        for name, job in jobs.items()
    }
    order = ("22:00:01", *times["evening"], times["asleep"][0], "22:01:00", "05:30:00", times["asleep"][1])
    order += ("06:00:00", *times["unplugged"], times["cut"][0], "06:54:57", "06:55:00", times["cut"][1])
    order += (*times["report"], "07:00:00")
    moments = [at(time) if isinstance(time, str) else time for time in order]
    assert moments == sorted(moments)
    assert times["left"][0] is None
    assert at("06:55:00") <= times["left"][1] <= times["report"][0]


def each_program_ran_once(night: Night) -> None:
    """From its beginning to its own end, or until it was stopped."""
    names = ("evening", "asleep", "unplugged", "cut", "left")
    assert {name: [line for line in night.did(name) if line != "works"] for name in names} == {
        "evening": ["begins", "ends"],
        "asleep": ["begins", "ends"],
        "unplugged": ["begins", "ends"],
        "cut": ["begins", "is stopped"],
        "left": [],
    }


def report_and_log_say_how_the_night_went(night: Night, jobs: Jobs) -> None:
    assert [call[-1] for call in night.mac.calls("osascript")] == [
        f"{RUN}: 3 of 5 jobs succeeded. The report is ready: jarvisctl report --open"
    ]
    folder = night.house.root / "var" / "results" / RUN
    report = night.house.ctl("report").stdout
    assert (folder / "report.html").exists()
    for name in ("cut", "left"):
        assert jobs[name]["reason"] in report
    run_log = [line.split(" ", 1) for line in (folder / "experiment.log").read_text().splitlines()]
    assert [stamp for stamp, _ in run_log] == sorted(stamp for stamp, _ in run_log), "by the clock of this Mac"
    assert run_log[-1][1] == f"run {RUN} is settled: 4 succeeded, 1 skipped, 1 stopped"
    assert not [line for _, line in run_log if "attempt" in line or "again" in line or "interrupted" in line]
