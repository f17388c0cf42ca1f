"""The figures of templates.json: every share with its n and a Wilson interval beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from jobs.mine.answers import FIRES_AT, Tally
from jobs.mine.measure import Origin
from jobs.mine.tiers import TIERS
from jobs.mine.trial import (
    DEPLOYED,
    EVERY_TRIGGER,
    EXACT,
    FREQUENT,
    FREQUENT_WHERE_FIRED,
    MANUAL,
    RANKED,
    RANKED_WHERE_EXACT,
    RANKED_WHERE_MANUAL,
    Trial,
)
from jobs.statistics import wilson

#: What each row of `baselines` is, in words that the report shows.
MEANINGS = {
    RANKED: "mined templates, ranked for the turn by the past turns most like it; always three drafts",
    FREQUENT: "always the same: the replies that were most frequent before",
    EVERY_TRIGGER: f"mined templates by JARVIS's rule (best trigger from cosine {FIRES_AT} on), no trigger dropped",
    FREQUENT_WHERE_FIRED: "always the most frequent replies, on the turns of the line above alone",
    EXACT: "what followed most often when the very same text came before",
    RANKED_WHERE_EXACT: "mined templates, ranked, on the turns of the line above alone",
    DEPLOYED: "mined templates by JARVIS's rule, with the calibrated triggers of both sendable tiers alone",
    MANUAL: "your present templates by JARVIS's rule",
    RANKED_WHERE_MANUAL: "mined templates, ranked, on the turns of the line above alone",
}


def share(part: int, n: int) -> float | None:
    return round(part / n, 5) if n else None


def interval(part: int, n: int) -> list[float] | None:
    found = wilson(part, n)
    return None if found is None else [round(end, 5) for end in found]


def proportion(name: str, part: int, n: int) -> dict[str, Any]:
    """name, name_ci and name_n."""
    return {name: share(part, n), f"{name}_ci": interval(part, n), f"{name}_n": n}


def middle(values: Sequence[float]) -> float | None:
    return round(median(values), 5) if values else None


def spread(values: Sequence[float]) -> list[float] | None:
    return [round(min(values), 5), round(max(values), 5)] if values else None


def coverage(origins: Sequence[Origin]) -> dict[str, Any]:
    """Of the owner's own messages of the tenth after each origin."""
    shares = [origin.coverage for origin in origins]
    n, covered = sum(origin.held_out for origin in origins), sum(origin.covered for origin in origins)
    return {
        "coverage": middle(shares),
        "coverage_range": spread(shares),
        "coverage_pooled": share(covered, n),
        "coverage_ci": interval(covered, n),
        "coverage_n": n,
        "coverage_origins": [
            {
                "mined": origin.share,
                "held_out": origin.held_out,
                "coverage": round(origin.coverage, 5),
                "ci": interval(origin.covered, origin.held_out),
            }
            for origin in origins
        ],
    }


