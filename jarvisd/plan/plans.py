"""Plans: config/plans/NAME.yaml -> a validated Plan.

What is wrong with the plan is refused here. What this machine lacks is a MissingRequirement, which is only a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model, field_validator

from jarvisd import paths, registry, words
from jarvisd.errors import PlanError, UsageError
from jarvisd.paths import Home
from jarvisd.plan import times, yamlfile
from jarvisd.registry import JobSpec, MissingRequirement, PlanContext
from jarvisd.store import database

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


class Common(BaseModel):
    """The keys of a plan that belong to no kind of job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(default="", description="what the report calls the run; without it the plan's name")
    until: str | None = Field(
        default=None, description='when the report is ready: "07:00" is its next occurrence; null = no limit'
    )
    once: Literal["nightly"] | None = Field(
        default=None, description="nightly: a second submission in the same night changes nothing"
    )
    late: Literal["skip", "run"] | Annotated[int, Field(ge=0, le=10**6, strict=True)] = Field(
        default="skip", description="a nightly start that came late: skip it, run it, or run it within so many minutes"
    )
    messages: str = Field(default="~/Library/Messages/chat.db", description="the Messages database, opened read-only")
    demo: bool = Field(default=False, description="the messages are a demonstration's, and the report says so")

    @field_validator("until", mode="before")
    @classmethod
    def _is_a_time(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):  # YAML 1.1 reads an unquoted 22:00 as 1320
            raise ValueError('this is a number in YAML; put the time in quotes: "22:00"')
        if value is not None:
            times.deadline(str(value), database.now())
        return value if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A valid plan."""

    name: str
    common: Any  #: a Common
    sections: dict[str, Any]  #: by kind, validated
    setting: PlanContext
    jobs: dict[str, list[JobSpec]]  #: by kind, in order; there may be thousands
    overrides: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.overrides or self.only)

    def specs(self) -> list[tuple[str, JobSpec]]:
        """Every job as (kind, spec), in order. Raises UsageError for an --only that matches nothing."""
        specs = [(kind, spec) for kind, jobs in self.jobs.items() for spec in jobs]
        if not self.only:
            return specs
        names = [name for kind, spec in specs for name in (kind, spec.name)]
        for wanted in self.only:
            if wanted not in names:
                raise UsageError(f"the plan {self.name} has no job {wanted!r}", words.nearest(wanted, names))
        wanted_names = {*self.only, registry.FINAL_KIND}
        return [(kind, spec) for kind, spec in specs if {kind, spec.name} & wanted_names]

    def resolved(self) -> dict[str, Any]:
        """The plan as plain data: everything that a job or a later rendering may want to know of it."""
        parts: dict[str, Any] = self.common.model_dump(mode="json")
        parts["messages"] = str(self.setting.messages)
        return parts | {kind: _resolved(kind, section, self.setting) for kind, section in self.sections.items()}

    def missing_requirements(self, names: Iterable[str], *, messages_checked: bool = False) -> list[MissingRequirement]:
        """What this machine lacks for the jobs of these names (all, or those of --only) and of later rounds.

        `messages_checked`: the caller checks the Messages database itself, so that no kind of job does.
        """
        setting = replace(self.setting, messages_checked=messages_checked)
        chosen, missing = set(names), []
        for kind, section in self.sections.items():
            own = {spec.name for spec in self.jobs[kind]}
            if own and not own & chosen:
                continue
            requirements: list[MissingRequirement] = registry.find(kind).plan().check(section, setting)
            missing += [requirement for requirement in requirements if requirement.job not in own - chosen]
        return missing


def _resolved(kind: str, section: Any, setting: PlanContext) -> Any:
    """What a run keeps of one section, as plain data."""
    module = registry.find(kind).plan()
    return module.resolve(section, setting) if hasattr(module, "resolve") else section.model_dump(mode="json")


# ------------------------------------------------------------------------------------------------------- reading it


def find_plan(home: Home, name: str) -> Path:
    """The file of a plan: home's before the shipped one. Whether it can be one is asked when it is read."""
    known = {file.stem: file for file in home.config_files("plans/*.yaml")}
    if name in known:
        return known[name]
    remedy, stem = words.nearest(name, known), Path(name).stem
    if stem != name and stem in known:
        remedy = f"A plan is named, not given as a path: {stem}."
    raise UsageError(f"no plan is called {name!r}", remedy)


def _refuse_no_plan(path: Path) -> None:
    """Files that lie among the plans and can be none."""
    if not _NAME.match(path.stem):
        message = f"{path.stem!r} cannot be a plan's name"
        raise PlanError(message, "Rename the file: small letters, digits, dots and dashes.", file=path)
    if path.is_symlink() and not path.exists():
        raise PlanError(f"a link to {path.readlink()}, which is not there", "Correct or remove it.", file=path)
    if not path.is_file():
        raise PlanError("not a file", "A plan is a text file.", file=path)


