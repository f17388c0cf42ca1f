"""What a plan may say of programs to run, and the job each becomes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from jarvisd.errors import UsageError
from jarvisd.kinds import Finding, JobSpec, Setting

#: What a program is given of its caller's environment beside the variables named by --env.
ALWAYS = ("PATH", "HOME", "LANG")


class Program(BaseModel):
    """One program in a plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: list[str] = Field(min_length=1, description="the program and its arguments; there is no shell")
    name: str | None = Field(default=None, description="of the job, after `command:`; without it the program's")
    cwd: str = Field(default=".", description="the folder it runs in; relative to the plan's file")
    env: dict[str, str] = Field(default={}, description="variables beside PATH, HOME and LANG")
    timeout: int | None = Field(default=None, ge=1, description="seconds that one start may take")
    memory: int = Field(default=0, ge=0, description="MB that it needs; the job waits for them")
    attempts: int = Field(default=1, ge=1, description="starts it may have in all")

    @field_validator("run", mode="before")
    @classmethod
    def _is_a_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("there is no shell; write a list: [echo, hello]")
        return value


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
    if name is not None and not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise UsageError(f"{name!r} cannot be a job's name", "Use small letters, digits, dots and dashes.")
    return JobSpec(
        name=f"command:{name or short}",
        params={"program": program, "cwd": cwd, "env": env},
        memory_mb=memory_mb,
        timeout_s=timeout_s,
        attempts=attempts,
    )


def jobs(section: Section, setting: Setting) -> list[JobSpec]:
    """One job a program; one without a name of its own whose name is taken is called NAME-2. Raises UsageError."""
    made: list[JobSpec] = []
    taken = {f"command:{program.name}" for program in section.root if program.name is not None}
    if len(taken) < sum(program.name is not None for program in section.root):
        raise UsageError("two programs have the same name", "Give each a name of its own.")
    for program in section.root:
        spec = one(
            program.run,
            cwd=str((setting.folder / Path(program.cwd).expanduser()).resolve()),
            name=program.name,
            env=environment(extra=program.env),
            timeout_s=program.timeout,
            memory_mb=program.memory,
            attempts=program.attempts,
        )
        numbered = (spec.name if n == 1 else f"{spec.name}-{n}" for n in range(1, len(section.root) + 2))
        name = spec.name if program.name is not None else next(free for free in numbered if free not in taken)
        taken.add(name)
        made.append(replace(spec, name=name))
    return made


def check(section: Section, setting: Setting) -> list[Finding]:
    """Programs and folders that are not there."""
    return [finding for spec in jobs(section, setting) for finding in check_one(spec)]


def check_one(spec: JobSpec) -> list[Finding]:
    """What this machine lacks for one program."""
    program, cwd = spec.params["program"][0], spec.params["cwd"]
    if not Path(cwd).is_dir():
        return [Finding(job=spec.name, what=f"no such folder: {cwd}", remedy="Make it, or change `cwd`.")]
    if shutil.which(program, path=spec.params["env"].get("PATH")) is None and not (Path(cwd) / program).exists():
        return [Finding(job=spec.name, what=f"no such program: {program}", remedy="Check its name and PATH.")]
    return []
