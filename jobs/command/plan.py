"""The section `command` of a plan, and the job of each program."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext, UsageError, expand_path
from jobs.command.programs import NAME, check_one, environment, one, problem


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

    @field_validator("env")
    @classmethod
    def _are_variables(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not name or "=" in name:
                raise ValueError(f"{name!r} cannot be the name of a variable; write it without =")
        return env

    @field_validator("name")
    @classmethod
    def _can_be_a_name(cls, name: str | None) -> str | None:
        if name is not None and not NAME.fullmatch(name):
            raise ValueError("this cannot be a job's name; use small letters, digits, dots and dashes")
        return name


class Section(RootModel[list[Program]]):
    """`command:` in a plan: a list of programs."""

    model_config = ConfigDict(frozen=True)


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
    problem_of = functools.cache(problem)
    return [finding for spec in jobs(section, setting) for finding in check_one(spec, problem_of)]
