"""How a chart becomes an SVG that follows the page's theme: a class for each colour, the colour itself without a page.

Whatever is written into a chart is untrusted: cleaned before, never read as mathematics, and escaped by matplotlib.
"""

from __future__ import annotations

import io
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What matplotlib draws with -> the class that the page colours it by, and the colour where there is no page.
INK, SOFT, LINE, FIRST, SECOND = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
_COLOURS = {
    INK: ("ink", "#1b2126"),
    SOFT: ("soft", "#5a646d"),
    LINE: ("line", "#e0ded7"),
    FIRST: ("first", "#1a6b58"),
    SECOND: ("second", "#a8541f"),
}
#: Left, bottom, right, top, in points.
Box = tuple[float, float, float, float]

SIZE = (4.5, 3.0)  # inches: 430 CSS pixels wide, so that letters stay readable on a phone
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jarvisd",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "grid.color": LINE,
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


@contextmanager
def figure(size: tuple[float, float] = SIZE) -> Iterator[tuple[Figure, Axes]]:
    """A figure of its own style, without a window system and without the state of pyplot."""
    # matplotlib wants a folder for its list of fonts; a child process may have no writable home.
    if not os.environ.get("MPLCONFIGDIR") and not os.access(Path.home(), os.W_OK):
        os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="jarvisd-matplotlib-")
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        made = Figure(figsize=size, dpi=72, layout="constrained")
        FigureCanvasSVG(made)
        yield made, made.add_subplot()


def svg(drawn: Figure, name: str, title: str) -> str:
    out = io.StringIO()
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    drawn.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _themed(out.getvalue(), name, title)


def _themed(text: str, name: str, title: str) -> str:
    """The bare <svg> element: theme colours, presentation attributes for styles, ids of its own, a title."""
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r' style="([^"]*)"', lambda match: _attributes(match[1]), text)
    # Only the viewBox gives the size, so that the page can scale it.
    text = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", text)
    text = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", text)
    opening = f'<svg role="img" aria-labelledby="{name}-title" stroke-linejoin="round"'
    text = re.sub(r"^<svg", opening, text)
    return re.sub(r"^(<svg[^>]*>)", rf'\1<title id="{name}-title">{title}</title>', text)


def _attributes(style: str) -> str:
    """A style as presentation attributes, which a strict policy allows, and classes for colours."""
    out, classes = "", []
    for part in style.split(";"):
        key, _, value = (side.strip() for side in part.partition(":"))
        if key == "font":  # the page has its own; only the size is kept
            key, value = "font-size", (re.findall(r"([\d.]+)px", value) or ["10"])[0]
        if key in ("fill", "stroke") and value in _COLOURS:
            name, value = _COLOURS[value]
            classes.append(f"{key}-{name}")
        if key and '"' not in value:
            out += f' {key}="{value}"'
    return out + (f' class="{" ".join(classes)}"' if classes else "")
