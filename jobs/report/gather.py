"""One frozen object with every number of a run's report, read from the database and from nowhere else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from jarvisd import plugin
from jarvisd.plugin import OPEN, Home, JarvisError, Job, Run, Status
from jobs.lib.comparison import document as documents
from jobs.lib.comparison import pipeline
from jobs.lib.comparison.document import ComparisonDocument, ModelDocument
from jobs.lib.comparison.load import ComparisonData, LoadRow, load, plan_section
from jobs.lib.comparison.pipeline import Comparison
from jobs.lib.results import templates_document
from jobs.lib.results.tables import Mining, Reply, TurnExample
from jobs.lib.reviews import document as reviews_document
from jobs.report import diff, job_lines, latency_estimate
from jobs.report.attempt import attempt
from jobs.report.diff import Changes, RunResults
from jobs.report.job_lines import Cause, JobLine
from jobs.report.latency_estimate import LatencyEstimate
from jobs.report.plan import Section

Value = TypeVar("Value")

#: A report that starts this long after the deadline, in seconds, was held up by something.
LATE_S = 120


@dataclass(frozen=True, kw_only=True)
class TimedReply:
    """A reply that was timed by itself."""

    model: str
    round: int
    latency_ms: float
    success: bool
    at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that a rendering of one run needs."""

    run_id: str
    folder: str  #: where its files are
    title: str
    plan: str
    is_demo: bool  #: the messages are a demonstration's, not the owner's
    night: str
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None  #: when the last job other than the report ended
    deadline: dt.datetime | None
    late: str  #: a sentence when the report began after the deadline, or ""
    sections: tuple[str, ...]  #: the kinds of job that the plan asked for
    jobs: tuple[JobLine, ...]  #: without the report's own
    causes: tuple[Cause, ...]  #: of what did not succeed
    mend: str  #: the command that runs all of that again, or ""
    warnings: tuple[str, ...]
    templates: Mapping[str, Any] | None  #: templates.json, or None when nothing was mined
    curve: tuple[Mapping[str, Any], ...]  #: coverage against number of templates
    comparison: ComparisonDocument | None  #: mlx_comparison_results.json, or None when no model was loaded
    design: LatencyEstimate
    loads: tuple[LoadRow, ...] = field(metadata={"json": "loadings"})  #: every loading of a model
    timeline: tuple[TimedReply, ...]  #: the oldest first
    prompts: Mapping[str, str]  #: key of a model -> the exact text of the first prompt it was given
    turn_examples: int  #: earlier turns of the owner that were shown before each real turn
    rules: Section  #: the plan's `report` section
    changes: Changes | None  #: since the last run of the plan; None without one
    machine: Mapping[str, Any]
    versions: Mapping[str, Any]
    problems: tuple[str, ...]  #: parts that could not be gathered, by the type of their error

    def counted(self, *statuses: Status) -> int:
        return sum(job.status in statuses for job in self.jobs)

    @property
    def whose(self) -> str:
        """Of whom the messages are, before a noun: "your", or "the demo's"."""
        return "the demo's" if self.is_demo else "your"

    @property
    def models(self) -> Mapping[str, ModelDocument]:
        return self.comparison.models if self.comparison else {}

    @property
    def is_spread(self) -> bool:
        """Whether the models ran on several machines, so that their times are not compared."""
        return self.comparison is not None and self.comparison.is_spread

    @property
    def unfinished(self) -> bool:
        return self.counted(*OPEN) > 0

    @property
    def budget_mb(self) -> float | None:
        """Memory that a model may use by the plan, in MB."""
        return self.rules.gates.memory_mb

    @property
    def memory_mb(self) -> float | None:
        """Memory of the machine that ran it, in MB; None in a run that did not store it."""
        size = self.machine.get("memory_mb")
        return float(size) if isinstance(size, (int, float)) else None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, without NaN."""
        return dict(documents.plain(self)) | {"rules": self.rules.model_dump()}


def gather(run_id: str, home: Home, comparison: Comparison | None = None) -> Report:
    """Everything of the run. A part that cannot be read is empty and named in `problems`.

    `comparison` is that of the run, where the caller has it. Raises JarvisError for a run that does not exist.
    """
    run = Run.get_or_none(Run.id == run_id)
    if run is None:
        raise JarvisError(f"no run is called {run_id}", "`jarvisctl runs` lists them.")
    problems: list[str] = []
    rows = plugin.jobs_of(run)
    lines = tuple(job_lines.line(row) for row in rows if not row.is_report)
    snapshot = run.snapshot if isinstance(run.snapshot, dict) else {}
    templates = _part("templates", problems, partial(_templates, run_id), None)
    data = _part("model comparison", problems, lambda: comparison.data if comparison else load(run_id), None)
    compared = _part("model comparison", problems, partial(_compared, data, comparison), None)
    document = compared.document if compared else None
    now = RunResults(run=run.id, comparison=compared, templates=templates)
    ended = [row.ended_at for row in rows if not row.is_report and row.ended_at]
    return Report(
        run_id=run.id,
        folder=str(home.run_folder(run.id)),
        title=run.title or run.plan,
        plan=run.plan,
        is_demo=_mapping(snapshot.get("plan")).get("demo") is True,
        night=run.night,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=max(ended, default=None),
        deadline=run.deadline,
        late=_late(run, rows),
        sections=_sections(rows),
        jobs=lines,
        causes=job_lines.causes(lines),
        mend=job_lines.mending_command(run.id, run.plan, lines),
        warnings=tuple(map(str, run.warnings or [])),
        templates=templates,
        curve=_part("coverage curve", problems, partial(_curve, run_id), ()),
        comparison=document,
        design=latency_estimate.estimate(templates, document),
        loads=tuple(sorted(data.loads, key=lambda row: row.job)) if data else (),
        timeline=_timeline(data) if data else (),
        prompts=_part("prompts", problems, partial(_prompts, run_id), {}),
        turn_examples=_part("turn examples", problems, partial(_turn_examples, run_id), 0),
        rules=Section.model_validate(plan_section(snapshot, "report")),
        changes=_part("changes since the last run", problems, partial(_changes, run, now), None),
        machine=_mapping(snapshot.get("machine")),
        versions=_mapping(snapshot.get("versions")),
        problems=tuple(problems),
    )


def _part(name: str, problems: list[str], read: Callable[[], Value], missing: Value) -> Value:
    """What `read` returns; `missing`, and a line in `problems`, where it raises."""

    def failed(error: Exception) -> Value:
        problems.append(f"{name}: could not be rendered: {type(error).__name__}")
        return missing

    return attempt(name, read, failed)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _templates(run_id: str) -> dict[str, Any] | None:
    templates = templates_document.document(run_id)
    if templates is None:
        return None
    reviews_document.add(templates, run_id)
    return dict(documents.plain(templates))


def _turn_examples(run_id: str) -> int:
    count: int = TurnExample.select().where(TurnExample.run == run_id).count()
    return count


def _curve(run_id: str) -> tuple[Mapping[str, Any], ...]:
    newest = Mining.select().where(Mining.run == run_id).order_by(Mining.job.desc()).first()
    return tuple(documents.plain(newest.curve or [])) if newest is not None else ()


def _compared(data: ComparisonData | None, comparison: Comparison | None) -> Comparison | None:
    """The comparison; None where no model was loaded."""
    if data is None or not data.models:
        return None
    return comparison or pipeline.compare(data)


def _timeline(data: ComparisonData) -> tuple[TimedReply, ...]:
    """Every reply that was timed by itself, the oldest first."""
    rows = sorted(data.replies, key=lambda row: (row.created_at, row.id))
    return tuple(
        TimedReply(model=row.model, round=row.round, latency_ms=row.latency_ms, success=row.success, at=row.created_at)
        for row in rows
        if row.latency_ms is not None and not row.batched
    )


def _prompts(run_id: str) -> dict[str, str]:
    """Key of a model -> the exact text of the first prompt that it was given."""
    rows = Reply.select(Reply.model, Reply.rendered).where(Reply.run == run_id).order_by(Reply.id.desc())
    return {row.model: row.rendered for row in rows if row.rendered}


def _changes(run: Run, now: RunResults) -> Changes | None:
    """What changed since the last run of the same plan; None where there is none."""
    last = diff.previous(run)
    if last is None or (now.templates is None and now.comparison is None):
        return None
    then = RunResults(run=last.id, comparison=_compared(load(last.id), None), templates=_templates(last.id))
    changes = diff.compare(then, now)
    return changes if changes.figures or changes.templates else None


def _sections(rows: list[Job]) -> tuple[str, ...]:
    """Kinds that the run has jobs of, in order."""
    return tuple(dict.fromkeys(row.kind for row in rows if not row.is_report))


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
