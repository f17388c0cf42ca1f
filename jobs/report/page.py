"""REPORT.md: the whole report as Markdown, section by section, in the order in which a person decides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.report import figures, mined, prose
from jobs.report.figures import Said
from jobs.report.gather import Report, place
from jobs.report.text import clean, fenced, inline, quoted, table

log = logging.getLogger(__name__)

Section = Callable[[Report], str]  #: "" leaves the section out


def compose(report: Report) -> str:
    """REPORT.md. A section that fails says so and costs none of the others."""
    parts = [f"# {inline(report.title, 200)}: {inline(prose.headline(report), 300)}"]
    parts += [_attempt(heading, make, report) for heading, make in SECTIONS]
    return "\n\n".join(part for part in parts if part) + "\n"


def _attempt(heading: str, make: Section, report: Report) -> str:
    try:
        body = make(report)
    except Exception as error:  # one section never prevents the page
        log.warning("section %r failed: %s", heading, place(error))
        body = f"This section could not be rendered: {type(error).__name__}"
    if not body:
        return ""
    return f"## {heading}\n\n{body}" if heading else body


def _cells(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Cells that are plain text, escaped."""
    return [[inline(cell) for cell in row] for row in rows]


def opening(report: Report) -> str:
    """Verdict, then one line on which run this is."""
    about = (
        f"Run {inline(report.run_id)}, plan {inline(report.plan)}, night of {inline(report.night)}. "
        f"Files and log: {inline(report.folder)}"
    )
    return f"{prose.verdict(report)}\n\n{about}"


def night(report: Report) -> str:
    """The jobs as a table, and what was said when the run was submitted."""
    if not report.jobs:
        return "This run has no jobs besides its report."
    rows = _cells([figures.job_cells(job) for job in report.jobs])
    text = table(["Job", "Status", "Duration", "Peak memory", "Reason"], rows, right=(2, 3))
    if report.warnings:
        text += "\n\nSaid at submission:\n\n" + "\n".join(f"- {inline(warning)}" for warning in report.warnings)
    if report.problems:
        text += "\n\nMissing on this page:\n\n" + "\n".join(f"- {inline(what)}" for what in report.problems)
    return text


