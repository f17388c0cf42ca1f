"""The rows about mined templates: tiers, what may be sent on which trigger, rivals on the same turns, drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.lib.stats import binomial_p
from jobs.report.escape import NOT_MEASURED, clean, percent
from jobs.report.gather import Report

#: A row of templates.json: a tier, a rival, a comparison.
Row = Mapping[str, Any]

SHOWN_TRIGGERS = 5  #: of one template
SHOWN_EXAMPLES = 3  #: of one tier
SHOWN_MANUAL = 20
#: Messages on which a tier fired, under which nothing is said of how often it is right.
TOO_FEW = 20

TIER_HEADER = ["Tier", "Templates", "Right when it fires", "Examples", "What it means"]
RIVAL_HEADER = ["On the same later messages", "Suggests on", "First one right", "One of three right", "How"]
MANUAL_HEADER = ["Your template", "In use", "Nearest mined one", "Cosine"]
LEVEL = 0.05  #: chance of a difference by luck, from which on it is too close to call
#: Tiers that may be sent, in order.
SENDABLE = ("automatic", "suggest")

#: What deploying templates does not do by itself.
JARVIS_FIRES = (
    "JARVIS fires only its own templates until its matcher loads the deployed file: `jarvisctl deploy templates "
    "--patch` prints that change. The triggers were measured under JARVIS's rule of January 2026 (MiniLM, cosine 0.7); "
    "since 2026-02-15 it compares with bge-small at 0.85."
)

_NAMES = {
    "ranked": "Mined, ranked for each message",
    "ranked, text alone": "Mined, ranked by the text alone",
    "k-nearest": "Mined, ranked by nearest neighbours",
    "most frequent": "Most frequent replies",
    "every trigger": "Mined, every trigger",
    "most frequent, where fired": "Most frequent, same messages",
    "exact": "Exact lookup",
    "deployed": "Mined, as deployed",
    "manual": "Your present templates",
    "ranked, where exact": "Mined, ranked, same messages",
    "ranked, where manual": "Mined, ranked, same messages",
}


def stats(report: Report) -> Mapping[str, Any]:
    return report.templates["stats"] if report.templates else {}


def share(value: float | None, ends: list[float] | None, n: int | None) -> str:
    """4.6 % (2.6 to 8.0 %, n = 241)."""
    if value is None:
        return f"{NOT_MEASURED} (n = {n or 0:,})" if n is not None else NOT_MEASURED
    inside = [f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"] if ends else []
    inside += [f"n = {n:,}"] if n is not None else []
    return percent(value) + (f" ({', '.join(inside)})" if inside else "")


def proportion(row: Mapping[str, Any], name: str) -> str:
    return share(row.get(name), row.get(f"{name}_ci"), row.get(f"{name}_n"))


def tier_rows(report: Report) -> list[list[str]]:
    """Each tier with its number of templates and its measured precision; none where tiers were not measured."""
    tiers = stats(report).get("tiers") or {}
    target = stats(report).get("precision_target")
    goal = percent(target, 0) if target is not None else "the target"
    meanings = {
        "automatic": f"right in {goal} or more of the messages that it was tried on, luck allowed for",
        "suggest": "among three drafts, more messages have a right one with it than without it",
        "phrase": "frequent, but we found nothing that comes in and predicts it: shown, never sent",
    }
    return [
        [
            tier,
            f"{row['templates']}",
            "never fires" if tier == "phrase" else share(row["precision"], row["precision_ci"], row["n"]),
            "; ".join(f"“{clean(one['representative'], 60)}”" for one in of(report, tier)[:SHOWN_EXAMPLES]) or "none",
            meanings.get(tier, ""),
        ]
        for tier, row in tiers.items()
    ]


def of(report: Report, *tiers: str) -> list[Mapping[str, Any]]:
    """The templates of these tiers, the most frequent first."""
    templates = report.templates["templates"] if report.templates else []
    return sorted((one for one in templates if one.get("tier") in tiers), key=lambda one: -one["frequency"])


def sendable(report: Report) -> list[dict[str, str]]:
    """What would be sent on what: reply, tier, how sure, triggers."""
    return [
        {
            "reply": clean(one["representative"], 160),
            "tier": clean(one["tier"], 40),
            "right": sureness(one),
            "triggers": "; ".join(f"“{clean(text, 80)}”" for text in one["triggers"][:SHOWN_TRIGGERS])
            + (f" and {more} more" if (more := len(one["triggers"]) - SHOWN_TRIGGERS) > 0 else ""),
        }
        for one in of(report, *SENDABLE)
    ]


def sureness(template: Mapping[str, Any]) -> str:
    """Right in 3 of 4, or that it was never tried."""
    if not template.get("fired"):
        return "never fired on a held-out message"
    return f"right in {template['right']} of {template['fired']} held-out messages"


def deployed(report: Report) -> str:
    """What the templates would have done as they would be deployed; "" where that was not measured."""
    row = (stats(report).get("baselines") or {}).get("deployed") or stats(report).get("would_answer")
    if not row:
        return ""
    answered = f"{row['fired']:,} of {row['turns']:,} incoming messages"
    rightly = f", {row['right']:,} of them rightly" if row["fired"] else ""
    return f"Deployed as they are, the templates would have answered {answered}{rightly}."


def verdict(report: Report) -> str:
    """Plain sentences on what may be sent; "" where tiers were not measured."""
    tiers = stats(report).get("tiers")
    if not tiers:
        return ""
    automatic, suggest = (tiers[tier] for tier in SENDABLE)
    total = len(report.templates["templates"]) if report.templates else 0
    if automatic["templates"]:
        safe = f"{automatic['templates']} of {total} templates look safe on the newest tenth of {report.whose} messages"
        first = f"{safe}; {_on_unseen(automatic)}."
    else:
        reason = "what came in did not predict your reply well enough"
        first = f"None of {total} templates is accurate enough to be sent automatically: {reason}."
    return f"{first} {_worth_suggesting(suggest)}"


def _on_unseen(tier: Row) -> str:
    """How a tier did on messages that its templates were not chosen on."""
    if not tier["fired"]:
        return "on messages that they were not chosen on they never fired"
    return f"on messages that they were not chosen on, such templates were right in {tier['right']} of {tier['fired']}"


def _worth_suggesting(tier: Row) -> str:
    count = tier["templates"]
    if not count:
        return "None is worth suggesting; all others are phrases of yours, to read."
    might = f"{count} might be worth suggesting"
    if tier["fired"] < TOO_FEW:
        tried = f"right in {tier['right']} of {tier['fired']}" if tier["fired"] else "they never fired"
        return f"{might}; too little came in to tell ({tried})."
    return f"{might}: {_on_unseen(tier)}."


def rival_rows(report: Report) -> list[list[str]]:
    """Every way of suggesting on the same held-out turns, as RIVAL_HEADER."""
    rivals = stats(report).get("baselines") or {}
    return [
        [
            _NAMES.get(name, clean(name, 60)),
            f"{row['fired']:,} of {row['turns']:,}",
            proportion(row, "answered"),
            proportion(row, "top3"),
            clean(row["what"], 200),
        ]
        for name, row in rivals.items()
    ]


def duel_line(report: Report) -> str:
    """Right answers of the mined templates against each rival at the same number of suggestions, in words."""
    rows = stats(report).get("duels") or []
    if not rows:
        return ""
    turns = (stats(report).get("baselines") or {}).get("ranked", {}).get("turns")
    among = f" of {turns:,} messages" if turns else ""
    return (
        f"Right answers{among}, mined templates against others at the same number of suggestions: "
        f"{'; '.join(map(_duel, rows))}. JARVIS does not rank templates. It answers by the trigger that is most like "
        "the message, so only the rows of triggers say what it would do."
    )


def _duel(row: Row) -> str:
    """ "104 against 89 of Most frequent replies (1 suggestion): too close to call".

    A sign test as if no message were answered rightly by both, which makes it cautious.
    """
    mined, rival = row["mined_right"], row["rival_right"]
    name, count = _NAMES.get(row["rival"], row["rival"]), row["suggestions"]
    close = binomial_p(mined, rival) >= LEVEL
    outcome = "too close to call" if close else "more than luck explains" if mined > rival else "fewer, and not by luck"
    return f"{mined:,} against {rival:,} of {name} ({count} suggestion{'s' * (count != 1)}): {outcome}"


def drift_line(report: Report) -> str:
    """Whether the newest part differs from those before; "" where it was not measured."""
    drift = stats(report).get("drift")
    if not drift:
        return ""
    low, high = drift["others_range"]
    newest = f"coverage of your newest tenth is {percent(drift['newest'])} (n = {drift['newest_n']:,})"
    others = f"the {percent(low)} to {percent(high)} of the {drift['others']} tenths before it"
    if not drift["differs"]:
        return f"No drift: {newest}, within {others}."
    luck = f"{2 / (drift['others'] + 1):.0%} of the time".replace("%", " %")
    return f"Drift: {newest}, outside {others}. Luck alone does that {luck}; else what you write about is changing."


def manual_line(report: Report) -> str:
    """The owner's present templates in a sentence; "" where there is nothing to say."""
    manual = stats(report).get("manual") or {}
    if manual.get("problem"):
        return f"{clean(manual['problem'], 300)}."
    if not manual.get("templates"):
        return (
            ""
            if not manual
            else (
                "Your present templates were not measured, because none are listed: config/manual_templates.yaml, or "
                "mine.manual with the path of JARVIS's custom_templates.json."
            )
        )
    right = f"right in {proportion(manual, 'precision')} of those" if manual.get("precision") is not None else ""
    return (
        f"Your {manual['templates']} present templates cover {proportion(manual, 'coverage')} of your later messages "
        f"and fire on {proportion(manual, 'hit_rate')} of what came in; "
        f"{right or 'how often rightly was not measured'}. "
        f"Never used: {proportion(manual, 'unused')}."
    )


def manual_rows(report: Report) -> list[list[str]]:
    """Each present template, whether it fired at all, and which mined one would take its place."""
    rows = (stats(report).get("manual") or {}).get("replaced_by") or []
    return [
        [
            clean(row["name"], 60),
            "yes" if row["fired"] else "never",
            f"“{clean(row['template'], 80)}”",
            f"{row['cosine']:.2f}",
        ]
        for row in rows[:SHOWN_MANUAL]
    ]