def chats(found: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Coverage of chats whose messages were not mined."""
    shares = [covered / n for covered, n in found]
    covered, n = sum(part for part, _ in found), sum(part for _, part in found)
    return {
        "chat_out": middle(shares),
        "chat_out_range": spread(shares),
        "chat_out_ci": interval(covered, n),
        "chat_out_n": n,
        "chats_left_out": len(shares),
    }


def answering(found: Sequence[Trial]) -> dict[str, Any]:
    """What the calibrated triggers did on the report parts: medians over origins, intervals over all of them."""
    parts = [trial.tallies[DEPLOYED] for trial in found]
    total = sum(parts, Tally())
    covered, messages = sum(trial.covered for trial in found), sum(trial.messages for trial in found)
    return {
        "hit_rate": middle([part.fired / part.turns for part in parts]),
        "hit_rate_range": spread([part.fired / part.turns for part in parts]),
        "hit_rate_ci": interval(total.fired, total.turns),
        "answered": middle([part.right / part.turns for part in parts]),
        "answered_range": spread([part.right / part.turns for part in parts]),
        "answered_ci": interval(total.right, total.turns),
        "top3": middle([part.among / part.turns for part in parts]),
        "top3_range": spread([part.among / part.turns for part in parts]),
        "top3_ci": interval(total.among, total.turns),
        "precision": share(total.right, total.fired),
        "precision_ci": interval(total.right, total.fired),
        "turns_held_out": total.turns,
        "turns_replied": total.replied,
        "turns_fired": total.fired,
        "turns_right": total.right,
        "turns_calibration": sum(trial.calibration_turns for trial in found),
        "fires_at": FIRES_AT,
        "coverage_report_part": middle([trial.covered / trial.messages for trial in found]),
        "coverage_report_part_ci": interval(covered, messages),
        "coverage_report_part_n": messages,
    }


def tiers(found: Sequence[Trial], deployed: Mapping[str, int]) -> dict[str, Any]:
    """Per tier: templates tonight, and over the origins how many there were and how often they were right."""
    rows: dict[str, Any] = {}
    for tier in TIERS:
        total = sum((trial.by_tier[tier] for trial in found), Tally())
        rows[tier] = {
            "templates": deployed.get(tier, 0),
            "templates_at_origins": [trial.counts[tier] for trial in found],
            "fired": total.fired,
            "right": total.right,
            "precision": share(total.right, total.fired),
            "precision_ci": interval(total.right, total.fired),
            "n": total.fired,
        }
    return rows


def own_index(found: Sequence[Trial]) -> dict[str, Any]:
    """The index of our own, with a threshold a template."""
    total = sum((trial.index for trial in found), Tally())
    return {"turns": total.turns, "fired": total.fired, **proportion("precision", total.right, total.fired)}


def baselines(found: Sequence[Trial]) -> dict[str, Any]:
    """Each rival on the same turns: how often it suggested, and was right with one suggestion and with three."""
    rows: dict[str, Any] = {}
    for name, what in MEANINGS.items():
        parts = [trial.tallies[name] for trial in found if name in trial.tallies]
        total = sum(parts, Tally())
        if total.turns:
            rows[name] = {
                "what": what,
                "turns": total.turns,
                "fired": total.fired,
                "right": total.right,
                "among_three": total.among,
                **proportion("answered", total.right, total.turns),
                **proportion("top3", total.among, total.turns),
                **proportion("precision", total.right, total.fired),
            }
    return rows


#: Mined against a rival, both suggesting on the very same turns.
PAIRS = (
    (RANKED, FREQUENT),
    (EVERY_TRIGGER, FREQUENT_WHERE_FIRED),
    (RANKED_WHERE_EXACT, EXACT),
    (RANKED_WHERE_MANUAL, MANUAL),
)


def duels(found: Sequence[Trial]) -> list[dict[str, Any]]:
    """Mined against each rival at the same number of suggestions: right answers of both, origins ahead and behind."""
    rows = []
    for mine, rival in PAIRS:
        pairs = [(trial.tallies[mine], trial.tallies[rival]) for trial in found if rival in trial.tallies]
        for suggestions, part in ((1, "right"), (3, "among")) if pairs else ():
            scores = [(getattr(one, part), getattr(two, part)) for one, two in pairs]
            rows.append(
                {
                    "mined": mine,
                    "rival": rival,
                    "suggestions": suggestions,
                    "turns": sum(two.fired for _, two in pairs),
                    "mined_right": sum(one for one, _ in scores),
                    "rival_right": sum(two for _, two in scores),
                    "origins": len(scores),
                    "ahead": sum(one > two for one, two in scores),
                    "behind": sum(one < two for one, two in scores),
                }
            )
    return rows


def manual(found: Sequence[Trial], templates: int, replaced: list[dict[str, Any]], problem: str) -> dict[str, Any]:
    """The owner's present templates on the same held-out part; all null where there are none."""
    fired: set[int] = set().union(*(trial.manual_fired for trial in found))
    covered, messages = sum(trial.manual_covered for trial in found), sum(trial.messages for trial in found)
    known = templates > 0 and bool(found)
    total = sum((trial.tallies[MANUAL] for trial in found if MANUAL in trial.tallies), Tally())
    unused = templates - len(fired)
    return {
        "templates": templates,
        "problem": problem or None,
        **proportion("coverage", covered if known else 0, messages if known else 0),
        **proportion("unused", unused if known else 0, templates if known else 0),
        **proportion("hit_rate", total.fired, total.turns),
        **proportion("precision", total.right, total.fired),
        **proportion("answered", total.right, total.turns),
        "replaced_by": replaced,
    }