def templates(report: Report) -> str:
    """Coverage with its definitions, what may be sent, the rivals, the patterns by frequency, what was left out."""
    if report.templates is None:
        return "No templates were mined in this run." if "mine" in report.sections else ""
    parts = [table(["Coverage", "Value", "What it means"], _cells(figures.coverage_rows(report)))]
    parts += [inline(line) for line in (mined.drift_line(report),) if line]
    parts += [*_tiers(report), *_rivals(report), *_patterns(report)]
    left = report.templates["stats"].get("left_out") or {}
    if left:
        reasons = [f"- {inline(why)}: {number:,}" for why, number in left.items()]
        parts.append("Left out, never a template:\n\n" + "\n".join(reasons))
    if refused := report.templates["stats"].get("refused"):
        reasons = [f"- {inline(why)}: {number:,}" for why, number in refused.items()]
        parts.append("Messages refused as a template:\n\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def _tiers(report: Report) -> list[str]:
    """Which templates may be sent, how sure that is, and on what they fire."""
    rows = mined.tier_rows(report)
    if not rows:
        return []
    parts = ["### Which may be sent", inline(mined.verdict(report))]
    parts.append(table(mined.TIER_HEADER, _cells(rows), right=(1,)))
    found = mined.sendable(report)
    if found:
        cells = [[one["reply"], one["tier"], one["right"], one["triggers"]] for one in found]
        parts.append(table(["Reply", "Tier", "Measured", "Fires on messages like"], _cells(cells)))
    return parts


def _rivals(report: Report) -> list[str]:
    """The mined templates beside what they have to beat."""
    parts = []
    if rows := mined.rival_rows(report):
        parts += ["### Against simpler ways", table(mined.RIVAL_HEADER, _cells(rows))]
        parts += [inline(line) for line in (mined.duel_line(report),) if line]
    if line := mined.manual_line(report):
        parts.append(inline(line))
    if rows := mined.manual_rows(report):
        parts.append(table(mined.MANUAL_HEADER, _cells(rows), right=(3,)))
    return parts


def _patterns(report: Report) -> list[str]:
    """The templates by frequency, phrases among them."""
    found = figures.template_lines(report)
    if not found or report.templates is None:
        return ["No message was frequent enough to become a template."]
    total = len(report.templates["templates"])
    return [
        f"The {len(found)} most frequent of {total}; *uses* counts the mined messages of yours within "
        f"{inline(figures.similarity(report))} of the text; a *phrase* is shown, never sent:",
        fenced(_pattern(template) for template in found),
    ]


def _pattern(template: Mapping[str, Any]) -> str:
    """[281 uses] "Bro"   34 people, suggest"""
    people = f", {template['people']} people" if template.get("people") else ""
    right = f", right in {template['right']} of {template['fired']}" if template.get("fired") else ""
    tier = clean(template.get("tier"), 40)
    return f"[{template['frequency']} uses] {quoted(template['representative'], 160)}  ({tier}{people}{right})"


def old_and_new(report: Report) -> str:
    """What was known before this run beside what it measured."""
    if not any(kind in report.sections for kind in ("mine", "evaluate")):
        return ""
    rows = _cells([[row.what, row.before, row.now, row.note] for row in figures.contrasts(report)])
    return table(["", "Before", "This run", "Mind"], rows)


def models(report: Report) -> str:
    """One line a model, and the differences that the verdict rests on."""
    if not report.models:
        return "No model was loaded in this run." if "evaluate" in report.sections else ""
    rows = _cells([figures.model_cells(model) for model in report.models.values()])
    text = table(figures.MODEL_HEADER, rows, right=range(3, 8))
    return (
        f"{text}\n\nQuality is the share of the yes/no checks that a reply passes; a failed reply "
        "counts 0. Speed is measured over the usable replies."
    )


def replies(report: Report) -> str:
    """What every model said, prompt by prompt."""
    found = figures.scenes(report)
    if not found:
        return ""
    width = max(len(said.model) for scene in found for part in scene.exchanges for said in part.replies) + 1
    blocks = []
    for scene in found:
        lines = [f"Scenario: {quoted(scene.context)}"]
        for exchange in scene.exchanges:
            lines += ["", exchange.instruction, *(_spoken(said, width) for said in exchange.replies)]
        blocks.append(fenced(lines))
    return "\n\n".join(blocks)


def _spoken(said: Said, width: int) -> str:
    """SmolLM3-3B:   "All good, take your time!" (1100ms)"""
    start = f"{said.model}:".ljust(width)
    time = f" ({said.latency_ms:.0f}ms)" if said.latency_ms is not None else ""
    if said.failure:
        text = f' "{said.reply}"' if said.reply else ""
        return f"{start} failed: {said.failure}{text}{time}"
    return f'{start} "{said.reply}"{time}'


def failures(report: Report) -> str:
    """What did not work, and the command that mends it."""
    again = [job for job in report.jobs if job.remedy]
    if not again:
        return ""
    return "\n".join(
        f"- **{inline(job.name, 80)}** {inline(job.status)}: {inline(job.reason) or 'no reason was stored'}"
        f"  \n  To run it again: `{job.remedy}`"
        for job in again
    )


def design(report: Report) -> str:
    """The hybrid pipeline, where there is something to build it from."""
    return prose.system_design(report) if report.templates or report.models else ""


def deployment(report: Report) -> str:
    return prose.recommendation(report) if report.templates or report.models else ""


def appendix(report: Report) -> str:
    """How each figure was measured, and on what."""
    parts = [table(["Figure", "Measured"], _cells(figures.method_rows(report)))]
    setting = figures.setting_rows(report)
    if setting:
        parts.append(table(["Setting", "Value"], _cells(setting)))
    return "\n\n".join(parts)


SECTIONS: tuple[tuple[str, Section], ...] = (
    ("", opening),
    ("The night", night),
    ("Templates", templates),
    ("Old and new", old_and_new),
    ("Models", models),
    ("Replies side by side", replies),
    ("What failed", failures),
    ("System design", design),
    ("Deployment", deployment),
    ("This morning", prose.checklist),
    ("Next steps", prose.next_steps),
    ("Appendix: how it was measured", appendix),
)
