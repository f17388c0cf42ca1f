"""Write the files of a run's report. It reads only the database, so it can be called at any time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home
from jobs.lib.comparison import document as comparison_document
from jobs.report import charts
from jobs.report.charts.svg import Chart
from jobs.report.formats import csv_export, markdown
from jobs.report.gather import Report, gather, place

log = logging.getLogger(__name__)

Publish = Callable[[str, str], Path]  #: name, text -> the file, replaced atomically


def render(run_id: str, home: Home, publish: Publish) -> list[str]:
    """Charts, report.html, the JSON and CSV files and, last, REPORT.md. Returns what could not be rendered.

    Raises JarvisError for a run that does not exist, and OSError when a file cannot be written.
    """
    return write(gather(run_id, home), publish)


def write(report: Report, publish: Publish) -> list[str]:
    """The same of a report that was gathered already."""
    problems = list(report.problems)
    drawn = charts.draw(report)
    problems += [f"{chart.title}: {chart.missing}" for chart in drawn if chart.missing]
    for chart in drawn:
        if chart.svg:
            publish(f"{chart.name}.svg", _standalone(chart.svg))
    problems += _publish_page(report, drawn, publish)
    for name, document in documents(report).items():
        publish(name, as_json(document))
    problems += _publish_sheets(report, publish)
    publish("REPORT.md", markdown.compose(report))
    return problems


def _standalone(svg: str) -> str:
    """An SVG file of its own; inside a page the prolog would be wrong."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg}\n'


def _publish_page(report: Report, drawn: list[Chart], publish: Publish) -> list[str]:
    try:
        from jobs.report.formats import html_page

        text = html_page.compose(report, drawn)
    except Exception as error:  # REPORT.md says the same, so a page that fails does not cost the report
        log.warning("report.html failed: %s", place(error))
        return [f"report.html: could not be rendered: {type(error).__name__}"]
    publish("report.html", text)
    return []


def _publish_sheets(report: Report, publish: Publish) -> list[str]:
    try:
        found = csv_export.files(report)
    except Exception as error:  # the JSON documents hold the same, so it does not cost the report
        log.warning("the CSV files failed: %s", place(error))
        return [f"CSV files: could not be rendered: {type(error).__name__}"]
    for name, text in found.items():
        publish(name, text)
    return []


def documents(report: Report) -> dict[str, Mapping[str, Any]]:
    """File name -> content, for the parts that the plan asked for; an empty document says why it is empty."""
    found: dict[str, Mapping[str, Any]] = {}
    if report.templates is not None:
        found["templates.json"] = report.templates
    elif "mine" in report.sections:
        found["templates.json"] = {"stats": _nothing(report, "mine"), "templates": [], "config": {}}
    if report.comparison is not None:
        found["mlx_comparison_results.json"] = report.comparison
    elif "evaluate" in report.sections:
        empty: dict[str, Any] = {
            "winner": None,
            "tied": [],
            "why": "No model gave replies, so there is nothing to compare.",
        }
        found["mlx_comparison_results.json"] = {
            "timestamp": report.created_at.astimezone().isoformat(timespec="seconds"),
            "scenarios": [],
            "models": {},
            "verdict": empty,
        }
    return found


def _nothing(report: Report, kind: str) -> dict[str, Any]:
    reasons = [job.reason or job.status for job in report.jobs if job.kind == kind]
    return {"total_messages": None, "templates_extracted": 0, "coverage": None, "missing": "; ".join(reasons)}


def as_json(document: Any) -> str:
    return json.dumps(comparison_document.plain(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
