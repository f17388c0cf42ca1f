"""Templates into pages. Every value is cleaned and escaped: names, replies and logs hold what strangers wrote."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from jarvisd.words import counted, visible

#: The templates that every room can use.
TEMPLATES = Path(__file__).parent / "templates"


def clean(value: Any) -> Any:
    """Text as `visible` leaves it; anything else as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment(folder: Path) -> jinja2.Environment:
    """The templates of a room; "base.html" and the other shared ones are found behind them."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["counted"] = counted
    return made


def page(folder: Path, template: str, data: dict[str, Any]) -> str:
    return environment(folder).get_template(template).render(data)


def static(name: str) -> bytes:
    """The stylesheet or the script."""
    return (TEMPLATES.parent / "static" / name).read_bytes()


def cleaned(value: Any) -> Any:
    """The value with every text in it cleaned, for the script."""
    if isinstance(value, dict):
        return {name: cleaned(each) for name, each in value.items()}
    return [cleaned(each) for each in value] if isinstance(value, list) else clean(value)
