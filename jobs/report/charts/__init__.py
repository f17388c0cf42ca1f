"""The charts of a report. One that fails says so and costs none of the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from jobs.report.attempt import attempt
from jobs.report.charts import models as model_charts
from jobs.report.charts import svg as svg_chart
from jobs.report.charts.svg import FIRST, SECOND, Chart
from jobs.report.gather import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(report: Report) -> list[Chart]:
    """Every chart that this run has numbers for, or why it is missing."""
    makers: list[tuple[bool, Callable[[Report], Chart], str]] = [
        (bool(report.models) and not report.is_spread, model_charts.latency_quality, "Latency against quality"),
        (bool(report.models), model_charts.memory, "Memory of each model"),
        (report.templates is not None, coverage_curve, "Coverage against number of templates"),
        (bool(report.timeline), model_charts.timeline, "Replies in the order in which they were timed"),
    ]
    return [_chart(make, title, report) for wanted, make, title in makers if wanted]


def _chart(make: Callable[[Report], Chart], title: str, report: Report) -> Chart:
    def failed(error: Exception) -> Chart:
        return Chart("", title, "", "", f"could not be rendered: {type(error).__name__}")

    return attempt(f"chart {title!r}", partial(make, report), failed)


def coverage_curve(report: Report) -> Chart:
    """Coverage of the first k templates, in-sample and held out, for every k that was measured."""
    title = "Coverage against number of templates"
    if not report.curve:
        return Chart("coverage", title, "", "", "the mining stored no curve")
    counts = [float(point["templates"]) for point in report.curve]
    seen = [_share(point.get("in_sample")) for point in report.curve]
    unseen = [_share(point.get("held_out")) for point in report.curve]
    with svg_chart.figure() as (figure, axes):
        axes.plot(counts, seen, color=SECOND, linewidth=2, linestyle=(0, (4, 2)))
        axes.plot(counts, unseen, color=FIRST, linewidth=2.4)
        _label(axes, counts, seen, "mined messages (in-sample)", SECOND)
        _label(axes, counts, unseen, "later messages (held out)", FIRST, above=not _below(unseen, seen))
        top = max([value for value in (*seen, *unseen) if not math.isnan(value)], default=1.0)
        axes.set_ylim(0, max(top * 1.25, 1.0))
        axes.set_xlim(0, max(counts) * 1.02)
        axes.set_xlabel("templates")
        axes.set_ylabel("coverage, %")
        svg = svg_chart.svg(figure, "coverage", title)
    caption = "Only the solid line is about messages that the templates were not mined from."
    return Chart("coverage", title, caption, svg)


def _share(value: object) -> float:
    return 100 * float(value) if isinstance(value, (int, float)) else float("nan")


def _below(values: list[float], others: list[float]) -> bool:
    """Whether a line ends below another, so that the names of both have room."""
    return bool(values and others) and values[-1] <= others[-1]


def _label(axes: Axes, counts: list[float], values: list[float], text: str, colour: str, *, above: bool = True) -> None:
    """Name a line at its end."""
    known = [(x, y) for x, y in zip(counts, values, strict=True) if not math.isnan(y)]
    if known:
        x, y = known[-1]
        place = (0, 6 if above else -14)
        axes.annotate(text, (x, y), xytext=place, textcoords="offset points", ha="right", color=colour, fontsize=9.5)
