"""The sentences of a report, as Markdown for REPORT.md and report.html. Every name in them is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jarvisd.plugin import Status
from jobs.lib.comparison.action import Action
from jobs.lib.comparison.decide import Conflict, Source
from jobs.lib.comparison.document import ComparisonDocument, Difference, Verdict
from jobs.report.escape import inline, megabytes, milliseconds, percent
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows
from jobs.report.rows import templates as template_rows

#: Kinds of job that measure something for this report.
_MEASURING = ("mine", "evaluate")


def headline(report: Report) -> str:
    """The verdict in a few words, plain text (not escaped)."""
    if report.comparison and (words := model_headline(report, report.comparison.verdict)):
        return words
    if report.templates:
        return f"{len(report.templates['templates'])} templates, no choice of a model"
    if report.models:
        return "No choice of a model"
    if _cancelled(report):
        return "Every job was cancelled"
    if any(kind in report.sections for kind in _MEASURING):
        return "Nothing could be measured yet" if report.unfinished else "Nothing could be measured"
    done, total = report.counted(Status.SUCCEEDED), len(report.jobs)
    return f"{done} of {total} jobs succeeded" if total else "A run without jobs"


def model_headline(report: Report, verdict: Verdict) -> str:
    """Switch to X, keep X, or the best guess; plain text, "" where there is no choice."""
    if verdict.conflict:
        return f"{_sides(report, verdict.conflict, plain=True)}, so no winner"
    if verdict.pick is None:
        return ""
    if not verdict.recommended:
        return "Keep what you have"
    if verdict.action is Action.KEEP:
        return f"Keep {name(report, verdict.present or verdict.pick)}"
    if verdict.action is Action.SWITCH:
        return f"{'Switch to' if verdict.present else 'Use'} {name(report, verdict.pick)}"
    return f"Best guess: {name(report, verdict.pick)}"


def on_demo_data(report: Report) -> str:
    """What a reader of a demonstration must know, or ""."""
    if not report.is_demo:
        return ""
    return "Demo data: the messages come from a public collection of chats. Here “your” means the writer of those."


def _cancelled(report: Report) -> bool:
    """Whether the run had jobs, and every one was cancelled."""
    return bool(report.jobs) and report.counted(Status.CANCELLED) == len(report.jobs)


def verdict(report: Report) -> str:
    """The best model in a sentence with the runner-up; then what to do and why; then all the rest."""
    rest = [on_templates(report), _on_failures(report), inline(report.late)]
    paragraphs = [on_models(report), " ".join(part for part in rest if part)]
    return "\n\n".join(part for part in paragraphs if part)


def name(report: Report, key: str) -> str:
    """A model's name as people know it."""
    return report.models[key].name if key in report.models else key


def on_models(report: Report) -> str:
    """A sentence to decide on, and the reasons, as Markdown."""
    return "\n\n".join(_on_models(report))


def _on_models(report: Report) -> list[str]:
    if report.comparison is None:
        return ["No model was loaded, so no replies could be compared."] if "evaluate" in report.sections else []
    verdict = report.comparison.verdict
    why = inline(verdict.why.replace("`", ""), 2000)
    if verdict.conflict:
        sides, advice = _sides(report, verdict.conflict), _meanwhile(report, verdict.conflict)
        return [f"{sides}, so no model is named. {advice}", why]
    if verdict.pick is None or not verdict.recommended:
        return [why]
    return [_lead(report, report.comparison, verdict.pick), why]


def _sides(report: Report, conflict: Conflict, *, plain: bool = False) -> str:
    """The numbers say **A**, your votes say **B**; `plain` is neither escaped nor bold."""
    model, *rivals = (
        name(report, key) if plain else f"**{inline(name(report, key))}**" for key in (conflict.model, *conflict.rivals)
    )
    if conflict.source is Source.VOTES:
        return f"The numbers say {model}, your votes say {' or '.join(rivals)}"
    return f"Both measures together say {model}, the scenarios alone {' or '.join(rivals)}"


def _meanwhile(report: Report, conflict: Conflict) -> str:
    """What to do where numbers and votes, or the numbers among themselves, contradict each other."""
    rivals = " or ".join(f"**{inline(name(report, key))}**" for key in conflict.rivals)
    other = f"follow your votes: {rivals}" if conflict.source is Source.VOTES else "vote to decide between them"
    return f"Keep the present one, or {other}."


