"""A plan as rows of the database: a Run and its Jobs, not stored yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jarvisd import __version__
from jarvisd.errors import UsageError
from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.plan import times
from jarvisd.plan.missed_start import NightlyStart
from jarvisd.plan.warnings import grouped
from jarvisd.registry import JobSpec, RunsOn
from jarvisd.store import models, placement
from jarvisd.store.models import Job, Run

if TYPE_CHECKING:
    from jarvisd.plan.plans import Plan

Specs = list[tuple[str, JobSpec]]

#: Packages whose version a figure of the report may depend on.
_VERSIONS = (
    "huey",
    "peewee",
    "mlx",
    "mlx-lm",
    "sentence-transformers",
    "transformers",
    "torch",
    "numpy",
    "scikit-learn",
)


@dataclass(frozen=True)
class Start:
    """When a run may begin, as people say it."""

    at: str | None = None  #: 22:30, or a full timestamp
    after: tuple[str, ...] = ()  #: jobs and runs that must have succeeded
    after_any: tuple[str, ...] = ()  #: jobs and runs that must have ended
    priority: int = 0

    def instant(self, moment: dt.datetime) -> dt.datetime | None:
        """Raises UsageError."""
        return times.requested_start(self.at, moment) if self.at else None


NOW = Start()


def run_of(
    plan: Plan,
    moment: dt.datetime,
    until: str | None,
    *,
    again: bool,
    nightly: NightlyStart | None = None,
    start: Start = NOW,
    machine_id: str | None = None,
) -> tuple[Run, list[Job]]:
    """The rows of a run of this plan, not stored yet. `until` replaces the plan's own.

    A nightly start that comes late belongs to the night that it was due in. `machine_id`: the machine of submission,
    where several share the database, which is open then.
    """
    specs = plan.specs()
    if not specs:
        raise UsageError(f"the plan {plan.name} has no jobs", "Give it a section: mine, evaluate or command.")
    warnings = _warnings(plan, specs) if machine_id is None else _warnings_of_fleet(plan, specs)
    warnings += [f"it was {nightly}"] if nightly and nightly.is_late else []
    start_at = start.instant(moment)
    begins = nightly.due if nightly else start_at or moment
    once = plan.common.once == "nightly" and not plan.changed and not again
    run = Run(
        id="",  # given in the transaction that stores it
        number=0,
        plan=plan.name,
        title=plan.common.title or plan.name,
        night=times.date_of(begins),
        created_at=moment,
        deadline=_deadline(plan, until, start_at or moment),
        start_at=start_at,
        priority=start.priority,
        unique_key=_unique_key(plan.name, times.night_of(begins), specs, machine_id) if once else None,
        snapshot=_snapshot(plan),
        warnings=warnings,
        machine=machine_id,
    )
    return run, job_rows(run, specs)


def _unique_key(plan: str, night: str, specs: Specs, machine_id: str | None) -> str:
    """One run per night; of a plan that reads messages one per machine, because each has messages of its own."""
    reads = machine_id is not None and any(spec.reads_messages for _, spec in specs)
    return f"{plan}@{night}@{machine_id}" if reads else f"{plan}@{night}"


def _warnings(plan: Plan, specs: Specs) -> list[str]:
    """What this machine lacks."""
    lines = grouped(plan.missing_requirements(spec.name for _, spec in specs), plan.name)
    return [*lines, *_too_little_disk(plan.setting.home), *too_large(plan.setting.home, specs)]


def _warnings_of_fleet(plan: Plan, specs: Specs) -> list[str]:
    """What this machine lacks for the jobs that only it may run, and which of the others no known machine can run."""
    free = {spec.name for _, spec in specs if spec.runs_on == RunsOn.ANY}
    missing = plan.missing_requirements(spec.name for _, spec in specs)
    lines = grouped([requirement for requirement in missing if requirement.job not in free], plan.name)
    lines += _too_little_disk(plan.setting.home)
    lines += too_large(plan.setting.home, [(kind, spec) for kind, spec in specs if spec.name not in free])
    rows = [Job(name=spec.name, kind=kind, **spec.placed()) for kind, spec in specs if spec.name in free]
    return [*lines, *(f"{name}: {reason}" for name, reason in placement.impossible(rows).items())]


def _deadline(plan: Plan, until: str | None, moment: dt.datetime) -> dt.datetime | None:
    text = until or plan.common.until
    return times.requested_deadline(text, moment) if text else None


def _too_little_disk(home: Home) -> list[str]:
    """What the supervisor will refuse a job for, said already now."""
    from jarvisd.plan import settings

    free, wanted = machine.free_disk_mb(home.var), settings.read(home).disk.keep_free_mb
    if free >= wanted:
        return []
    return [
        f"too little disk: {free:,} MB are free below {home.var}, {wanted:,} MB are wanted. Free some before tonight."
    ]


def too_large(home: Home, specs: Specs) -> list[str]:
    """Jobs that would wait for more memory than there is, and be skipped then."""
    if not any(spec.memory_mb for _, spec in specs):
        return []
    from jarvisd.plan import settings  # late: it imports pydantic, which the submission of a program needs not

    total, margin = machine.total_mb(), settings.read(home).memory.margin_mb
    return [
        f"{spec.name}: it can never fit: it needs {spec.memory_mb:,} MB beside {margin:,} that are kept free, and this "
        f"computer has {total:,}. Declare less, or leave it out."
        for _, spec in specs
        if spec.memory_mb + margin > total
    ]


def job_rows(run: Run, specs: Specs) -> list[Job]:
    return [Job(run=run, kind=kind, place=place, **spec.columns()) for place, (kind, spec) in enumerate(specs)]


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
    import importlib.metadata

    installed = {}
    for name in _VERSIONS:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def already_submitted(run: Run) -> Run | None:
    """The run that holds the same unique key, if there is one."""
    return models.Run.get_or_none(Run.unique_key == run.unique_key) if run.unique_key else None
