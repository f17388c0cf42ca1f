"""Plans: config/plans/NAME.yaml -> a validated Plan -> a Run and its Jobs, ready to be stored.

What is wrong with the plan is refused here; what is wrong with this machine is a Finding, and only a warning.
"""

from __future__ import annotations

import datetime as dt
import difflib
import importlib.metadata
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model, field_validator

from jarvisd import __version__, registry
from jarvisd.errors import PlanError, UsageError
from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.plan import settings, yamlfile
from jarvisd.plan.missed_start import NightlyStart
from jarvisd.registry import JobSpec, MissingRequirement, PlanContext
from jarvisd.store import database, models
from jarvisd.store.models import Job, Run

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")
_VERSIONS = [
    "huey",
    "peewee",
    "mlx",
    "mlx-lm",
    "sentence-transformers",
    "transformers",
    "torch",
    "numpy",
    "scikit-learn",
]


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
    late: Literal["skip", "run"] | Annotated[int, Field(ge=0, strict=True)] = Field(
        default="skip", description="a nightly start that came late: skip it, run it, or run it within so many minutes"
    )
    messages: str = Field(default="~/Library/Messages/chat.db", description="the Messages database, opened read-only")

    @field_validator("until", mode="before")
    @classmethod
    def _is_a_time(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):  # YAML 1.1 reads an unquoted 22:00 as 1320
            raise ValueError('this is a number in YAML; put the time in quotes: "22:00"')
        if value is not None:
            deadline(str(value), database.now())
        return value if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that was found to be in order."""

    name: str
    common: Any  #: a Common
    sections: dict[str, Any]  #: by kind, validated
    setting: PlanContext
    overrides: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    made: dict[str, list[JobSpec]] = field(default_factory=dict)  #: what `jobs_of` was asked for already

    @property
    def changed(self) -> bool:
        return bool(self.overrides or self.only)

    def specs(self) -> list[tuple[str, JobSpec]]:
        """Every job as (kind, spec), in order. Raises UsageError for an --only that matches nothing."""
        made = [(kind, spec) for kind in self.sections for spec in self.jobs_of(kind)]
        if not self.only:
            return made
        names = [name for kind, spec in made for name in (kind, spec.name)]
        for wanted in self.only:
            if wanted not in names:
                raise UsageError(f"the plan {self.name} has no job {wanted!r}", nearest(wanted, names))
        return [
            (kind, spec) for kind, spec in made if {kind, spec.name} & set(self.only) or kind == registry.FINAL_KIND
        ]

    def jobs_of(self, kind: str) -> list[JobSpec]:
        """The jobs of one section. Asked of the kind once: there may be thousands."""
        if kind not in self.made:
            self.made[kind] = registry.find(kind).plan().jobs(self.sections[kind], self.setting)
        return self.made[kind]

    def resolved(self) -> dict[str, Any]:
        """The plan as plain data: everything that a job or a later rendering may want to know of it."""
        parts: dict[str, Any] = self.common.model_dump(mode="json")
        parts["messages"] = str(self.setting.messages)
        for kind, section in self.sections.items():
            module = registry.find(kind).plan()
            if hasattr(module, "resolve"):
                parts[kind] = module.resolve(section, self.setting)
            else:
                parts[kind] = section.model_dump(mode="json")
        return parts

    def findings(self, names: Iterable[str]) -> list[MissingRequirement]:
        """What this machine lacks for the jobs of these names (all, or those of --only) and of later rounds."""
        chosen, found = set(names), []
        for kind, section in self.sections.items():
            own = {spec.name for spec in self.jobs_of(kind)}
            if own and not own & chosen:
                continue
            findings: list[MissingRequirement] = registry.find(kind).plan().check(section, self.setting)
            found += [finding for finding in findings if finding.job not in own - chosen]
        return found


def nearest(word: str, among: Iterable[str]) -> str:
    """A remedy that names what was probably meant."""
    choices = sorted(set(among))
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"There is: {', '.join(choices) or 'none'}."


# ------------------------------------------------------------------------------------------------------- reading it


def find(home: Home, name: str) -> Path:
    """The file of a plan: home's before the shipped one. Whether it can be one is asked when it is read."""
    known = {file.stem: file for file in home.config_files("plans/*.yaml")}
    if name in known:
        return known[name]
    remedy, stem = nearest(name, known), Path(name).stem
    if stem != name and stem in known:
        remedy = f"A plan is named, not given as a path: {stem}."
    raise UsageError(f"no plan is called {name!r}", remedy)


