"""The two launchd agents as data: rendered from launchd/*.plist, and read back from ~/Library/LaunchAgents.

launchd silently ignores an unknown key and a value of the wrong type. A test checks every key and type of what is
rendered here against launchd.plist(5).
"""

from __future__ import annotations

import os
import plistlib
import re
import sys
import sysconfig
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
    """Both agents by label, with absolute paths.

    The folders of models are taken from the environment, else from `before`, the agent that is installed.
    """
    values = {"@bin@": str(programs()), "@home@": str(home.root), "@logs@": str(logs()), "@python@": str(python())}
    rendered = {label: _filled(_template(label), values) for label in LABELS}
    nightly = rendered[NIGHTLY]
    nightly["ProgramArguments"] += schedule.words()
    intervals = schedule.intervals()
    nightly["StartCalendarInterval"] = intervals if len(intervals) > 1 else intervals[0]
    known = {**(before or {}).get("EnvironmentVariables", {}), **os.environ}
    for agent in rendered.values():
        agent["EnvironmentVariables"] |= {name: known[name] for name in PASSED_ON if name in known}
    return rendered


def _template(label: str) -> Agent:
    return plistlib.loads((SHIPPED / "launchd" / f"{label}.plist").read_bytes())


def _filled(value: Any, values: dict[str, str]) -> Any:
    """The placeholders @name@ replaced after parsing, so that no path can become XML."""
    if isinstance(value, str):
        return re.sub(r"@\w+@", lambda match: values.get(match[0], match[0]), value)
    if isinstance(value, dict):
        return {key: _filled(inner, values) for key, inner in value.items()}
    return [_filled(inner, values) for inner in value] if isinstance(value, list) else value


def programs() -> Path:
    """The folder that holds jarvisd and jarvisctl: beside the Python that runs this, or where scripts go."""
    candidates = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts")), Path(sys.argv[0]).absolute().parent]
    for folder in candidates:
        if (folder / "jarvisd").is_file() and (folder / "jarvisctl").is_file():
            return folder
    raise JarvisError("the programs jarvisd and jarvisctl are not beside this Python", "Install the package again.")


def python() -> Path:
    """The file of the interpreter, behind every link. macOS grants Full Disk Access to this file.

    An upgrade of Python moves the file and does not move the permission, so an agent that names another file is stale.
    """
    return Path(os.path.realpath(sys.executable))


def logs() -> Path:
    """The folder for what the agents print before their own logging starts. launchd expands neither ~ nor variables."""
    return Path.home() / "Library" / "Logs" / "jarvisd"


def folder() -> Path:
    return Path.home() / "Library" / "LaunchAgents"


def file(label: str) -> Path:
    return folder() / f"{label}.plist"


def write(agent: Agent) -> bytes:
    return plistlib.dumps(agent, sort_keys=False)


# ----------------------------------------------------------------------------------------------- what is installed


def installed(label: str) -> Agent | None:
    """The agent in ~/Library/LaunchAgents: None where there is none, {} where it cannot be read."""
    try:
        agent = plistlib.loads(file(label).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, plistlib.InvalidFileException, ValueError):
        return {}
    return agent if isinstance(agent, dict) else {}


def home_of(agent: Agent) -> str | None:
    """The value of --home in an agent's program, or None."""
    words = agent.get("ProgramArguments", [])
    return words[words.index("--home") + 1] if "--home" in words[:-1] else None


def schedule_of(agent: Agent) -> Schedule | None:
    """The schedule of an installed nightly agent, or None where `install` did not write it."""
    intervals = agent.get("StartCalendarInterval")
    try:
        rows = [intervals] if isinstance(intervals, dict) else list(intervals or ())
        times = {f"{row['Hour']:02}:{row['Minute']:02}" for row in rows}
        days = {WEEKDAYS[row["Weekday"] % 7] for row in rows if "Weekday" in row}
        return Schedule.of(tuple(times), ",".join(days)) if times else None
    except (KeyError, TypeError, ValueError, UsageError):
        return None
