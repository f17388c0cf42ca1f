"""The two launchd agents as data: rendered from launchd/*.plist, and checked against what launchd reads.

launchd ignores a key that it does not know and a value of the wrong type, without a word that anybody would see. So
every key and type is checked here, against the table of launchd.plist(5), before a file is written.
"""

from __future__ import annotations

import os
import plistlib
import re
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import SHIPPED, Home
from jarvisd.plan.schedule import WEEKDAYS, Schedule

DAEMON, NIGHTLY = LABELS = ("org.jarvisd.daemon", "org.jarvisd.nightly")
#: The variable in which an agent keeps the Python it was installed for; see `python`.
PYTHON = "JARVISD_PYTHON"

#: launchd starts with an empty environment: a daemon that looked elsewhere for models would find none at night.
PASSED_ON = ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME")

Agent = dict[str, Any]


# ------------------------------------------------------------------------------------------------------- rendering


def render(home: Home, schedule: Schedule, before: Agent | None = None) -> dict[str, Agent]:
    """Both agents by label, every path absolute. Raises JarvisError where a template and the table disagree.

    Where models lie is passed on as it is set here; where nothing is set, as an agent installed `before` has it.
    """
    signs = {"@bin@": str(programs()), "@home@": str(home.root), "@logs@": str(logs()), "@python@": str(python())}
    found = {label: _filled(_template(label), signs) for label in LABELS}
    nightly = found[NIGHTLY]
    nightly["ProgramArguments"] += schedule.words()
    intervals = schedule.intervals()
    nightly["StartCalendarInterval"] = intervals if len(intervals) > 1 else intervals[0]
    known = {**(before or {}).get("EnvironmentVariables", {}), **os.environ}
    for label, agent in found.items():
        agent["EnvironmentVariables"] |= {name: known[name] for name in PASSED_ON if name in known}
        if wrong := problems(agent):
            raise JarvisError(f"{label}.plist is wrong: {'; '.join(wrong)}", "Mend the template in launchd/.")
    return found


def _template(label: str) -> Agent:
    return plistlib.loads((SHIPPED / "launchd" / f"{label}.plist").read_bytes())


def _filled(value: Any, signs: dict[str, str]) -> Any:
    """The signs are replaced in the parsed list, so that no path can become a piece of XML."""
    if isinstance(value, str):
        return re.sub(r"@\w+@", lambda found: signs.get(found[0], found[0]), value)
    if isinstance(value, dict):
        return {key: _filled(inner, signs) for key, inner in value.items()}
    return [_filled(inner, signs) for inner in value] if isinstance(value, list) else value


def programs() -> Path:
    """The folder that holds jarvisd and jarvisctl: beside the Python that runs this, or where scripts go."""
    candidates = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts")), Path(sys.argv[0]).absolute().parent]
    for folder in candidates:
        if (folder / "jarvisd").is_file() and (folder / "jarvisctl").is_file():
            return folder
    raise JarvisError("the programs jarvisd and jarvisctl are not beside this Python", "Install the package again.")


def python() -> Path:
    """The very file that launchd's process will be, behind every link: macOS gives its permissions to this one.

    An upgrade of Python moves it, and the permission stays behind: an agent that names another one is stale.
    """
    return Path(os.path.realpath(sys.executable))


def logs() -> Path:
    """Where launchd writes what the agents say before their own logging starts. It expands neither ~ nor variables."""
    return Path.home() / "Library" / "Logs" / "jarvisd"


def folder() -> Path:
    return Path.home() / "Library" / "LaunchAgents"


def file(label: str) -> Path:
    return folder() / f"{label}.plist"


def write(agent: Agent) -> bytes:
    return plistlib.dumps(agent, sort_keys=False)


# ----------------------------------------------------------------------------------------------- what is installed


