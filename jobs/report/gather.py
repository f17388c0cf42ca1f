"""One frozen object with every number of a run's report, read from the database and from nowhere else."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jarvisd import plugin, registry
from jarvisd.plugin import OPEN, Home, JarvisError, Job, Run, Status
from jobs.lib.comparison import document
from jobs.report import diff, latency_estimate, measured
from jobs.report.latency_estimate import LatencyEstimate
from jobs.report.plan import Section

log = logging.getLogger(__name__)
Value = TypeVar("Value")

#: What the owner's old set of templates was reported to cover; nobody knows any more how that was counted.
BASELINE = {
    "coverage": 33 / 528,
    "source": "reported, 33 of 528, method unknown",
    "unused": 0.79,
    "templates": 91,
}

#: A report that starts this long after the deadline, in seconds, was held up by something.
LATE_S = 120


@dataclass(frozen=True, kw_only=True)
class JobLine:
    """A job of the night, as the table shows it."""

    id: int
    name: str
    kind: str
    round: int
    status: str
    attempt: int
    reason: str
    remedy: str  #: the command that tries again, or ""
    duration_s: float | None  #: of the last attempt
    peak_memory_mb: float | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that a rendering of one run needs."""

    run_id: str
    folder: str  #: where its files are
    title: str
    plan: str
    night: str
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None  #: when the last job other than the report ended
    deadline: dt.datetime | None
    late: str  #: a sentence when the report began after the deadline, or ""
    sections: tuple[str, ...]  #: the kinds of job that the plan asked for
    jobs: tuple[JobLine, ...]  #: without the report's own
    warnings: tuple[str, ...]
    templates: Mapping[str, Any] | None  #: templates.json, or None when nothing was mined
    curve: tuple[Mapping[str, Any], ...]  #: coverage against number of templates
    comparison: Mapping[str, Any] | None  #: mlx_comparison_results.json, or None when no model was loaded
    design: LatencyEstimate
    loadings: tuple[Mapping[str, Any], ...]  #: every loading of a model, see jobs.report.measured
    timeline: tuple[Mapping[str, Any], ...]  #: every timed reply, the oldest first
    prompts: Mapping[str, str]  #: key of a model -> the exact text of the first prompt it was given
    rules: Mapping[str, Any]  #: the plan's `report` section: gates, layers, weights
    changes: Mapping[str, Any] | None  #: since the last run of the plan, see jobs.report.rows.changes; None without one
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]
    verbs: tuple[str, ...]  #: verbs of jarvisctl that next steps may name
    problems: tuple[str, ...]  #: parts that could not be gathered, by the type of their error

    def counted(self, *statuses: Status) -> int:
        return sum(job.status in statuses for job in self.jobs)

    @property
    def models(self) -> Mapping[str, Any]:
        return self.comparison["models"] if self.comparison else {}

    @property
    def unfinished(self) -> bool:
        return self.counted(*OPEN) > 0

    @property
    def budget_mb(self) -> float | None:
        """Memory that a model may use by the plan, in MB."""
        found = (self.rules.get("gates") or {}).get("memory_mb")
        return float(found) if isinstance(found, (int, float)) else None

    @property
    def baseline(self) -> Mapping[str, Any]:
        return BASELINE

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, without NaN."""
        return dict(document.plain(dataclasses.asdict(self)))


def gather(run_id: str, home: Home) -> Report:
    """Everything of the run. A part that cannot be read is None and named in `problems`.

    Raises JarvisError for a run that does not exist.
    """
    run = Run.get_or_none(Run.id == run_id)
    if run is None:
        raise JarvisError(f"no run is called {run_id}", "`jarvisctl runs` lists them.")
    problems: list[str] = []
    rows = plugin.jobs_of(run)
    templates = _attempt("templates", problems, lambda: _templates(run_id))
    curve = _attempt("coverage curve", problems, lambda: _curve(run_id))
    models = _attempt("model comparison", problems, lambda: _comparison(run_id))
    loadings = _attempt("loadings of models", problems, lambda: measured.loadings(run_id))
    timeline = _attempt("order of replies", problems, lambda: measured.timeline(run_id))
    prompts = _attempt("prompts", problems, lambda: measured.prompts(run_id))
    since = _attempt("changes since the last run", problems, lambda: _changes(run, templates, models))
    snapshot = run.snapshot if isinstance(run.snapshot, dict) else {}
    ended = [row.ended_at for row in rows if not row.is_report and row.ended_at]
    return Report(
        run_id=run.id,
        folder=str(home.run_folder(run.id)),
        title=run.title or run.plan,
        plan=run.plan,
        night=run.night,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=max(ended, default=None),
        deadline=run.deadline,
        late=_late(run, rows),
        sections=_sections(rows),
        jobs=tuple(_line(row) for row in rows if not row.is_report),
        warnings=tuple(map(str, run.warnings or [])),
        templates=templates,
        curve=tuple(curve or ()),
        comparison=models,
        design=latency_estimate.estimate(templates, models),
        loadings=tuple(loadings or ()),
        timeline=tuple(timeline or ()),
        prompts=prompts or {},
        rules=_rules(snapshot),
        changes=since,
        machine=_mapping(snapshot.get("machine")),
        versions=_mapping(snapshot.get("versions")),
        verbs=tuple(registry.VERBS),
        problems=tuple(problems),
    )


def place(error: BaseException) -> str:
    """Type of an error and the line of code it came from, without its text, which may hold a message."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _attempt(part: str, problems: list[str], read: Callable[[], Value]) -> Value | None:
    """What `read` returns; None, and a line in `problems`, when it raises."""
    try:
        return read()
    except Exception as error:  # a part of the report never costs the rest of it
        problems.append(f"{part}: could not be rendered: {type(error).__name__}")
        log.warning("%s could not be gathered: %s", part, place(error))
        return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _templates(run_id: str) -> dict[str, Any] | None:
    found = importlib.import_module("jobs.lib.results.templates_document").document(run_id)
    return None if found is None else dict(document.plain(found))


