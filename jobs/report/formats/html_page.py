"""report.html: one file that opens from disk, without network, in light and dark; its script is an extra."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import jinja2
import markdown
import nh3
from markupsafe import Markup

from jobs.report.attempt import attempt
from jobs.report.charts.svg import Chart
from jobs.report.diff import Changes
from jobs.report.escape import clean, duration, milliseconds, percent
from jobs.report.first_screen.compose import first_screen
from jobs.report.first_screen.data import FirstScreen
from jobs.report.formats.markdown import SPEED_NOTE
from jobs.report.gather import Report
from jobs.report.rows import changes as change_rows
from jobs.report.rows import metrics as metric_rows
from jobs.report.rows import models as model_rows
from jobs.report.rows import pairs as pair_rows
from jobs.report.rows import replies as reply_rows
from jobs.report.rows import reviews as review_rows
from jobs.report.rows import run as run_rows
from jobs.report.rows import sentences
from jobs.report.rows import templates as template_rows
from jobs.report.rows import votes as vote_rows

Part = TypeVar("Part")

_FOLDER = Path(__file__).parent
#: What prose may contain after Markdown: no links, no images, no attributes.
_TAGS = {"p", "ul", "ol", "li", "strong", "em", "code", "pre", "br", "h3", "blockquote"}


def to_html(text: str) -> Markup:
    """Markdown to HTML that holds only the allowed tags, without any attribute."""
    raw = markdown.markdown(text, extensions=["sane_lists"], output_format="html").replace(" %", "\u00a0%")
    return Markup(nh3.clean(raw, tags=_TAGS, attributes={}))  # noqa: S704 - sanitised just now


def compose(report: Report, charts: Sequence[Chart]) -> str:
    """The page. A part that fails shows its error's type in its place."""
    parts = {name: attempt(f"part {name} of the page", partial(make, report), Failed) for name, make in _PARTS.items()}
    style, script = (_read(f"first_screen.{kind}", f"page.{kind}") for kind in ("css", "js"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            parts=parts,
            charts=[(chart, Markup(chart.svg)) for chart in charts],  # noqa: S704 - drawn by matplotlib, which escapes
            style=Markup(style),  # noqa: S704 - a file of ours
            style_hash=_hash(style),
            script=Markup(script),  # noqa: S704 - a file of ours
            script_hash=_hash(script),
            headers=_HEADERS | {"models": model_rows.header(report), "memory": model_rows.memory_header(report)},
            numeric={"models": model_rows.NUMERIC},
            reference_mark=model_rows.REFERENCE_MARK,
            heat_note=attempt("the heat map", partial(reply_rows.heat_note, report), lambda _: reply_rows.HEAT_NOTE),
            screen=attempt("the first screen", partial(first_screen, report), Failed),
            tiles=attempt("the figures of the page", partial(tiles, report), Failed),
        )
    )


def first_screen_html(screen: FirstScreen) -> str:
    """The first screen alone, to be put into a page that has first_screen.css and first_screen.js."""
    return _environment().get_template("first_screen.html").render(screen=screen)


def _read(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text() for name in names)