def read_plan(home: Home, name: str, overrides: Iterable[str] = (), only: Iterable[str] = ()) -> Plan:
    """Read and validate a plan, with `a.b=VALUE` overrides. Raises UsageError or PlanError."""
    path = find_plan(home, name)
    _refuse_no_plan(path)
    document = _mapping(path)
    changes = tuple(overrides)
    valid = _validated(document, changes)
    common = Common(**{field: getattr(valid, field) for field in Common.model_fields})
    sections = {kind: section for kind in registry.registry() if (section := getattr(valid, kind)) is not None}
    setting = _setting(home, path, common, changes)
    jobs = {kind: _jobs(kind, section, setting, document, changes) for kind, section in sections.items()}
    return Plan(
        name=name,
        common=common,
        sections=sections,
        setting=setting,
        jobs=jobs,
        overrides=changes,
        only=tuple(only),
    )


def check_file(path: Path) -> None:
    """Raises PlanError where the file is no valid plan by its keys and values."""
    _validated(_mapping(path), ())


def _mapping(path: Path) -> yamlfile.Document:
    document = yamlfile.read(path)
    if not isinstance(document.data, dict):
        raise PlanError("not a plan", "A plan consists of lines of `key: value`.", file=path)
    return document


def _validated(document: yamlfile.Document, changes: tuple[str, ...]) -> Any:
    """The file as an object of `model()`, with its overrides. The file alone must be valid too."""
    plan_model = model()
    valid: Any = document.validate(plan_model, _filled(document.data))
    if not changes:
        return valid
    try:
        return document.validate(plan_model, _filled(_overridden(document.data, changes)))
    except PlanError as error:
        raise _about_override(error, changes) from None


def model() -> type[BaseModel]:
    """A plan's model: the common keys, and a section for every kind that is registered."""
    sections: dict[str, Any] = {name: (kind.plan().Section | None, None) for name, kind in registry.registry().items()}
    return create_model("Plan", __base__=Common, **sections)


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    """`report:` with nothing behind it means a report with its defaults, not none."""
    return {key: _empty(key) if value is None and key in registry.registry() else value for key, value in data.items()}


def _empty(kind: str) -> dict[str, Any] | list[Any]:
    return [] if issubclass(registry.find(kind).plan().Section, RootModel) else {}


def _setting(home: Home, path: Path, common: Common, overrides: tuple[str, ...]) -> PlanContext:
    """Relative paths are taken from the plan's file, those of `--set` from where the caller is."""
    given = any(override.partition("=")[0].strip() == "messages" for override in overrides)
    messages = (Path.cwd() if given else path.parent) / paths.expand(common.messages)
    return PlanContext(home=home, folder=path.parent, messages=messages.resolve(), run_title=common.title)


def _jobs(
    kind: str, section: Any, setting: PlanContext, document: yamlfile.Document, changes: tuple[str, ...]
) -> list[JobSpec]:
    """The jobs of one section. Resolves the section too, so that an unknown model is an error with its line."""
    try:
        _resolved(kind, section, setting)
        jobs: list[JobSpec] = registry.find(kind).plan().jobs(section, setting)
        return jobs
    except UsageError as error:
        if isinstance(error, PlanError) and isinstance(error.file, Path):
            raise  # of another file, which it names
        raise _with_place(error, kind, document, changes) from None


def _with_place(error: UsageError, kind: str, document: yamlfile.Document, changes: tuple[str, ...]) -> UsageError:
    """The error with the override or the line it comes from. A kind names the key as "evaluate.judge: …"."""
    named, _, rest = error.what.partition(": ")
    key, message = (named, rest) if named.startswith(f"{kind}.") else (kind, error.what)
    for override in changes:
        changed = override.partition("=")[0].strip()
        if f"{changed}.".startswith(f"{key}.") or f"{key}.".startswith(f"{changed}."):
            return UsageError(f"--set {changed}: {message}", error.remedy)
    return document.wrong(tuple(key.split(".")), message, error.remedy)


def _overridden(data: dict[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    """A copy of the plan with `--set a.b=VALUE` done; VALUE is YAML."""
    result: dict[str, Any] = {**data}
    for override in overrides:
        key, equals, text = override.partition("=")
        place = key.strip().split(".")
        if not equals or not all(place):
            raise UsageError(f"--set {override}: not of the form KEY=VALUE", "For example --set mine.templates=80.")
        try:
            value = yamlfile.value(text)
        except ValueError as error:
            raise UsageError(f"--set {key}: {error}", "Quote it as YAML wants it.") from None
        inner = result
        for part in place[:-1]:
            below = inner.get(part)
            inner[part] = {**below} if isinstance(below, dict) else {}
            inner = inner[part]
        if place == ["until"] and type(value) is int:  # YAML 1.1 reads 22:00 as 1320
            raise UsageError(f"--set {override}: YAML reads this as a number", f"Use `--until {text}`.")
        inner[place[-1]] = value
    return result


def _about_override(error: PlanError, overrides: tuple[str, ...]) -> UsageError:
    """The file itself was in order, so an error now comes from one of the overrides: name that one."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if error.key == key or error.key.startswith((f"{key}.", f"{key}[")) or key.startswith(f"{error.key}."):
            message = error.what.rpartition(f"{error.key}: ")[2]
            return UsageError(f"--set {error.key}: {message}", error.remedy)
    return error