def _curve(run_id: str) -> list[dict[str, Any]]:
    from jobs.lib.results.tables import Mining

    newest = Mining.select().where(Mining.run == run_id).order_by(Mining.job.desc()).first()
    points = newest.curve if newest is not None else None
    return list(document.plain(points or []))


def _comparison(run_id: str) -> dict[str, Any] | None:
    found = document.document(run_id)
    return found if found["models"] else None


def _rules(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The plan's rules for the verdict, complete where the run kept them so."""
    rules = _mapping(_mapping(snapshot.get("plan")).get("report"))
    return _mapping(Section.model_validate(rules).model_dump())


def _changes(run: Run, templates: Any, models: Any) -> dict[str, Any] | None:
    """What changed since the last run of the same plan; None where there is none."""
    last = diff.previous(run)
    if last is None or (templates is None and models is None):
        return None
    then = {"run": last.id, "comparison": _comparison(last.id), "templates": _templates(last.id)}
    found = diff.compare(then, {"run": run.id, "comparison": models, "templates": templates})
    return found if found["figures"] or found["templates"] else None


def _sections(rows: list[Job]) -> tuple[str, ...]:
    """Kinds that the run has jobs of, in order."""
    return tuple(dict.fromkeys(row.kind for row in rows if not row.is_report))


def _line(row: Job) -> JobLine:
    mendable = row.status in (Status.FAILED, Status.SKIPPED, Status.STOPPED, Status.CANCELLED)
    running = row.status == Status.RUNNING
    seconds = (plugin.now() - row.started_at).total_seconds() if running else row.took_s
    number: int = row.__data__["id"]
    return JobLine(
        id=number,
        name=row.name,
        kind=row.kind,
        round=row.round,
        status=str(row.status),
        attempt=row.attempt,
        reason=row.reason or "",
        remedy=f"jarvisctl retry {number}" if mendable else "",
        duration_s=seconds,
        peak_memory_mb=row.peak_memory_mb,
    )


def _late(run: Run, rows: list[Job]) -> str:
    """A sentence when the report began well after the run's deadline."""
    began = [row.started_at for row in rows if row.is_report and row.started_at]
    if run.deadline is None or not began:
        return ""
    delay = (max(began) - run.deadline).total_seconds()
    if delay < LATE_S:
        return ""
    due, start = (moment.astimezone().strftime("%H:%M") for moment in (run.deadline, max(began)))
    return f"This report was due at {due} and was begun at {start}: the computer slept or was off in between."