def installed(label: str) -> Agent | None:
    """The agent in ~/Library/LaunchAgents, or None where there is none. One that cannot be read is {}."""
    try:
        found = plistlib.loads(file(label).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, plistlib.InvalidFileException, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def home_of(agent: Agent) -> str | None:
    """The home that an agent serves."""
    words = agent.get("ProgramArguments", [])
    return words[words.index("--home") + 1] if "--home" in words[:-1] else None


def schedule_of(agent: Agent) -> Schedule | None:
    """The schedule of an installed nightly agent, or None where it is not one that we wrote."""
    intervals = agent.get("StartCalendarInterval")
    try:
        rows = [intervals] if isinstance(intervals, dict) else list(intervals or ())
        times = {f"{row['Hour']:02}:{row['Minute']:02}" for row in rows}
        days = {WEEKDAYS[row["Weekday"] % 7] for row in rows if "Weekday" in row}
        return Schedule.of(tuple(times), ",".join(days)) if times else None
    except (KeyError, TypeError, ValueError, UsageError):
        return None


# ------------------------------------------------------------------------------------------- what launchd would read

Check = Callable[[Any], bool]


def _is(kind: type) -> Check:
    return lambda value: type(value) is kind


def _list_of(inner: Check) -> Check:
    return lambda value: isinstance(value, list) and bool(value) and all(inner(one) for one in value)


def _dict_of(inner: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(isinstance(k, str) and inner(v) for k, v in value.items())


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _keys(**inner: Check) -> Check:
    """A dictionary with at least one of these keys, and no other."""
    return lambda value: (
        bool(value) and isinstance(value, dict) and all(k in inner and inner[k](value[k]) for k in value)
    )


def _within(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _path(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/")


_STRING, _BOOL, _INT, _STRINGS = _is(str), _is(bool), _is(int), _list_of(_is(str))
_CALENDAR = _keys(
    Minute=_within(0, 59), Hour=_within(0, 23), Day=_within(1, 31), Weekday=_within(0, 7), Month=_within(1, 12)
)
_ALIVE = _keys(
    SuccessfulExit=_BOOL,
    Crashed=_BOOL,
    NetworkState=_BOOL,
    AfterInitialDemand=_BOOL,
    PathState=_dict_of(_BOOL),
    OtherJobEnabled=_dict_of(_BOOL),
)
_LIMITS = _keys(
    Core=_INT,
    CPU=_INT,
    Data=_INT,
    FileSize=_INT,
    MemoryLock=_INT,
    NumberOfFiles=_INT,
    NumberOfProcesses=_INT,
    ResidentSetSize=_INT,
    Stack=_INT,
)
#: Keys of launchd.plist(5) that an agent may use, and what each must hold.
KEYS: dict[str, Check] = {
    "Label": _STRING,
    "Disabled": _BOOL,
    "LimitLoadToSessionType": lambda value: _STRING(value) or _STRINGS(value),
    "Program": _path,
    "ProgramArguments": _STRINGS,
    "KeepAlive": lambda value: _BOOL(value) or _ALIVE(value),
    "RunAtLoad": _BOOL,
    "WorkingDirectory": _path,
    "EnvironmentVariables": _dict_of(_STRING),
    "Umask": _within(0, 0o777),
    "TimeOut": _INT,
    "ExitTimeOut": _INT,
    "ThrottleInterval": _INT,
    "StartInterval": _INT,
    "StartCalendarInterval": lambda value: _CALENDAR(value) or _list_of(_CALENDAR)(value),
    "WatchPaths": _list_of(_path),
    "QueueDirectories": _list_of(_path),
    "StandardInPath": _path,
    "StandardOutPath": _path,
    "StandardErrorPath": _path,
    "SoftResourceLimits": _LIMITS,
    "HardResourceLimits": _LIMITS,
    "Nice": _within(-20, 20),
    "ProcessType": _one_of("Background", "Standard", "Adaptive", "Interactive"),
    "AbandonProcessGroup": _BOOL,
    "LowPriorityIO": _BOOL,
    "LowPriorityBackgroundIO": _BOOL,
    "AssociatedBundleIdentifiers": lambda value: _STRING(value) or _STRINGS(value),
}


def problems(agent: Agent) -> list[str]:
    """What launchd would ignore or misread in an agent, in words; empty when nothing."""
    found = [f"launchd has no key {key}" for key in agent if key not in KEYS]
    found += [f"{key} cannot be {value!r}" for key, value in agent.items() if key in KEYS and not KEYS[key](value)]
    found += [f"{key} is missing" for key in ("Label", "ProgramArguments") if key not in agent]
    words = agent.get("ProgramArguments")
    if isinstance(words, list) and words and not _path(words[0]):
        found.append("ProgramArguments must begin with an absolute path")
    return found