def _refuse_no_plan(path: Path) -> None:
    """Files that lie among the plans and can be none."""
    if not _NAME.match(path.stem):
        what = f"{path.stem!r} cannot be a plan's name"
        raise PlanError(what, "Rename the file: small letters, digits, dots and dashes.", file=path)
    if path.is_symlink() and not path.exists():
        raise PlanError(f"a link to {path.readlink()}, which is not there", "Mend the link, or remove it.", file=path)
    if not path.is_file():
        raise PlanError("not a file", "A plan is a text file.", file=path)


def read(home: Home, name: str, overrides: Iterable[str] = (), only: Iterable[str] = ()) -> Plan:
    """Read and validate a plan, with `a.b=VALUE` overrides. Raises UsageError or PlanError."""
    path = find(home, name)
    _refuse_no_plan(path)
    document = yamlfile.read(path)
    if not isinstance(document.data, dict):
        raise PlanError("not a plan", "A plan is a list of `key: value` lines.", file=path)
    kind = model()
    valid: Any = document.validate(kind, _filled(document.data))
    changes = tuple(overrides)
    if changes:
        try:
            valid = document.validate(kind, _filled(_overridden(document.data, changes)))
        except PlanError as error:
            raise _about_override(error, changes) from None
    common = Common(**{field: getattr(valid, field) for field in Common.model_fields})
    sections = {kind: getattr(valid, kind) for kind in registry.registry()}
    plan = Plan(
        name=name,
        common=common,
        sections={kind: section for kind, section in sections.items() if section is not None},
        setting=_setting(home, path, common, changes),
        overrides=changes,
        only=tuple(only),
    )
    _name_the_place(plan, document)
    return plan


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
    messages = (Path.cwd() if given else path.parent) / Path(common.messages).expanduser()
    return PlanContext(home=home, folder=path.parent, messages=messages.resolve(), run_title=common.title)


def _name_the_place(plan: Plan, document: yamlfile.Document) -> None:
    """Have every kind resolve its part and make its jobs now, so that an unknown model is an error with its line.

    A kind that says "evaluate.judge: …" has named the key.
    """
    for kind in plan.sections:
        try:
            replace(plan, sections={kind: plan.sections[kind]}).resolved()
            plan.jobs_of(kind)
        except UsageError as error:
            if isinstance(error, PlanError) and isinstance(error.file, Path):
                raise  # of another file, which it names
            named, _, rest = error.what.partition(": ")
            key, what = (named, rest) if named.startswith(f"{kind}.") else (kind, error.what)
            for override in plan.overrides:
                changed = override.partition("=")[0].strip()
                if f"{changed}.".startswith(f"{key}.") or f"{key}.".startswith(f"{changed}."):
                    raise UsageError(f"--set {changed}: {what}", error.remedy) from None
            raise document.wrong(tuple(key.split(".")), what, error.remedy) from None


