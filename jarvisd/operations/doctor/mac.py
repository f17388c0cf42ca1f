"""Checks of a Mac: processor, macOS, launchd agents, next start, caffeinate and power."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

from jarvisd.host import machine, power
from jarvisd.launchd import agents, launchctl
from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home
from jarvisd.store import database

#: The oldest macOS that the wheels of MLX support.
OLDEST = 14


def all_of(home: Home) -> list[Check]:
    return [_processor(), _version(), *_agents(home), _next_start(home), _caffeinate(), _power(), *_protected(home)]


def _processor() -> Check:
    if machine.output("sysctl", "-n", "hw.optional.arm64") != "1":
        return problem("processor", "not Apple silicon", "MLX needs an M1 or later.")
    if machine.output("sysctl", "-n", "sysctl.proc_translated") == "1":
        return problem("processor", "this Python is translated (Rosetta)", "Install an arm64 Python and set up again.")
    return ok("processor", machine.output("sysctl", "-n", "machdep.cpu.brand_string") or "Apple silicon")


def _version() -> Check:
    version = machine.output("sw_vers", "-productVersion")
    major = int(version.split(".")[0]) if re.match(r"\d+", version) else 0
    if major and major < OLDEST:
        return problem("macOS", f"version {version}", f"MLX needs macOS {OLDEST} or later.")
    return ok("macOS", f"version {version or 'unknown'}")


def _agents(home: Home) -> list[Check]:
    if not launchctl.is_installed():
        message = "no launchd agent is installed, so no nightly run starts"
        return [warning("launchd", message, "`jarvisctl install` installs the agents.")]
    problems = [problem("launchd", agent.what, agent.remedy) for agent in launchctl.agent_problems(home)]
    return problems or [ok("launchd", f"both agents are loaded from {agents.folder()}")]


def _next_start(home: Home) -> Check:
    """When the next nightly run starts, and whether the Mac will be awake."""
    schedule = launchctl.schedule(home)
    if schedule is None:
        return warning("next start", "none is scheduled", "`jarvisctl install --at 22:00` schedules one.")
    at = schedule.next(database.now())
    start = f"{at:%a %H:%M}"
    if wakes_before(machine.output("pmset", "-g", "sched"), at):
        return ok("next start", f"{start}, and the Mac wakes for it (plugged in, lid open)")
    if re.search(r"^\s*sleep\s+0\b", machine.output("pmset", "-g"), flags=re.M):
        return ok("next start", f"{start}, and the Mac does not go to sleep")
    wake = " ".join(power.wake_command(schedule.times[0], schedule.weekdays))
    return warning("next start", f"{start}, but the Mac may be asleep then", f"Keep it awake, or run: {wake}")


def wakes_before(schedule: str, at: dt.datetime) -> bool:
    """Whether the output of `pmset -g sched` has a repeated wake-up in the 15 minutes before that time of day."""
    for line in schedule.splitlines():
        match = re.search(r"(wake|poweron).* at (\d{1,2}):(\d{2})(?::\d{2})?\s*([AP]M)?", line, flags=re.I)
        if match is None:
            continue
        hour = int(match[2]) % 12 + (12 if match[4].upper() == "PM" else 0) if match[4] else int(match[2])
        before = (at.hour * 60 + at.minute - hour * 60 - int(match[3])) % (24 * 60)
        if before <= 15:
            return True
    return False


def _caffeinate() -> Check:
    if shutil.which("caffeinate"):
        return ok("caffeinate", "keeps the Mac awake while a job runs")
    return problem("caffeinate", "not found on PATH", "It is /usr/bin/caffeinate; put /usr/bin on PATH.")


def _power() -> Check:
    source, percent = power.power()
    charge = "" if percent is None else f", battery {percent} %"
    lid = machine.output("ioreg", "-r", "-k", "AppleClamshellState", "-d", "1")
    if re.search(r'"AppleClamshellState" = Yes', lid):
        return warning("power", f"the lid is closed{charge}", "Open it for the night: a closed Mac sleeps through it.")
    if re.search(r"CPU_Speed_Limit\s*=\s*(\d{1,2})\b", machine.output("pmset", "-g", "therm")):
        return warning("power", "the Mac is hot and runs slower", "Let it cool; figures of speed will be lower.")
    if power.low_power_mode():
        remedy = "Switch it off for the night in System Settings > Battery; figures of speed will be lower."
        return warning("power", f"Low Power Mode is on{charge}", remedy)
    if source == "battery":
        return warning(
            "power", f"on battery{charge}", "Plug it in for the night; see power.on_battery in settings.yaml."
        )
    return ok("power", f"{'plugged in' if source else 'unknown'}{charge}")


#: Folders of the user's that macOS guards: the first program of an agent that opens a file there waits for a window.
_GUARDED = ("Documents", "Desktop", "Downloads", "Library/Mobile Documents")


def _protected(home: Home) -> list[Check]:
    """A warning where the home lies in a folder for which macOS asks the user, who sleeps when the agents start."""
    for name in _GUARDED:
        if home.root.resolve().is_relative_to((Path.home() / name).resolve()):
            what = f"{home.root} is below ~/{name}, for which macOS asks permission: an agent may hang at its window"
            return [warning("home", what, "Move it, for example to ~/jarvisd, and run `jarvisctl install` there.")]
    return []
