"""The local page's addresses of the style and the script of a report's first screen."""

from __future__ import annotations

from pathlib import Path

from jarvisd.web.pages import File, Request, Room, get
from jobs.report import on_page


def style(_request: Request) -> File:
    return File(on_page.style(), "text/css")


def script(_request: Request) -> File:
    return File(on_page.script(), "text/javascript")


WEB = Room(
    name="report",
    title="",
    templates=Path(__file__).parent / "formats",
    routes=(get("style.css", style), get("script.js", script)),
)
