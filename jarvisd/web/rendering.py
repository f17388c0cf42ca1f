"""Templates into pages. Every value is cleaned and escaped: names, replies and logs hold what strangers wrote."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from jarvisd.words import counted

#: The templates that every room can use.
TEMPLATES = Path(__file__).parent / "templates"
#: Sequences that move a terminal's cursor or colour its text.
_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
#: Control characters but tab and line break, and characters that change the direction of the text after them.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]")


def clean(value: Any) -> Any:
    """Text without terminal sequences, control characters and changes of direction; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isprintable() and not _HIDDEN.search(value)):
        return value
    return _HIDDEN.sub("", _ANSI.sub("", value.replace("\r\n", "\n")))


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
