"""Quality and coverage over the last nights: a line per model, and the same figures as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jarvisd.plugin import Job, Run, Status
from jarvisd.web.pages import Page, Request, Room, get, render
from jobs.lib.results.tables import Mining

#: Nights that are shown.
MOST = 15
#: Size of a chart, in units of its own, and the room around its lines.
WIDTH, HEIGHT, MARGIN = 640, 200, 30
COVERAGE = "templates"


@dataclass(frozen=True)
class Night:
    """The figures of a run."""

    run: str
    quality: dict[str, float]  #: by model, from 0 to 1
    coverage: float | None  #: of the templates, from 0 to 1


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    number: int  #: which style it has
    points: list[tuple[float, float]]  #: where its values are drawn

    @property
    def path(self) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


def trend(request: Request) -> Page:
    nights = newest(request)
    models = sorted({model for night in nights for model in night.quality})
    quality = [[night.quality.get(model) for night in nights] for model in models]
    coverage = [night.coverage for night in nights]
    return render(
        "trend.html",
        nights=nights,
        models=models,
        quality=chart(models, quality),
        coverage=chart([COVERAGE], [coverage]),
        size=(WIDTH, HEIGHT, MARGIN),
    )


def newest(request: Request) -> list[Night]:
    """The newest runs whose report was written, the oldest of them first."""
    reported = Job.select(Job.run).where(Job.is_report, Job.status == Status.SUCCEEDED)
    rows = Run.select(Run.id).where(Run.id.in_(reported)).order_by(Run.number.desc()).limit(MOST).tuples()
    runs = [run_id for (run_id,) in rows][::-1]
    coverage = {row.run_id: row.stats.get("coverage") for row in Mining.select().where(Mining.run.in_(runs))}
    return [Night(run_id, quality_of(request.home.run_folder(run_id)), coverage.get(run_id)) for run_id in runs]


def quality_of(folder: Path) -> dict[str, float]:
    """Quality by model, as the comparison's document has it; empty where there is none."""
    path = folder / "mlx_comparison_results.json"
    try:
        return _quality(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, LookupError, TypeError):
        return {}


@lru_cache(maxsize=2 * MOST)
def _quality(path: Path, _changed: int) -> dict[str, float]:
    """Read once per change of the file, which holds every reply."""
    models = json.loads(path.read_text())["models"]
    figures = {name: model["stats"]["quality"] for name, model in models.items()}
    return {name: float(value) for name, value in figures.items() if value is not None}


def chart(names: Sequence[str], rows: Sequence[Sequence[float | None]]) -> list[Line]:
    """The lines of values from 0 to 1, from left to right. A night without a value has no point."""
    count = max((len(row) for row in rows), default=0)
    step = (WIDTH - 2 * MARGIN) / max(1, count - 1)
    lines = []
    for number, (name, row) in enumerate(zip(names, rows, strict=True)):
        places = [(place, value) for place, value in enumerate(row) if value is not None]
        points = [(MARGIN + place * step, HEIGHT - MARGIN - value * (HEIGHT - 2 * MARGIN)) for place, value in places]
        lines.append(Line(name, number % 6, points))
    return lines


WEB = Room(name="trend", title="Over time", templates=Path(__file__).parent, place=52, routes=(get("", trend),))
