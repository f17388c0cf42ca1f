"""The local page's addresses of a report: report.html as it is, and the style and script of its first screen."""

from __future__ import annotations

from pathlib import Path

from jarvisd.operations import lookup
from jarvisd.plugin import JarvisError
from jarvisd.web.pages import File, Request, Room, get
from jobs.report import on_page


def whole(request: Request) -> File:
    """report.html of a run, under its own policy: the page's would stop its style and script."""
    run = lookup.find_run(request.values["run"])
    try:
        content = (request.home.run_folder(run.id) / "report.html").read_bytes()
    except FileNotFoundError:
        raise JarvisError(f"{run.id} has no report.html", f"`jarvisctl report {run.id} --again` writes it.") from None
    return File(content, "text/html", policy=on_page.policy(content.decode(errors="replace")))


def style(_request: Request) -> File:
    return File(on_page.style(), "text/css")


def script(_request: Request) -> File:
    return File(on_page.script(), "text/javascript")


WEB = Room(
    name="report",
    title="",
    templates=Path(__file__).parent / "formats",
    routes=(get("run/{run}", whole), get("style.css", style), get("script.js", script)),
)
