"""The keys of launchd.plist(5) that an agent may use, and the type of each.

launchd silently ignores an unknown key and a value of the wrong type; tests check the rendered agents with this table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def problems(agent: dict[str, Any]) -> list[str]:
    """What launchd would ignore or misread in an agent, one sentence each."""
    problems = [f"launchd has no key {key}" for key in agent if key not in KEYS]
    problems += [f"{key} cannot be {value!r}" for key, value in agent.items() if key in KEYS and not KEYS[key](value)]
    problems += [f"{key} is missing" for key in ("Label", "ProgramArguments") if key not in agent]
    words = agent.get("ProgramArguments")
    if isinstance(words, list) and words and not _path(words[0]):
        problems.append("ProgramArguments must begin with an absolute path")
    return problems
