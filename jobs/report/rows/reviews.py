"""The rows about what the owner would send: what could be answered, how acceptable, and what is left to review."""

from __future__ import annotations

import math

from jobs.lib.reviews import document
from jobs.lib.reviews.document import LevelPart, WouldAnswer
from jobs.report.escape import inline, percent
from jobs.report.gather import Report

HEADER = ["Most confident", "Messages", "Would send", "At least", "Literally your reply"]
_MEANS = {"automatic": "answer by itself", "suggest": "be suggested"}
#: With a smaller share of messages that are literally a template, the report says why little can be answered.
_FEW = 0.1


def would_answer(report: Report) -> WouldAnswer | None:
    """The part of templates.json; None for a run without held-out drafts."""
    return document.parsed(report.templates["stats"].get("would_answer")) if report.templates else None


def lead(report: Report) -> list[str]:
    """What would have been answered, how acceptable that is, and what is left to do; a sentence each."""
    if report.templates is None:
        return []
    part = would_answer(report)
    if part is None:
        lines = ["This run has no drafts on later messages, so none can be reviewed."]
    else:
        lines = [_answered(part), *(_level(level) for level in part.levels if part.reviewed)]
        lines += [inline(part.judge.sentence)] if part.judge else []
    return [*lines, *_few(report), *_to_do(report, part)]


def _answered(part: WouldAnswer) -> str:
    low = part.levels[0].acceptable_low
    if part.fired and low is not None:
        return (
            f"Of {part.turns:,} later messages {part.fired:,} ({percent(part.fired / part.turns)}) would have been "
            f"answered by itself: at least {math.floor(100 * low)} % of such drafts are as you would send them. "
            f"Literally your reply were {part.right:,}."
        )
    why = "your answers certify no level for that yet"
    if not part.reviewed:
        why = "you have not said yet which drafts you would send"
    return f"Of {part.turns:,} later messages none would be answered by itself: {why}."


def _level(level: LevelPart) -> str:
    goal = percent(level.target, 0)
    if level.confidence is None or level.acceptable_low is None:
        return f"No draft may {_MEANS[level.level]} yet: for that the lower end must reach {goal}."
    return (
        f"A draft may {_MEANS[level.level]} from a probability of {level.confidence:.3f} on, the most confident "
        f"{percent(level.share)}: you would send {level.sent} of {level.n}, at least "
        f"{math.floor(100 * level.acceptable_low)} % of all such drafts."
    )


def _few(report: Report) -> list[str]:
    """Why little can be answered, where few of the owner's messages repeat."""
    share, templates = literal_share(report), len(report.templates["templates"]) if report.templates else 0
    if share is None or share >= _FEW:
        return []
    if not templates:
        return [f"Little can be answered: none of {report.whose} messages repeats often enough to become a template."]
    what = "the one template is" if templates == 1 else f"the {templates} templates are"
    return [
        f"Little can be answered: {what} literally {percent(share)} of {report.whose} messages, "
        "because few of them repeat. Kept templates still save typing as text replacements: "
        "`jarvisctl export templates`."
    ]


def literal_share(report: Report) -> float | None:
    """Share of the mined messages that say exactly one of the templates; None where that was not counted."""
    if report.templates is None or not (total := report.templates["stats"].get("total_messages")):
        return None
    return float(sum(row.get("uses") or 0 for row in report.templates["templates"])) / float(total)


def _to_do(report: Report, part: WouldAnswer | None) -> list[str]:
    templates = report.templates["templates"] if report.templates else []
    left, without = part.wanted - part.reviewed if part else 0, sum(not row.get("reviewed") for row in templates)
    lines = []
    if part and left > 0:
        lines.append(f"To do: `jarvisctl review` asks about {left} of {part.wanted} drafts, five seconds each.")
    if without:
        verdict = f"`jarvisctl review --templates` keeps or rejects {without} templates"
        lines.append(f"{verdict}; only kept ones are deployed and exported.")
    return lines


def rows(report: Report) -> list[list[str]]:
    """What the answers say down to each level of confidence, as HEADER; none where nothing was answered."""
    part = would_answer(report)
    return [
        [
            percent(band.share),
            f"{band.turns:,}",
            f"{band.sent} of {band.n}",
            f"{math.floor(100 * (band.acceptable_low or 0))} %",
            percent(band.literal),
        ]
        for band in (part.bands if part else ())
        if band.n
    ]


def literal_row(report: Report) -> list[list[str]]:
    """The third definition of coverage."""
    share = literal_share(report)
    if share is None:
        return []
    meaning = "share of the messages that it was mined from which say exactly one of the templates"
    return [["Literally a template (in-sample)", percent(share), meaning]]
