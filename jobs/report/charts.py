"""Charts as SVG that follow the page's theme: a class for each colour, the colour itself without a page.

Names of models are untrusted: they are cleaned before, never read as mathematics, and escaped by matplotlib.
"""

from __future__ import annotations

import io
import logging
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobs.report.gather import Report, place
from jobs.report.text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

#: What matplotlib draws with -> the class that the page colours it by, and the colour where there is no page.
_INK, _SOFT, _LINE, _FIRST, _SECOND = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
_COLOURS = {
    _INK: ("ink", "#1b2126"),
    _SOFT: ("soft", "#5a646d"),
    _LINE: ("line", "#e0ded7"),
    _FIRST: ("first", "#1a6b58"),
    _SECOND: ("second", "#a8541f"),
}
#: Left, bottom, right, top, in points.
Box = tuple[float, float, float, float]

_SIZE = (4.5, 3.0)  # inches: 430 CSS pixels wide, so that letters stay readable on a phone
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jarvisd",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "axes.labelcolor": _SOFT,
    "axes.edgecolor": _LINE,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Chart:
    """One chart: the SVG, or why it is missing."""

    name: str  #: of its file, without .svg
    title: str
    caption: str
    svg: str  #: "" when it is missing
    missing: str = ""


def draw(report: Report) -> list[Chart]:
    """Every chart that this run has numbers for; one that fails says so and costs none of the others."""
    makers: list[tuple[bool, Callable[[Report], Chart], str]] = [
        (bool(report.models), latency_quality, "Latency against quality"),
        (report.templates is not None, coverage_curve, "Coverage against number of templates"),
    ]
    return [_attempt(make, title, report) for wanted, make, title in makers if wanted]


def _attempt(make: Callable[[Report], Chart], title: str, report: Report) -> Chart:
    try:
        return make(report)
    except Exception as error:  # a chart that fails does not prevent the page
        log.warning("chart %r failed: %s", title, place(error))
        return Chart("", title, "", "", f"could not be rendered: {type(error).__name__}")


# ----------------------------------------------------------------------------------------------- the charts


def latency_quality(report: Report) -> Chart:
    """One point a model: median latency of usable replies, quality with its interval."""
    title = "Latency against quality"
    points = [
        (clean(model["info"]["name"], 24), stats["p50_latency_ms"], stats["quality"], stats["quality_ci"])
        for model in report.models.values()
        if (stats := model["stats"])["p50_latency_ms"] is not None and stats["quality"] is not None
    ]
    if not points:
        return Chart("latency-quality", title, "", "", "no model gave a usable reply")
    with _figure() as (figure, axes):
        axes.set_ylim(-0.03, 1.08)
        axes.set_xlim(0, max(latency for _, latency, _, _ in points) * 1.45)
        axes.set_xlabel("median ms per reply (left is faster)")
        axes.set_ylabel("share of checks passed")
        figure.draw_without_rendering()  # fixes the layout, so that places can be compared
        taken = [_point(axes, latency, quality, ends) for _, latency, quality, ends in points]
        for name, latency, quality, _ in points:
            _name(axes, name, latency, quality, taken)
        svg = _svg(figure, "latency-quality", title)
    caption = "Each point is a model: up and to the left is better. Bars are 95 % intervals."
    return Chart("latency-quality", title, caption, svg)


def _point(axes: Axes, latency: float, quality: float, ends: list[float] | None) -> Box:
    """Draw a point and its interval; the room that the point takes."""
    if ends:
        low, high = max(0.0, ends[0]), min(1.0, ends[1])
        axes.plot([latency, latency], [low, high], color=_FIRST, linewidth=1.6, alpha=0.45)
    axes.plot([latency], [quality], "o", color=_FIRST, markersize=8)
    x, y = (float(value) for value in axes.transData.transform((latency, quality)))
    return (x - 5, y - 5, x + 5, y + 5)


