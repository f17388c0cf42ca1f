"""The charts about models: quality against time, memory, and every timed reply in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from jobs.report.charts import svg as svg_chart
from jobs.report.charts.svg import FIRST, INK, LINE, SECOND, SOFT, Box, Chart
from jobs.report.escape import clean
from jobs.report.gather import Report, TimedReply
from jobs.report.rows import models as model_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Ticks of a logarithmic axis of seconds: their first digits, and closer ones where few of these are in sight.
_STEPS, _CLOSER, _FEW = (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), 3
_NARROW = 0.09  #: share of the width below which a stretch of replies has no name written into it


@dataclass(frozen=True)
class Point:
    """A model in the plane of time and quality."""

    name: str
    seconds: float
    quality: float
    interval: Sequence[float] | None
    peak_mb: float | None
    fails_gate: bool


def points(report: Report) -> list[Point]:
    """Models with a time and a quality."""
    return [
        Point(
            name=clean(model.name, 24),
            seconds=time / 1000,
            quality=quality,
            interval=model.stats.shared_quality_ci,
            peak_mb=model_rows.peak_mb(model.stats),
            fails_gate=model.fails_gate,
        )
        for model in report.models.values()
        if (time := model.stats.shared_p50_ms) and (quality := model.stats.shared_quality) is not None
    ]


def frontier(models: Sequence[Point]) -> list[Point]:
    """Those that no other one equals or beats in both time and quality, the fastest first; all pass the gates."""
    best: list[Point] = []
    for point in sorted(models, key=lambda point: (point.seconds, -point.quality)):
        if not point.fails_gate and (not best or point.quality > best[-1].quality):
            best.append(point)
    return best


def latency_quality(report: Report) -> Chart:
    """One point per model: median seconds of complete replies, quality with its interval, size as memory."""
    title = "Latency against quality"
    shown = points(report)
    if not shown:
        return Chart("latency-quality", title, "", "", "no model gave a complete reply")
    best = frontier(shown)
    with svg_chart.figure((4.8, 3.3)) as (figure, axes):
        _axes_of_time(axes, [point.seconds for point in shown])
        axes.set_ylim(-0.03, 1.08)
        axes.set_xlabel("median seconds per reply, logarithmic (left is faster)")
        axes.set_ylabel("quality")
        steps = {"drawstyle": "steps-post", "color": FIRST, "linewidth": 1.2, "linestyle": (0, (3, 2)), "alpha": 0.8}
        axes.plot([point.seconds for point in best], [point.quality for point in best], **steps)
        figure.draw_without_rendering()  # fixes the layout, so that places can be compared
        whole = report.memory_mb or max((point.peak_mb or 1 for point in shown), default=1)
        taken = [_point(axes, point, whole, dominated=point not in best) for point in shown]
        for point in shown:
            _name(axes, point, taken, SOFT if point not in best else INK)
        svg = svg_chart.svg(figure, "latency-quality", title)
    caption = (
        "Each point is a model: up and to the left is better, a larger point takes more memory. Bars are each model's "
        "own 95 % interval: overlapping bars do not mean a tie (see Every pair). The dashed line joins the models that "
        "no other one beats in both; grey ones are beaten or miss a limit of the plan."
    )
    return Chart("latency-quality", title, caption, svg)


def _axes_of_time(axes: Axes, seconds: Sequence[float]) -> None:
    low, high = min(seconds) / 1.6, max(seconds) * 2.6
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = _ticks(low, high, _STEPS)
    ticks = ticks if len(ticks) >= _FEW else _ticks(low, high, _CLOSER)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _ticks(low: float, high: float, steps: Sequence[float]) -> list[float]:
    """Seconds between the two that begin with one of these digits."""
    ticks = [step * 10.0**power for power in range(-4, 5) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _point(axes: Axes, point: Point, whole_mb: float, *, dominated: bool) -> Box:
    """Draw a point and its interval, its size as the share of `whole_mb`; the room that the point takes."""
    colour, alpha = (SOFT, 0.55) if dominated else (FIRST, 1.0)
    if point.interval:
        low, high = max(0.0, point.interval[0]), min(1.0, point.interval[1])
        axes.plot([point.seconds] * 2, [low, high], color=colour, linewidth=1.6, alpha=0.45)
    size = max(5.0, 22 * ((point.peak_mb or 0) / whole_mb) ** 0.5)  # points across: the area is the memory
    axes.plot([point.seconds], [point.quality], "o", color=colour, alpha=alpha, markersize=size, markeredgewidth=0)
    x, y = (float(value) for value in axes.transData.transform((point.seconds, point.quality)))
    return (x - size / 2, y - size / 2, x + size / 2, y + size / 2)


def _name(axes: Axes, point: Point, taken: list[Box], colour: str) -> None:
    """Write a name beside its point: right above, right below, left above or left below, where it is free."""
    x, y = (float(value) for value in axes.transData.transform((point.seconds, point.quality)))
    width, height = 6.4 * len(point.name), 11.0  # points, roughly; only to keep names apart
    right_edge = axes.bbox.x1
    for side, up in ((1, 4), (1, -13), (-1, 4), (-1, -13), (1, 18), (1, -27), (-1, 18), (-1, -27), (1, 32), (1, -41)):
        left = x + 10 if side > 0 else x - 10 - width
        box = (left, y + up, left + width, y + up + height)
        inside = axes.bbox.x0 < box[0] and box[2] < right_edge + 12
        if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            break
    taken.append(box)
    align: Literal["left", "right"] = "left" if side > 0 else "right"
    where = (10 * side, up)
    axes.annotate(
        point.name, (point.seconds, point.quality), xytext=where, textcoords="offset points", ha=align, color=colour
    )


# --------------------------------------------------------------------------------------------------- memory


def memory(report: Report) -> Chart:
    """Weights, what work adds to them, what the machine has left, and a line at what a model may use."""
    title = "Memory of each model"
    rows = [row for row in model_rows.memory_parts(report) if row.peak_mb is not None]
    if not rows:
        return Chart("memory", title, "", "", "no model's memory was measured")
    with svg_chart.figure((4.8, 1.3 + 0.36 * len(rows))) as (figure, axes):
        places = range(len(rows))
        weights = [(row.weights_mb or 0) / 1024 for row in rows]
        working = [(row.working_mb if row.working_mb is not None else row.peak_mb or 0) / 1024 for row in rows]
        left = model_rows.left_of_memory(report).replace("Left", "left")
        room = [max(0.0, row.left_mb or 0) / 1024 for row in rows]
        axes.barh(places, weights, color=FIRST, height=0.56, label="weights")
        axes.barh(places, working, left=weights, color=SECOND, height=0.56, label="at work")
        starts = [one + other for one, other in zip(weights, working, strict=True)]
        axes.barh(
            places,
            room,
            left=starts,
            color=LINE,
            height=0.56,
            label=left,
        )
        if report.budget_mb:
            axes.axvline(report.budget_mb / 1024, color=INK, linewidth=1.2, linestyle=(0, (3, 2)))
        axes.set_yticks(list(places), [clean(row.name, 24) for row in rows])
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, max((report.memory_mb or 0) / 1024, *starts) * 1.01)
        axes.set_xlabel("GB")
        axes.legend(ncols=3, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, handlelength=1.2)
        svg = svg_chart.svg(figure, "memory", title)
    return Chart("memory", title, _memory_caption(report), svg)


def _memory_caption(report: Report) -> str:
    line = f" The dashed line is the {report.budget_mb / 1024:.1f} GB that a model may use." if report.budget_mb else ""
    return f"Peak of each model in this run, in parts.{line}"


# ------------------------------------------------------------------------------------------- order in time


def timeline(report: Report) -> Chart:
    """Seconds of every timed reply against its place in the run: heat and a full memory show as a rise."""
    title = "Replies in the order in which they were timed"
    timed = report.timeline
    if not timed:
        return Chart("timeline", title, "", "", "no reply was timed")
    with svg_chart.figure((4.8, 2.6)) as (figure, axes):
        seconds = [row.latency_ms / 1000 for row in timed]
        top = max(seconds) * 1.3
        for good, colour, mark in ((True, FIRST, "o"), (False, SECOND, "x")):
            kept = [(place, value) for place, value in enumerate(seconds) if timed[place].success is good]
            axes.plot([x for x, _ in kept], [y for _, y in kept], mark, color=colour, markersize=3, alpha=0.8)
        _stretches(axes, report, timed, top)
        axes.set_ylim(0, top)
        axes.set_xlim(-0.5, len(timed) - 0.5)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("replies, the first on the left")
        axes.set_ylabel("seconds")
        svg = svg_chart.svg(figure, "timeline", title)
    caption = "Every timed reply of the run; a cross is a failed one. A line starts with each loading of a model."
    return Chart("timeline", title, caption, svg)


def _stretches(axes: Axes, report: Report, timed: Sequence[TimedReply], top: float) -> None:
    """A line where another model, or another round, begins, and the model's name where it has room."""
    start = 0
    for (key, _), rows in groupby(timed, key=lambda row: (row.model, row.round)):
        width = len(list(rows))
        if start:
            axes.axvline(start - 0.5, color=SOFT, linewidth=0.6, alpha=0.6)
        if width / len(timed) >= _NARROW:
            name = clean(model_rows.name(report, key), max(3, int(64 * width / len(timed))))
            axes.text(start + width / 2 - 0.5, top * 0.97, name, ha="center", va="top", fontsize=8, color=SOFT)
        start += width
