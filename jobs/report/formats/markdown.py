"""REPORT.md: the whole report as Markdown, section by section, in the order in which a person decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from jobs.report.attempt import attempt
from jobs.report.charts import models as model_charts
from jobs.report.escape import clean, fenced, inline, megabytes, quoted, table
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
from jobs.report.rows.replies import PromptBlock, ReplyCell

Section = Callable[[Report], str]  #: "" leaves the section out


def compose(report: Report) -> str:
    """REPORT.md. A section that fails says so and costs none of the others."""
    parts = [f"# {inline(report.title, 200)}: {inline(sentences.headline(report), 300)}"]
    parts += [_section(heading, make, report) for heading, make in SECTIONS]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(heading: str, make: Section, report: Report) -> str:
    """A section under its heading; one sentence in its place where it fails."""

    def failed(error: Exception) -> str:
        return f"This section could not be rendered: {type(error).__name__}"

    body = attempt(f"section {heading!r}", partial(make, report), failed)
    return f"## {heading}\n\n{body}" if heading and body else body


def _cells(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Cells that are plain text, escaped."""
    return [[inline(cell) for cell in row] for row in rows]


def opening(report: Report) -> str:
    """Verdict, then one line on which run this is."""
    about = (
        f"Run {inline(report.run_id)}, plan {inline(report.plan)}, night of {inline(report.night)}. "
        f"Files and log: {inline(report.folder)}"
    )
    paragraphs = [sentences.verdict(report), sentences.on_demo_data(report), about]
    return "\n\n".join(part for part in paragraphs if part)


def templates(report: Report) -> str:
    """What could be answered and what to review; what may be sent, the rivals, the patterns; last, the coverage."""
    if report.templates is None:
        return "No templates were mined in this run." if "mine" in report.sections else ""
    parts = ["### What could be answered", " ".join(review_rows.lead(report))]
    if rows := review_rows.rows(report):
        parts.append(table(review_rows.HEADER, _cells(rows), right=(1,)))
    parts += [*_tiers(report), *_rivals(report), *_patterns(report), *_left_out(report), *_coverage(report)]
    return "\n\n".join(parts)


def _coverage(report: Report) -> list[str]:
    """Coverage by each definition, the old ones among them."""
    rows = [*run_rows.coverage_rows(report), *review_rows.literal_row(report)]
    drift = [inline(line) for line in (template_rows.drift_line(report),) if line]
    return ["### Coverage, by each definition", table(["Coverage", "Value", "What it means"], _cells(rows)), *drift]


def _left_out(report: Report) -> list[str]:
    """What can never become a template, by reason."""
    parts: list[str] = []
    if report.templates is None:
        return parts
    left = report.templates["stats"].get("left_out") or {}
    if left:
        reasons = [f"- {inline(why)}: {number:,}" for why, number in left.items()]
        parts.append("Left out, never a template:\n\n" + "\n".join(reasons))
    if refused := report.templates["stats"].get("refused"):
        reasons = [f"- {inline(why)}: {number:,}" for why, number in refused.items()]
        parts.append("Messages refused as a template:\n\n" + "\n".join(reasons))
    return parts


def _tiers(report: Report) -> list[str]:
    """Which templates may be sent, how sure that is, and on what they fire."""
    rows = template_rows.tier_rows(report)
    if not rows:
        return []
    parts = ["### What JARVIS could send", inline(template_rows.verdict(report))]
    parts.append(table(template_rows.TIER_HEADER, _cells(rows), right=(1,)))
    templates = template_rows.sendable(report)
    if templates:
        cells = [[one["reply"], one["tier"], one["right"], one["triggers"]] for one in templates]
        parts.append(table(["Reply", "Tier", "Measured", "Fires on messages like"], _cells(cells)))
    return parts


def _rivals(report: Report) -> list[str]:
    """The mined templates beside what they have to beat."""
    parts = []
    if rows := template_rows.rival_rows(report):
        parts += ["### Compared with baselines", table(template_rows.RIVAL_HEADER, _cells(rows))]
        parts += [inline(line) for line in (template_rows.duel_line(report),) if line]
    if line := template_rows.manual_line(report):
        parts.append(inline(line))
    if rows := template_rows.manual_rows(report):
        parts.append(table(template_rows.MANUAL_HEADER, _cells(rows), right=(3,)))
    return parts


