"""The job of one program, for a plan and for `jarvisctl enqueue command`, which must be quick."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jarvisd.plugin import JobSpec, MissingRequirement, UsageError

#: Variables of the caller's environment that a program gets, beside those named by --env.
ALWAYS = ("PATH", "HOME", "LANG")
#: What a job may be called, after `command:`.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def environment(named: Iterable[str] = (), extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """PATH, HOME and LANG of the caller and what is named. Raises UsageError for a variable that is not set."""
    for name in named:
        if name not in os.environ:
            raise UsageError(f"--env {name}: this variable is not set")
    return {name: os.environ[name] for name in (*ALWAYS, *named) if name in os.environ} | dict(extra or {})


def one(
    program: list[str],
    *,
    cwd: str,
    name: str | None,
    env: dict[str, str],
    timeout_s: int | None,
    memory_mb: int,
    attempts: int,
) -> JobSpec:
    """The job of one program. It is run once and not again after a crash, unless `attempts` allows it."""
    short = re.sub(r"[^a-z0-9._-]+", "-", Path(program[0]).name.lower()).strip("-.") or "program"
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a job's name", "Use small letters, digits, dots and dashes.")
    return JobSpec(
        name=f"command:{name or short}",
        params={"program": program, "cwd": cwd, "env": env},
        memory_mb=memory_mb,
        timeout_s=timeout_s,
        attempts=attempts,
    )


def problem(program: str, cwd: str, path: str | None) -> tuple[str, str]:
    """What is missing, and its remedy; two empty strings if nothing is."""
    if Path(cwd).exists() and not Path(cwd).is_dir():
        return f"not a folder: {cwd}", "Name a folder."
    if not Path(cwd).is_dir():
        return f"no such folder: {cwd}", "Make it, or change `cwd`."
    if not _is_on(path, program) and not (Path(cwd) / program).exists():
        return f"no such program: {program}", "Check its name and PATH."
    return "", ""


def _is_on(path: str | None, program: str) -> bool:
    """Whether a folder of PATH has this program; `shutil.which` says the same, and its import takes milliseconds."""
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    candidates = [Path(program)] if "/" in program else [Path(folder) / program for folder in folders]
    return any(os.access(each, os.X_OK) and not each.is_dir() for each in candidates)


def check_one(
    spec: JobSpec, problem_of: Callable[[str, str, str | None], tuple[str, str]] = problem
) -> list[MissingRequirement]:
    """The folder or program that one job needs and this machine does not have."""
    what, remedy = problem_of(spec.params["program"][0], spec.params["cwd"], spec.params["env"].get("PATH"))
    return [MissingRequirement(job=spec.name, what=what, remedy=remedy)] if what else []