def _overridden(data: dict[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    """A copy of the plan with `--set a.b=VALUE` done; VALUE is YAML."""
    result: dict[str, Any] = {**data}
    for override in overrides:
        key, equals, text = override.partition("=")
        place = key.strip().split(".")
        if not equals or not all(place):
            raise UsageError(f"--set {override}: not of the form KEY=VALUE", "For example --set mine.templates=80.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError(f"--set {key}: the value is not YAML", "Quote it as YAML wants it.") from None
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
            what = error.what.rpartition(f"{error.key}: ")[2]
            return UsageError(f"--set {error.key}: {what}", error.remedy)
    return error


# ----------------------------------------------------------------------------------------------------------- times


def deadline(until: str, moment: dt.datetime) -> dt.datetime:
    """`07:00` as its next occurrence after `moment`, or a full timestamp, as an instant with zone.

    Raises ValueError when it is no time, or a full timestamp in the past.
    """
    if re.fullmatch(r"\d{1,2}:\d{2}", until):
        hour, minute = (int(part) for part in until.split(":"))
        if hour > 23 or minute > 59:
            raise ValueError(f"{until} is no time of day; write it as 07:00")
        local = moment.astimezone().replace(tzinfo=None)
        at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if at <= local:
            at += dt.timedelta(days=1)
        return at.astimezone()
    try:
        full = dt.datetime.fromisoformat(until)
    except ValueError:
        raise ValueError(f"{until!r} is no time; write it as 07:00, or as 2026-11-23T07:00") from None
    full = full.astimezone()
    if full <= moment:
        raise ValueError(f"{until} is in the past")
    return full


def night_of(moment: dt.datetime) -> str:
    """The local date twelve hours before: 22:00 and the 06:00 that follows belong to one night."""
    return (moment - dt.timedelta(hours=12)).astimezone().date().isoformat()


# ------------------------------------------------------------------------------------------------- what is stored


def build(
    plan: Plan, moment: dt.datetime, until: str | None, *, again: bool, nightly: NightlyStart | None = None
) -> tuple[Run, list[Job]]:
    """The rows of a run of this plan, not stored yet. `until` replaces the plan's own.

    A nightly start that comes late belongs to the night that it was due in.
    """
    specs = plan.specs()
    if not specs:
        raise UsageError(f"the plan {plan.name} has no jobs", "Give it a section: mine, evaluate or command.")
    warnings = [str(finding) for finding in plan.findings(spec.name for _, spec in specs)]
    warnings += [*_too_little_disk(plan.setting.home), *too_large(plan.setting.home, specs)]
    warnings += [f"it was {nightly}"] if nightly and nightly.is_late else []
    wanted = until or plan.common.until
    night = night_of(nightly.due if nightly else moment)
    once = plan.common.once == "nightly" and not plan.changed and not again
    run = Run(
        id="",  # given in the transaction that stores it
        number=0,
        plan=plan.name,
        title=plan.common.title or plan.name,
        night=night,
        created_at=moment,
        deadline=deadline(wanted, moment) if wanted else None,
        unique_key=f"{plan.name}@{night}" if once else None,
        snapshot=_snapshot(plan),
        warnings=warnings,
    )
    return run, job_rows(run, specs)


def _too_little_disk(home: Home) -> list[str]:
    """What the supervisor will refuse a job for, said already now."""
    free, wanted = machine.free_disk_mb(home.var), settings.read(home).disk.keep_free_mb
    if free >= wanted:
        return []
    return [
        f"too little disk: {free:,} MB are free below {home.var}, {wanted:,} MB are wanted. Free some before tonight."
    ]


def too_large(home: Home, specs: list[tuple[str, JobSpec]]) -> list[str]:
    """Jobs that would wait for more memory than there is, and be skipped then."""
    total, margin = machine.total_mb(), settings.read(home).memory.margin_mb
    return [
        f"{spec.name}: it can never fit: it needs {spec.memory_mb:,} MB beside {margin:,} that are kept free, and this "
        f"computer has {total:,}. Declare less, or leave it out."
        for _, spec in specs
        if spec.memory_mb + margin > total
    ]


def job_rows(run: Run, specs: list[tuple[str, JobSpec]]) -> list[Job]:
    return [
        Job(
            run=run,
            name=spec.name,
            kind=kind,
            place=place,
            params=spec.params,
            memory_mb=spec.memory_mb,
            timeout_s=spec.timeout_s,
            attempts=spec.attempts,
            preload_blas=spec.preload_blas,
        )
        for place, (kind, spec) in enumerate(specs)
    ]


def _snapshot(plan: Plan) -> dict[str, Any]:
    return {
        "plan": plan.resolved(),
        "overrides": list(plan.overrides),
        "only": list(plan.only),
        "versions": {"jarvisd": __version__, **versions()},
        "machine": machine.describe(),
    }


def versions() -> dict[str, str]:
    """Installed versions of what a figure may depend on; nothing is imported for it."""
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def already_submitted(run: Run) -> Run | None:
    """The run that holds the same unique key, if there is one."""
    return models.Run.get_or_none(Run.unique_key == run.unique_key) if run.unique_key else None