def _lead(report: Report, comparison: ComparisonDocument, pick: str) -> str:
    """**SmolLM3-3B**: 1.10 s for a typical reply, 2.05 GB at its peak. Runner-up: **Qwen3 4B**, 0.03 behind."""
    stats = report.models[pick].stats
    text = f"**{inline(name(report, pick))}**: {model_rows.seconds(stats.shared_p50_ms)} for a typical reply"
    if (peak := model_rows.peak_mb(stats)) is not None:
        text += f", {megabytes(peak)} at its peak"
    second = model_rows.runner_up(report)
    if second is None:
        return f"{text}."
    rows = comparison.verdict.differences
    gap = next((row for row in rows if (row.model, row.against) == (pick, second)), None)
    what = "In use" if second == comparison.verdict.present else "Runner-up"
    return f"{text}. {what}: **{inline(name(report, second))}**{_behind(gap)}."


def _behind(gap: Difference | None) -> str:
    """ ", 0.03 behind in quality"."""
    return "" if gap is None or gap.difference is None else f", {gap.difference:.2f} behind in quality"


def on_templates(report: Report) -> str:
    """What was mined, and what it would have done as it would be deployed; its coverage where that is unknown."""
    if report.templates is None:
        return "No templates were mined." if "mine" in report.sections else ""
    stats, templates = report.templates["stats"], report.templates["templates"]
    text = f"{len(templates)} templates were mined from {stats.get('total_messages') or 0:,} of {report.whose} messages"
    if deployed := template_rows.deployed(report):
        return f"{text}. {deployed}"
    if (coverage := stats.get("coverage")) is None:
        return f"{text}; what they cover of later messages was not measured."
    later = f"{percent(coverage)} of {report.whose} later messages resemble one of them"
    return f"{text}. {later}{_range(stats)}; that is no rate of right answers."


def _range(stats: Mapping[str, Any]) -> str:
    ends = stats.get("coverage_range")
    if not ends or None in ends:
        return ""
    return f" ({percent(ends[0])} to {percent(ends[1])}, by the part of the history that they are measured on)"


def _on_failures(report: Report) -> str:
    bad = [job for job in report.jobs if job.status == Status.FAILED]
    left, total = report.counted(Status.SKIPPED, Status.STOPPED, Status.CANCELLED), len(report.jobs)
    if _cancelled(report):
        return "Its only job was cancelled." if total == 1 else f"All {total} jobs were cancelled."
    parts = []
    if bad:
        parts.append(f"{len(bad)} of {total} jobs failed")
    if left:
        parts.append(f"{left} of {total}{'' if bad else ' jobs'} did not finish")
    if report.unfinished:
        parts.append("the run is not finished yet")
    if parts:
        return f"{', '.join(parts)[0].upper()}{', '.join(parts)[1:]}."
    if any(kind in report.sections for kind in _MEASURING):
        return ""
    return "Every job did its work." if total else "There was nothing to do besides this report."


# ------------------------------------------------------------------------------------------------- the design


def system_design(report: Report) -> str:
    """How JARVIS would answer with these results, and how fast, from this run's numbers."""
    text = (
        "An incoming message is first compared with the triggers of the templates. Where one fires, its "
        f"reply is there at once; everything else goes to the language model. {template_rows.JARVIS_FIRES}"
    )
    design = report.design
    rows = [row for row in design.expectations if row.expected_ms is not None]
    if rows:
        lines = [
            f"- with {inline(row.name)}: {milliseconds(row.expected_ms)} on average "
            f"(model alone {milliseconds(row.model_ms)}, mean of {row.n} replies)"
            for row in rows
        ]
        rule = (
            f"Expected time of a reply = match time ({milliseconds(design.match_ms)}, mean of {design.match_n}) + "
            f"share of messages without the right template ({percent(1 - (design.answered or 0))}) × the model's mean "
            "time (a wrong template saves none):"
        )
        return "\n\n".join([text, rule, "\n".join(lines)])
    return "\n\n".join([text, _no_estimate(report)])