def _hash(text: str) -> str:
    """What a policy names an inline style or script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def joined(text: str) -> str:
    """The text with spaces that do not break within a range and between a number and its unit."""
    return re.sub(r" to |(?<=\d) (?=[a-z%])", lambda space: space[0].replace(" ", "\u00a0"), text)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clean": clean,
        "prose": to_html,
        "joined": joined,
        "percent": percent,
        "ms": milliseconds,
        "duration": duration,
    }
    return environment


class Failed:
    """Stands for a part that could not be rendered."""

    def __init__(self, error: Exception) -> None:
        self.failed = type(error).__name__


def _checks(report: Report) -> list[str]:
    return [line.removeprefix("- [ ] ") for line in sentences.checklist(report).splitlines()]


def _model_rows(report: Report) -> list[tuple[list[str], list[str]]]:
    """Cells and marks of each model; a row that is no model is marked as such."""
    marks = [model_rows.marks(report, key, model) for key, model in model_rows.in_order(report)]
    rows = model_rows.rows(report)
    return list(zip(rows, [*marks, *([row[-1]] for row in rows[len(marks) :])], strict=True))


def _standing(report: Report) -> list[str]:
    return [*model_rows.standing_notes(report), SPEED_NOTE]


def _since(make: Callable[[Changes, Callable[[str], str]], Part]) -> Callable[[Report], Part | None]:
    """A part about what changed; nothing where there is no earlier run."""
    return lambda report: make(report.changes, partial(model_rows.name, report)) if report.changes else None


_HEADERS = {
    "metrics": metric_rows.METRIC_HEADER,
    "references": metric_rows.REFERENCE_HEADER,
    "speed": model_rows.SPEED_HEADER,
    "pairs": pair_rows.PAIR_HEADER,
    "groups": pair_rows.GROUP_HEADER,
    "ratings": vote_rows.RATING_HEADER,
    "figures": change_rows.figure_header(),
    "prompts": change_rows.PROMPT_HEADER,
    "changed_templates": change_rows.TEMPLATE_HEADER,
    "would_answer": review_rows.HEADER,
    "tiers": template_rows.TIER_HEADER,
    "rivals": template_rows.RIVAL_HEADER,
    "manual": template_rows.MANUAL_HEADER,
}

#: What the page shows, by the name in page.html. Prose comes sanitised, all else is escaped there.
_PARTS: dict[str, Callable[[Report], object]] = {
    "jobs": lambda report: [run_rows.job_cells(job) for job in report.jobs],
    "lead": lambda report: to_html(" ".join(review_rows.lead(report))),
    "would_answer": review_rows.rows,
    "coverage": lambda report: [*run_rows.coverage_rows(report), *review_rows.literal_row(report)],
    "drift": template_rows.drift_line,
    "sending": template_rows.verdict,
    "tiers": template_rows.tier_rows,
    "sendable": template_rows.sendable,
    "rivals": template_rows.rival_rows,
    "duels": template_rows.duel_line,
    "manual": template_rows.manual_line,
    "manual_rows": template_rows.manual_rows,
    "templates": run_rows.template_lines,
    "similarity": run_rows.similarity,
    "contrasts": run_rows.contrasts,
    "models": _model_rows,
    "standing": _standing,
    "measures": metric_rows.measure_notes,
    "metrics": metric_rows.metric_rows,
    "metric_notes": metric_rows.metric_notes,
    "references": metric_rows.reference_rows,
    "heat_header": reply_rows.heat_header,
    "heat": reply_rows.heat_rows,
    "turn_notes": reply_rows.turn_notes,
    "turns": reply_rows.turns,
    "votes": vote_rows.notes,
    "invitation": vote_rows.invitation,
    "matrix_header": vote_rows.matrix_header,
    "matrix": vote_rows.matrix_rows,
    "ratings": vote_rows.rating_rows,
    "memory": model_rows.memory_rows,
    "speed": model_rows.speed_rows,
    "pairs": pair_rows.pair_rows,
    "details": pair_rows.details,
    "groups": pair_rows.group_rows,
    "group_notes": pair_rows.group_notes,
    "changes": _since(change_rows.summary),
    "changed_figures": _since(change_rows.figure_rows),
    "changed_templates": _since(change_rows.template_rows),
    "changed_prompts": _since(change_rows.prompt_rows),
    "prompts": run_rows.prompt_lines,
    "design": lambda report: to_html(sentences.system_design(report)),
    "deployment": lambda report: to_html(sentences.recommendation(report)),
    "checks": _checks,
    "next_steps": lambda report: to_html(sentences.next_steps(report)),
    "methods": run_rows.method_rows,
    "settings": run_rows.setting_rows,
}


def _time_tile(report: Report) -> tuple[str, str] | None:
    """The time of the model that the verdict names first; of both sides where it is a conflict."""
    if report.comparison is None:
        return None
    verdict, keys = report.comparison.verdict, []
    if verdict.conflict:
        keys = [verdict.conflict.model, verdict.conflict.rivals[0]]
    elif verdict.pick is not None and not report.models[verdict.pick].fails_gate:
        keys = [verdict.pick]
    elif len(report.models) == 1:
        keys = list(report.models)
    times = [report.models[key].stats.shared_p50_ms for key in keys]
    if not keys or None in times:
        return None
    names = " / ".join(model_rows.name(report, key)[:40] for key in keys)
    return " / ".join(map(model_rows.seconds, times)), f"median reply of {names}"


def tiles(report: Report) -> list[tuple[str, str]]:
    """The few figures on top: (value, what it is)."""
    figures: list[tuple[str, str]] = []
    if report.templates is not None:
        stats = report.templates["stats"]
        number = len(report.templates["templates"])
        if stats.get("coverage") is not None:
            what = f"of {report.whose} later messages resemble one of {number} templates"
            figures.append((percent(stats["coverage"]), what))
        else:
            figures.append((f"{number}", "templates"))
        if tiers := stats.get("tiers"):
            automatic, suggest = (f"{tiers[tier]['templates']}" for tier in template_rows.SENDABLE)
            figures += [(automatic, "templates look safe to send"), (suggest, "templates might be worth suggesting")]
    if tile := _time_tile(report):
        figures.append(tile)
    if report.models:
        complete = sum(model.stats.successes for model in report.models.values())
        total = sum(model.stats.total_tests for model in report.models.values())
        figures.append((f"{complete} / {total}", "replies complete"))
    done = sum(job.status == "succeeded" for job in report.jobs)
    figures.append((f"{done} / {len(report.jobs)}", "jobs succeeded"))
    return figures
