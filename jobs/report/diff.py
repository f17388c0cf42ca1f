"""What changed between two runs, as data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jarvisd.plugin import Job, Run, Status
from jobs.lib.comparison.document import Generation, ModelDocument
from jobs.lib.comparison.pipeline import Comparison
from jobs.lib.results.tables import REAL_TURNS
from jobs.report.escape import NOT_MEASURED, megabytes, milliseconds, number, percent
from jobs.report.measured_change import measure_changes

ALL_CHECKS = 1 - 1e-9  #: a share from which on every check passed

#: Writes a value.
Writer = Callable[[float | None], str]

#: Key of a model's stats -> what it is called, and how it is written.
FIGURES: dict[str, tuple[str, Writer]] = {
    "success_rate": ("complete replies", percent),
    "p50_latency_ms": ("median reply", milliseconds),
    "tokens_per_second": ("tokens/s", lambda value: number(value, 1)),
    "peak_memory_mb": ("peak memory", lambda value: NOT_MEASURED if value is None else megabytes(value)),
}

#: Of these the ones that two machines cannot be compared by.
SPEED = ("p50_latency_ms", "tokens_per_second")

#: Measures of quality, by the names of the figures.
MEASURES = {
    "instructions": "Does what you ask",
    "own_turns": "Your own messages",
    "quality": "Quality",
}

TEMPLATES: dict[str, tuple[str, Writer]] = {
    "templates_extracted": ("templates", lambda value: number(value, 0)),
    "coverage": ("coverage, held out", percent),
    "hit_rate": ("hit rate", percent),
    "precision": ("right when it fires", percent),
}

#: scenario, incoming message, instruction: the same prompt in another run, whatever its place
Prompt = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """What two runs are compared by; `templates` is templates.json."""

    run: str
    comparison: Comparison | None
    templates: Mapping[str, Any] | None

    @property
    def models(self) -> Mapping[str, ModelDocument]:
        return self.comparison.document.models if self.comparison else {}


@dataclass(frozen=True, kw_only=True)
class FigureChange:
    """A figure that both runs have; the interval is that of the difference of a measure, None for others."""

    figure: str
    before: float
    now: float
    ci: list[float] | None = None
    clusters: int | None = None  #: prompts or conversations that a measure was compared on


@dataclass(frozen=True, kw_only=True)
class ModelFigureChange(FigureChange):
    """A figure of one model."""

    model: str


@dataclass(frozen=True, kw_only=True)
class PromptChange:
    """Share of checks that a model passes at a prompt; a flip passes every check in one run and not in the other."""

    model: str
    real: bool  #: a turn of the owner's history
    context: str
    instruction: str
    before: float
    now: float
    flip: bool


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed since `run`."""

    run: str
    figures: tuple[ModelFigureChange, ...]
    prompts: tuple[PromptChange, ...]  #: those that changed, flips first
    same: int  #: prompts that did not change
    templates: tuple[FigureChange, ...]
    only_now: tuple[str, ...]  #: keys of models
    only_then: tuple[str, ...]  #: names of models


def previous(run: Run) -> Run | None:
    """The newest earlier run of the same plan whose report was written."""
    done = Run.select().join(Job).where(Job.is_report, Job.status == Status.SUCCEEDED)
    newest: Run | None = done.where(Run.plan == run.plan, Run.number < run.number).order_by(Run.number.desc()).first()
    return newest


def compare(then: RunResults, now: RunResults) -> Changes:
    """What changed from one run to the other."""
    old, new = then.models, now.models
    both = [key for key in new if key in old]
    prompts = [change for key in both for change in _prompts(key, old[key], new[key])]
    changed = [change for change in prompts if change.before != change.now]
    changed.sort(key=lambda change: (not change.flip, -abs(change.now - change.before)))
    return Changes(
        run=then.run,
        figures=tuple(row for key in both for row in _figures(key, then, now)),
        prompts=tuple(changed),
        same=len(prompts) - len(changed),
        templates=tuple(_differences(TEMPLATES, _template_stats(then), _template_stats(now))),
        only_now=tuple(key for key in new if key not in old),
        only_then=tuple(old[key].name for key in old if key not in new),
    )


def _template_stats(run: RunResults) -> Mapping[str, float | None]:
    return run.templates["stats"] if run.templates else {}


def _differences(
    names: Iterable[str], before: Mapping[str, float | None], now: Mapping[str, float | None]
) -> list[FigureChange]:
    """Figures that both runs have."""
    pairs = ((name, before.get(name), now.get(name)) for name in names)
    return [
        FigureChange(figure=name, before=old, now=new)
        for name, old, new in pairs
        if old is not None and new is not None
    ]


def _figures(key: str, then: RunResults, now: RunResults) -> list[ModelFigureChange]:
    """The measures of a model, then its other figures."""
    same = then.models[key].machine == now.models[key].machine
    names = [figure for figure in FIGURES if same or figure not in SPEED]
    rows = _differences(names, vars(then.models[key].stats), vars(now.models[key].stats))
    measures = measure_changes(key, then.comparison, now.comparison) if then.comparison and now.comparison else []
    changed = [
        FigureChange(figure=row.figure, before=row.before, now=row.now, ci=row.ci, clusters=row.n) for row in measures
    ]
    return [ModelFigureChange(model=key, **vars(row)) for row in [*changed, *rows]]


def _scores(model: ModelDocument) -> dict[Prompt, float]:
    """Mean share of checks of each prompt."""
    shares: dict[Prompt, list[float]] = defaultdict(list)
    for reply in model.generations:
        if reply.quality is not None:
            shares[_prompt_of(reply)].append(reply.quality)
    return {prompt: sum(values) / len(values) for prompt, values in shares.items()}


def _prompt_of(reply: Generation) -> Prompt:
    return reply.scenario_id, reply.context, reply.instruction


def _prompts(key: str, before: ModelDocument, now: ModelDocument) -> list[PromptChange]:
    """Each prompt of both runs."""
    old, new = _scores(before), _scores(now)
    return [
        PromptChange(
            model=key,
            real=prompt[0] == REAL_TURNS,
            context=prompt[1],
            instruction=prompt[2],
            before=old[prompt],
            now=new[prompt],
            flip=(old[prompt] >= ALL_CHECKS) != (new[prompt] >= ALL_CHECKS),
        )
        for prompt in new
        if prompt in old
    ]
