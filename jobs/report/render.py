"""Write the files of a run's report. It reads only the database, so it can be called at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home
from jobs.lib.comparison import document as comparison_document
from jobs.lib.comparison.document import Verdict
from jobs.lib.comparison.pipeline import Comparison
from jobs.report import charts, redact
from jobs.report.attempt import attempt
from jobs.report.charts.svg import Chart
from jobs.report.formats import csv_export, markdown
from jobs.report.gather import Report, gather

Publish = Callable[[str, str], Path]  #: name, text -> the file, replaced atomically


def render(run_id: str, home: Home, publish: Publish, comparison: Comparison | None = None) -> list[str]:
    """Charts, report.html, the JSON and CSV files and, last, REPORT.md. Returns what could not be rendered.

    `comparison` is that of the run, where the caller has it. Raises JarvisError for a run that does not exist, and
    OSError when a file cannot be written.
    """
    return write(gather(run_id, home, comparison), publish)


def redacted(run_id: str, home: Home) -> Report:
    """Everything of the run without any text of a message, a reply or a prompt; see `redact`."""
    return redact.Redaction().report(gather(run_id, home))


def pages(report: Report) -> dict[str, str]:
    """report.html and REPORT.md of a report, by name, without the files that lie beside them."""
    problems: list[str] = []
    page = attempt(
        "report.html", partial(_page, report, charts.draw(report)), partial(_failed, "report.html", problems)
    )
    return {**page, "REPORT.md": markdown.compose(report)}


def write(report: Report, publish: Publish) -> list[str]:
    """The same of a report that was gathered already."""
    problems = list(report.problems)
    drawn = charts.draw(report)
    problems += [f"{chart.title}: {chart.missing}" for chart in drawn if chart.missing]
    for chart in drawn:
        if chart.svg:
            publish(f"{chart.name}.svg", _standalone(chart.svg))
    for part, make in (
        ("report.html", partial(_page, report, drawn)),
        ("CSV files", partial(csv_export.files, report)),
    ):
        for name, text in attempt(part, make, partial(_failed, part, problems)).items():
            publish(name, text)
    for name, document in documents(report).items():
        publish(name, as_json(document))
    publish("REPORT.md", markdown.compose(report))
    return problems


def _page(report: Report, drawn: list[Chart]) -> dict[str, str]:
    from jobs.report.formats import html_page  # late: an error of its templates costs only the page

    return {"report.html": html_page.compose(report, drawn)}


def _failed(part: str, problems: list[str], error: Exception) -> dict[str, str]:
    """No files; REPORT.md and the JSON documents say the same."""
    problems.append(f"{part}: could not be rendered: {type(error).__name__}")
    return {}


def _standalone(svg: str) -> str:
    """An SVG file of its own; inside a page the prolog would be wrong."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg}\n'


def documents(report: Report) -> dict[str, Mapping[str, Any]]:
    """File name -> content, for the parts that the plan asked for; an empty document says why it is empty."""
    files: dict[str, Mapping[str, Any]] = {}
    if report.templates is not None:
        files["templates.json"] = report.templates
    elif "mine" in report.sections:
        files["templates.json"] = {"stats": _nothing(report, "mine"), "templates": [], "config": {}}
    if report.comparison is not None:
        files["mlx_comparison_results.json"] = report.comparison.as_json()
    elif "evaluate" in report.sections:
        files["mlx_comparison_results.json"] = {
            "timestamp": report.created_at,
            "scenarios": [],
            "models": {},
            "verdict": Verdict(),
        }
    return files


def _nothing(report: Report, kind: str) -> dict[str, Any]:
    reasons = [job.reason or job.status for job in report.jobs if job.kind == kind]
    return {"total_messages": None, "templates_extracted": 0, "coverage": None, "missing": "; ".join(reasons)}


def as_json(document: Any) -> str:
    return json.dumps(comparison_document.plain(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