def _no_estimate(report: Report) -> str:
    design = report.design
    missing = "\n".join(f"- {inline(what)}" for what in design.missing)
    known = [f"{inline(row.name)} {milliseconds(row.model_ms)} (n = {row.n})" for row in design.expectations]
    text = f"No expected latency is given, because this run did not measure:\n\n{missing}"
    if known:
        text += f"\n\nWithout templates a reply takes the model's time, mean: {', '.join(known)}."
    if report.templates and design.answered is None:
        text += (
            "\n\nCoverage does not say that: it counts how many of *your own* messages resemble a template, "
            "not how often an *incoming* one would be answered rightly."
        )
    return text


def recommendation(report: Report) -> str:
    """What to deploy, as a list."""
    return "\n".join(f"- {line}" for line in (_deploy_model(report), _deploy_templates(report)))


def _deploy_model(report: Report) -> str:
    comparison = report.comparison
    verdict = comparison.verdict if comparison else None
    if comparison is None or verdict is None or verdict.pick is None:
        return "**Model:** keep the present one; this run gives no reason to change it."
    if conflict := verdict.conflict:
        advice = _meanwhile(report, conflict)
        return f"**Model:** {advice[0].lower()}{advice[1:]} {_sides(report, conflict)}."
    settle = inline(comparison.settle.replace("`", ""), 1000)
    pick = inline(name(report, verdict.pick))
    if not verdict.recommended:
        return "**Model:** keep the present one; no model is better than a canned reply."
    if verdict.action is Action.KEEP:
        return f"**Model:** keep {inline(name(report, verdict.present or verdict.pick))}."
    if verdict.action is Action.SWITCH:
        return f"**Model:** {'switch to' if verdict.present else 'use'} {pick}."
    return f"**Model:** not decided yet; the best guess is {pick}. {settle}".rstrip()


def _deploy_templates(report: Report) -> str:
    if report.templates is None or not report.templates["templates"]:
        return "**Templates:** none to deploy from this run."
    if sentence := template_rows.verdict(report):
        return f"**Templates:** {inline(sentence)}"
    return (
        "**Templates:** read them before use. None was measured to answer rightly by itself, so they are "
        "phrases of yours to suggest, not replies to send unseen."
    )


def checklist(report: Report) -> str:
    """The morning, step by step; "" where nothing is left to do."""
    steps = ["Read the verdict"] if report.models else []
    if report.causes:
        steps.append("Decide which failed jobs to run again")
    if report.templates is not None:
        steps += [
            "Review the coverage against the baseline, with both definitions in mind",
            "Read the templates: would you send them?",
        ]
    if report.models:
        steps += [
            "Read the replies side by side",
            "Pick the winner on how its replies sound",
            "Note its latency",
        ]
    if report.templates is not None:
        steps.append("Deploy templates?")
    if report.models:
        steps.append("Upgrade the LLM?")
    return "\n".join(f"- [ ] {step}" for step in steps)


def _mended(report: Report) -> str:
    """What the command of `mend` does: runs mine again, with what it has kept."""
    names = [name for cause in report.causes for name in cause.jobs]
    which = inline(names[0]) if len(names) == 1 else f"the {len(names)} jobs that did not succeed"
    fetches = "downloads what is missing and " if any(cause.downloads for cause in report.causes) else ""
    return f"{fetches}runs {which} again, with what {'it has' if len(names) == 1 else 'they have'} kept"


def next_steps(report: Report) -> str:
    """Commands that make sense after this run, as a list."""
    steps = [f"`{report.mend}` {_mended(report)}."] if report.mend else []
    if report.templates:
        steps.append(
            "`jarvisctl review` asks which drafts you would send; `jarvisctl review --templates` what you keep."
        )
        steps.append("`jarvisctl export templates` and `jarvisctl deploy templates` write what you kept, nothing else.")
    if report.comparison and report.comparison.verdict.action is Action.SWITCH:
        steps.append("`jarvisctl deploy model --dry-run` shows the change of its model.")
    if report.comparison and (wanted := report.comparison.verdict.votes_wanted):
        steps.append(f"`jarvisctl vote` compares replies blindly; {wanted} answer{'s' * (wanted != 1)} may decide.")
    if report.templates:
        steps.append('`jarvisctl match "are you free tonight?"` shows what would be drafted for a message.')
    steps.append(f"`jarvisctl report {report.run_id} --open` shows this page again at any time.")
    return "\n".join(f"- {step}" for step in steps)