def _patterns(report: Report) -> list[str]:
    """The templates by frequency, phrases among them."""
    templates = run_rows.template_lines(report)
    if not templates or report.templates is None:
        return ["No message was frequent enough to become a template."]
    total = len(report.templates["templates"])
    return [
        f"The {len(templates)} most frequent of {total}; *uses* counts the mined messages of yours within "
        f"{inline(run_rows.similarity(report))} of the text; a *phrase* is shown, never sent:",
        fenced(_pattern(template) for template in templates),
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
    rows = _cells([[row.what, row.before, row.now, row.note] for row in run_rows.contrasts(report)])
    return table(["", "Before", "This run", "Caveat"], rows)


def models(report: Report) -> str:
    """One line per model and per reference, and how to read the two measures."""
    if not report.models:
        return "No model was loaded in this run." if "evaluate" in report.sections else ""
    parts = [table(model_rows.header(report), _cells(model_rows.rows(report)), right=model_rows.NUMERIC)]
    parts.append("\n".join(f"- {inline(note)}" for note in metric_rows.measure_notes(report)))
    parts.append(" ".join(map(inline, [*model_rows.standing_notes(report), SPEED_NOTE])))
    return "\n\n".join(parts)


SPEED_NOTE = "Speed is measured over the complete replies that were written one by one."


def trade_off(report: Report) -> str:
    """The frontier of time and quality in words; the chart is a file beside this one."""
    models = model_charts.points(report)
    if not models:
        return ""
    best = model_charts.frontier(models)
    names = ", ".join(f"{inline(point.name)} ({point.seconds:.2f} s, {point.quality:.2f})" for point in best)
    beaten = [inline(point.name) for point in models if point not in best]
    text = (
        f"No other model beats these in both seconds and quality: {names}." if best else "Every model misses a limit."
    )
    return (
        text + (f" Beaten, or missing a limit: {', '.join(beaten)}." if beaten else "") + " Chart: latency-quality.svg."
    )


def heat(report: Report) -> str:
    """Scenario by model."""
    rows = reply_rows.heat_rows(report)
    if not rows:
        return ""
    cells = _cells([[what, *(cell.text for cell in values)] for what, values in rows])
    header = [inline(name) for name in reply_rows.heat_header(report)]
    return f"{reply_rows.heat_note(report)}\n\n{table(header, cells, right=range(1, len(header)))}"


HEAT_NOTE = (
    "Mean share of the checks that all replies of a model to a scenario pass: the general ones times those of the "
    "instruction. A reply that is not complete counts 0."
)


def replies(report: Report) -> str:
    """The replies of every model, prompt by prompt; each text once."""
    scenes = reply_rows.scenes(report)
    blocks = []
    for scene in scenes:
        lines = [f"Scenario: {quoted(scene.context)}"]
        for exchange in scene.exchanges:
            lines += ["", exchange.instruction, *_reply_lines(exchange)]
        blocks.append(fenced(lines))
    blocks += [inline(line) for line in (vote_rows.invitation(report),) if line and scenes]
    return "\n\n".join(blocks)


def _reply_lines(exchange: PromptBlock) -> list[str]:
    """SmolLM3-3B:   "All good, take your time!" (1100ms) ×3"""
    width = max((len(reply.model) for reply in exchange.replies), default=0) + 1
    lines = [_line(reply, width) for reply in exchange.replies]
    return [*lines, f"({exchange.more} further replies that differ: replies.csv)"] if exchange.more else lines


def _line(reply: ReplyCell, width: int) -> str:
    start = f"{reply.model}:".ljust(width)
    time = f" ({reply.latency_ms:.0f}ms)" if reply.latency_ms is not None else ""
    time += f" ×{reply.times}" if reply.times > 1 else ""
    time += f" fails: {', '.join(reply.failed_checks)}" if reply.failed_checks else ""
    if reply.failure:
        text = f' "{reply.reply}"' if reply.reply else ""
        return f"{start} failed: {reply.failure}{text}{time}"
    return f'{start} "{reply.reply}"{time}'


def real_turns(report: Report) -> str:
    """Turns of the owner's history: how many, since when, and a dozen of them."""
    notes = reply_rows.turn_notes(report)
    if not notes:
        return ""
    blocks = [fenced(_turn(turn)) for turn in reply_rows.turns(report)]
    return "\n\n".join([" ".join(map(inline, notes)), *blocks])


def _turn(turn: reply_rows.Turn) -> list[str]:
    texts = [f"In: {quoted(turn.incoming)}", f"YOU REALLY WROTE: {quoted(turn.answer)}", ""]
    return [*texts, *_reply_lines(turn.exchange)]


def votes(report: Report) -> str:
    """The votes: wins of each model against each other one."""
    if vote_rows.votes(report) is None:
        return ""
    parts = [" ".join(map(inline, vote_rows.notes(report)))]
    if rows := vote_rows.matrix_rows(report):
        parts.append(table(map(inline, vote_rows.matrix_header(report)), _cells(rows)))
    if ratings := vote_rows.rating_rows(report):
        parts.append(table(vote_rows.RATING_HEADER, _cells(ratings), right=(1, 2, 3)))
    return "\n\n".join(parts)


def memory(report: Report) -> str:
    """Every model's peak in parts."""
    if not report.models:
        return ""
    budget = f"A model may use {megabytes(report.budget_mb)} by the plan.\n\n" if report.budget_mb else ""
    return budget + table(model_rows.memory_header(report), _cells(model_rows.memory_rows(report)), right=range(1, 6))


def night(report: Report) -> str:
    """The jobs as a table, and what was said when the run was submitted."""
    if not report.jobs:
        return "This run has no jobs besides its report."
    rows = _cells([run_rows.job_cells(job) for job in report.jobs])
    text = table(["Job", "Status", "Duration", "Peak memory", "Reason"], rows, right=(2, 3))
    if report.warnings:
        text += "\n\nWarnings at submission:\n\n" + "\n".join(f"- {inline(warning)}" for warning in report.warnings)
    if report.problems:
        text += "\n\nMissing on this page:\n\n" + "\n".join(f"- {inline(what)}" for what in report.problems)
    return text


def failures(report: Report) -> str:
    """What did not work, by cause, and the one command that mends it."""
    lines = [
        f"- **{', '.join(map(inline, cause.jobs))}** {inline(cause.status)}: {inline(cause.what)}"
        for cause in report.causes
    ]
    return "\n".join([*lines, f"\nTo run it again: `{report.mend}`"]) if lines else ""


def design(report: Report) -> str:
    """The hybrid pipeline, where there is something to build it from."""
    return sentences.system_design(report) if report.templates or report.models else ""


def deployment(report: Report) -> str:
    return sentences.recommendation(report) if report.templates or report.models else ""


def changed(report: Report) -> str:
    """What is different from the last run of the plan, figure by figure and prompt by prompt."""
    if report.changes is None:
        return ""
    names = partial(model_rows.name, report)
    parts = [" ".join(map(inline, change_rows.summary(report.changes, names)))]
    if rows := change_rows.figure_rows(report.changes, names):
        parts.append(table(change_rows.figure_header(), _cells(rows)))
    if rows := change_rows.template_rows(report.changes, names):
        parts.append(table(change_rows.TEMPLATE_HEADER, _cells(rows), right=(1, 2, 3)))
    if rows := change_rows.prompt_rows(report.changes, names):
        parts.append(table(change_rows.PROMPT_HEADER, _cells(rows), right=(2, 3)))
    return "\n\n".join(parts)


def appendix(report: Report) -> str:
    """How each figure was measured, and on what."""
    parts = []
    if report.models:
        parts += [
            "### Speed",
            table(model_rows.SPEED_HEADER, _cells(model_rows.speed_rows(report)), right=range(1, 10)),
        ]
        parts += _metrics(report)
    if pairs := pair_rows.pair_rows(report):
        parts += ["### Every pair", table(pair_rows.PAIR_HEADER, _cells(pairs))]
        parts += map(inline, pair_rows.details(report))
    if groups := pair_rows.group_rows(report):
        parts.append(table(pair_rows.GROUP_HEADER, _cells(groups)))
        parts.append(" ".join(map(inline, pair_rows.group_notes(report))))
    parts += ["### How it was measured"] * bool(parts)
    parts.append(table(["Figure", "Measured"], _cells(run_rows.method_rows(report))))
    setting = run_rows.setting_rows(report)
    if setting:
        parts.append(table(["Setting", "Value"], _cells(setting)))
    for name, lines in run_rows.prompt_lines(report):
        parts += [f"The first prompt of {inline(name)}, exactly:", fenced(lines)]
    return "\n\n".join(parts)


def _metrics(report: Report) -> list[str]:
    """The metrics that are shown and do not count, and what people reach on them."""
    parts = [f"### {METRICS_TITLE}", table(metric_rows.METRIC_HEADER, _cells(metric_rows.metric_rows(report)))]
    parts.append("\n".join(f"- {inline(note)}" for note in metric_rows.metric_notes(report)))
    if references := metric_rows.reference_rows(report):
        parts.append(table(metric_rows.REFERENCE_HEADER, _cells(references), right=(3,)))
    return parts


METRICS_TITLE = "Metrics that are shown and do not count"

SECTIONS: tuple[tuple[str, Section], ...] = (
    ("", opening),
    ("Models", models),
    ("Seconds against quality", trade_off),
    ("Scenario by model", heat),
    ("Replies side by side", replies),
    ("Real turns", real_turns),
    ("Votes", votes),
    ("Memory", memory),
    ("Templates", templates),
    ("Old and new", old_and_new),
    ("System design", design),
    ("Deployment", deployment),
    ("The night", night),
    ("What failed", failures),
    ("What changed since the last run", changed),
    ("This morning", sentences.checklist),
    ("Next steps", sentences.next_steps),
    ("Appendix: how it was measured", appendix),
)
