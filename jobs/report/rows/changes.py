"""What changed since the last run of the same plan: per figure and per prompt, compared on what both asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from jobs.report.diff import ALL_CHECKS, FIGURES, MEASURES, TEMPLATES, Changes, FigureChange, PromptChange, Writer
from jobs.report.escape import NOT_MEASURED, clean, number

SHOWN_PROMPTS = 16

TEMPLATE_HEADER = ["Templates", "Last run", "This run", "Change"]
PROMPT_HEADER = ["Model", "Prompt", "Last run", "This run", "Change"]


# ---------------------------------------------------------------------------------------------------- as text


def figure_header() -> list[str]:
    return ["Model", *MEASURES.values(), *(words[0].upper() + words[1:] for words, _ in FIGURES.values())]


def figure_rows(changes: Changes, names: Callable[[str], str]) -> list[list[str]]:
    """Old and new of every figure, one line per model, as figure_header."""
    by_model: dict[str, dict[str, str]] = defaultdict(dict)
    for row in changes.figures:
        by_model[row.model][row.figure] = _figure(row)
    return [
        [names(key), *(cells.get(figure, NOT_MEASURED) for figure in (*MEASURES, *FIGURES))]
        for key, cells in by_model.items()
    ]


def _figure(row: FigureChange) -> str:
    """0.72 → 0.79 (+0.07, likely +0.04 to +0.11, 13 prompts)."""
    _, write = FIGURES.get(row.figure, ("", number))
    before, now = write(row.before), write(row.now)
    units = f", {_units(row)}" if row.clusters else ""
    if before == now and not row.ci:
        return f"{now} (no change{units})"
    ends = f", likely {row.ci[0]:+.2f} to {row.ci[1]:+.2f}" if row.ci else ""
    return f"{before} → {now} ({_signed(row.now - row.before, write)}{ends}{units})"


def _units(row: FigureChange) -> str:
    unit = {"instructions": "prompt", "own_turns": "conversation"}.get(row.figure, "prompt and conversation")
    return f"{row.clusters} {unit}" if row.clusters == 1 else f"{row.clusters} {unit.replace(' ', 's ')}s"


def template_rows(changes: Changes, _: Callable[[str], str]) -> list[list[str]]:
    """Old and new of the mining, as TEMPLATE_HEADER."""
    return [
        [what, write(row.before), write(row.now), _signed(row.now - row.before, write)]
        for row in changes.templates
        for what, write in (TEMPLATES[row.figure],)
    ]


def _signed(delta: float, write: Writer) -> str:
    text = write(abs(delta))
    return "no change" if delta == 0 else ("+" if delta > 0 else "−") + text


def prompt_rows(changes: Changes, names: Callable[[str], str]) -> list[list[str]]:
    """Prompts whose share of checks changed, flips first, as PROMPT_HEADER; at most SHOWN_PROMPTS."""
    return [
        [
            names(row.model),
            _prompt(row),
            number(row.before),
            number(row.now),
            f"{row.now - row.before:+.2f}"
            + (", now passes every check" if row.flip and row.now >= ALL_CHECKS else "")
            + (", no longer passes every check" if row.flip and row.now < ALL_CHECKS else ""),
        ]
        for row in changes.prompts[:SHOWN_PROMPTS]
    ]


def _prompt(row: PromptChange) -> str:
    if row.real:
        return f"your own history: {clean(row.context, 120)}"
    return f"{clean(row.context, 80)} — {clean(row.instruction, 80)}"


def summary(changes: Changes, names: Callable[[str], str]) -> list[str]:
    """What the two tables cannot say."""
    count, flips = len(changes.prompts), sum(row.flip for row in changes.prompts)
    total = count + changes.same
    lines = [
        f"Compared with {clean(changes.run, 100)}, the last run of this plan with a report. Each measure is compared "
        "on what both runs asked, and quality weighs both runs as this one does.",
    ]
    if not any(row.figure == "quality" for row in changes.figures):
        lines.append("Quality is not compared, because one of its measures was not taken on the same prompts in both.")
    if total:
        shown = f"; the first {SHOWN_PROMPTS} are shown" if count > SHOWN_PROMPTS else ""
        lines.append(
            f"At {count} of {total} prompts that both runs asked, a model passes another share of the checks; at "
            f"{flips} it passes all of them in one run alone{shown}."
        )
    lines += _names("Not in the last run", [names(key) for key in changes.only_now])
    return lines + _names("Only in the last run", [clean(name, 80) for name in changes.only_then])


def _names(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what}: {', '.join(names)}."] if names else []