def _name(axes: Axes, name: str, latency: float, quality: float, taken: list[Box]) -> None:
    """Write a name beside its point: right above, right below, left above or left below, where it is free."""
    x, y = (float(value) for value in axes.transData.transform((latency, quality)))
    width, height = 6.4 * len(name), 11.0  # points, roughly; only to keep names apart
    for side, up in ((1, 4), (1, -13), (-1, 4), (-1, -13), (1, 18), (1, -27)):
        left = x + 9 if side > 0 else x - 9 - width
        box = (left, y + up, left + width, y + up + height)
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            break
    taken.append(box)
    align: Literal["left", "right"] = "left" if side > 0 else "right"
    axes.annotate(name, (latency, quality), xytext=(9 * side, up), textcoords="offset points", ha=align, color=_INK)


def coverage_curve(report: Report) -> Chart:
    """Coverage of the first k templates, in-sample and held out, for every k that was measured."""
    title = "Coverage against number of templates"
    if not report.curve:
        return Chart("coverage", title, "", "", "the mining stored no curve")
    counts = [float(point["templates"]) for point in report.curve]
    seen = [_share(point.get("in_sample")) for point in report.curve]
    unseen = [_share(point.get("held_out")) for point in report.curve]
    with _figure() as (figure, axes):
        axes.plot(counts, seen, color=_SECOND, linewidth=2, linestyle=(0, (4, 2)))
        axes.plot(counts, unseen, color=_FIRST, linewidth=2.4)
        _label(axes, counts, seen, "mined messages (in-sample)", _SECOND)
        _label(axes, counts, unseen, "later messages (held out)", _FIRST, above=not _below(unseen, seen))
        top = max([value for value in (*seen, *unseen) if not math.isnan(value)], default=1.0)
        axes.set_ylim(0, max(top * 1.25, 1.0))
        axes.set_xlim(0, max(counts) * 1.02)
        axes.set_xlabel("templates")
        axes.set_ylabel("coverage, %")
        svg = _svg(figure, "coverage", title)
    caption = "Only the solid line is about messages that the templates were not mined from."
    return Chart("coverage", title, caption, svg)


def _share(value: Any) -> float:
    return float("nan") if value is None else 100 * float(value)


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


# -------------------------------------------------------------------------------------------------- drawing


@contextmanager
def _figure() -> Iterator[tuple[Figure, Axes]]:
    """A figure of its own style, without a window system and without the state of pyplot."""
    # matplotlib wants a folder for its list of fonts; a child process may have no writable home.
    if not os.environ.get("MPLCONFIGDIR") and not os.access(Path.home(), os.W_OK):
        os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="jarvisd-matplotlib-")
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, dpi=72, layout="constrained")
        FigureCanvasSVG(figure)
        yield figure, figure.add_subplot()


def _svg(figure: Figure, name: str, title: str) -> str:
    out = io.StringIO()
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(out.getvalue(), name, title)


def _themed(svg: str, name: str, title: str) -> str:
    """The bare <svg> element: theme colours, presentation attributes for styles, ids of its own, a title."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r' style="([^"]*)"', lambda found: _attributes(found[1]), svg)
    # Only the viewBox gives the size, so that the page can scale it.
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", svg)
    opening = f'<svg role="img" aria-labelledby="{name}-title" stroke-linejoin="round"'
    svg = re.sub(r"^<svg", opening, svg)
    return re.sub(r"^(<svg[^>]*>)", rf'\1<title id="{name}-title">{title}</title>', svg)


def _attributes(style: str) -> str:
    """A style as presentation attributes, which a strict policy allows, and classes for colours."""
    out, classes = "", []
    for part in style.split(";"):
        key, _, value = (piece.strip() for piece in part.partition(":"))
        if key == "font":  # the page has its own; only the size is kept
            key, value = "font-size", (re.findall(r"([\d.]+)px", value) or ["10"])[0]
        if key in ("fill", "stroke") and value in _COLOURS:
            name, value = _COLOURS[value]
            classes.append(f"{key}-{name}")
        if key and '"' not in value:
            out += f' {key}="{value}"'
    return out + (f' class="{" ".join(classes)}"' if classes else "")
