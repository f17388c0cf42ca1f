"""The section `command` of a plan, and the job of each program."""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext, UsageError, expand_path

#: Variables of the caller's environment that a program gets, beside those named by --env.
ALWAYS = ("PATH", "HOME", "LANG")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Program(BaseModel):
    """One program in a plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: list[str] = Field(min_length=1, description="the program and its arguments; there is no shell")
    name: str | None = Field(default=None, description="of the job, after `command:`; without it the program's")
    cwd: str = Field(default=".", description="the folder it runs in; relative to the plan's file")
    env: dict[str, str] = Field(default={}, description="variables beside PATH, HOME and LANG")
    timeout: int | None = Field(default=None, ge=1, le=10**8, description="seconds that one start may take")
    memory: int = Field(default=0, ge=0, le=10**8, description="MB that it needs; the job waits for them")
    attempts: int = Field(
        default=1,
        ge=1,
        le=10**6,
        description="most starts of the program, when a crash or a stop of jarvisd ends it; a failure is not repeated",
    )

    @field_validator("run", mode="before")
    @classmethod
    def _is_a_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("there is no shell; write a list: [echo, hello]")
        if isinstance(value, list) and value and value[0] == "":
            raise ValueError("the first word is the program, and it is empty")
        return value

    @field_validator("name")
    @classmethod
    def _can_be_a_name(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError("this cannot be a job's name; use small letters, digits, dots and dashes")
        return name


class Section(RootModel[list[Program]]):
    """`command:` in a plan: a list of programs."""

    model_config = ConfigDict(frozen=True)


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
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a job's name", "Use small letters, digits, dots and dashes.")
    return JobSpec(
        name=f"command:{name or short}",
        params={"program": program, "cwd": cwd, "env": env},
        memory_mb=memory_mb,
        timeout_s=timeout_s,
        attempts=attempts,
    )


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    """One job per program; a default name that is taken becomes NAME-2. Raises UsageError."""
    made: list[JobSpec] = []
    taken = {f"command:{program.name}" for program in section.root if program.name is not None}
    if len(taken) < sum(program.name is not None for program in section.root):
        raise UsageError("two programs have the same name", "Give each a name of its own.")
    numbers: Counter[str] = Counter()
    resolve = functools.cache(lambda cwd: str((setting.folder / expand_path(cwd)).resolve()))
    for program in section.root:
        spec = one(
            program.run,
            cwd=resolve(program.cwd),
            name=program.name,
            env=environment(extra=program.env),
            timeout_s=program.timeout,
            memory_mb=program.memory,
            attempts=program.attempts,
        )
        name = spec.name if program.name is not None else _free(spec.name, numbers, taken)
        taken.add(name)
        made.append(replace(spec, name=name))
    return made


def _free(base: str, numbers: Counter[str], taken: set[str]) -> str:
    """NAME, NAME-2, NAME-3...: the next that is free. `numbers` holds the last number per name."""
    while True:
        numbers[base] += 1
        name = base if numbers[base] == 1 else f"{base}-{numbers[base]}"
        if name not in taken:
            return name


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """Programs and folders that are not there."""
    problem_of = functools.cache(_problem)
    return [finding for spec in jobs(section, setting) for finding in check_one(spec, problem_of)]


def _problem(program: str, cwd: str, path: str | None) -> tuple[str, str]:
    """What is missing, and its remedy; two empty strings if nothing is."""
    if Path(cwd).exists() and not Path(cwd).is_dir():
        return f"not a folder: {cwd}", "Name a folder."
    if not Path(cwd).is_dir():
        return f"no such folder: {cwd}", "Make it, or change `cwd`."
    if shutil.which(program, path=path) is None and not (Path(cwd) / program).exists():
        return f"no such program: {program}", "Check its name and PATH."
    return "", ""


def check_one(
    spec: JobSpec, problem_of: Callable[[str, str, str | None], tuple[str, str]] = _problem
) -> list[MissingRequirement]:
    """The folder or program that one job needs and this machine does not have."""
    what, remedy = problem_of(spec.params["program"][0], spec.params["cwd"], spec.params["env"].get("PATH"))
    return [MissingRequirement(job=spec.name, what=what, remedy=remedy)] if what else []
