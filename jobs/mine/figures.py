"""The figures of templates.json: every share with its n, and an interval that belongs to it.

A share over all origins together has a Wilson interval, which takes messages as independent. A median over origins has
the range over them, because the parts differ by far more than chance: people change what they write about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching.rules import FIRES_AT
from jobs.lib.stats import clip_interval, t_interval, wilson
from jobs.mine.answers import MatchCounts
from jobs.mine.backtest import (
    DEPLOYED,
    EVERY_TRIGGER,
    EXACT,
    FREQUENT,
    FREQUENT_WHERE_FIRED,
    MANUAL,
    NEAREST,
    RANKED,
    RANKED_ALONE,
    RANKED_WHERE_EXACT,
    RANKED_WHERE_MANUAL,
    Trial,
)
from jobs.mine.rolling_origin import Origin
from jobs.mine.tiers import TIERS

#: The rows of `baselines`, in the order in which they are shown.
BASELINES = (
    *(RANKED, RANKED_ALONE, NEAREST, FREQUENT),
    *(EVERY_TRIGGER, FREQUENT_WHERE_FIRED),
    *(EXACT, RANKED_WHERE_EXACT, DEPLOYED, MANUAL, RANKED_WHERE_MANUAL),
)


def share(part: int, n: int) -> float | None:
    return round(part / n, 5) if n else None


def interval(part: int, n: int) -> list[float] | None:
    bounds = wilson(part, n)
    return None if bounds is None else [round(end, 5) for end in bounds]


def proportion(name: str, part: int, n: int) -> dict[str, Any]:
    """name, name_ci and name_n."""
    return {name: share(part, n), f"{name}_ci": interval(part, n), f"{name}_n": n}


def middle(values: Sequence[float]) -> float | None:
    return round(median(values), 5) if values else None


def spread(values: Sequence[float]) -> list[float] | None:
    return [round(min(values), 5), round(max(values), 5)] if values else None


def over(name: str, shares: Sequence[float]) -> dict[str, Any]:
    """name, the median of the parts, with name_range; name_mean with name_mean_ci, Student's t over the parts."""
    estimate = t_interval(shares)
    ends = clip_interval(estimate.interval) if estimate else None
    return {
        name: middle(shares),
        f"{name}_range": spread(shares),
        f"{name}_mean": round(estimate.mean, 5) if estimate else None,
        f"{name}_mean_ci": None if ends is None else [round(end, 5) for end in ends],
    }


def coverage(origins: Sequence[Origin]) -> dict[str, Any]:
    """Of the owner's own messages of the tenth after each origin."""
    return {
        **over("coverage", [origin.coverage for origin in origins]),
        "coverage_n": sum(origin.held_out for origin in origins),
        "coverage_origins": [
            {"mined": origin.share, "held_out": origin.held_out, "coverage": round(origin.coverage, 5)}
            for origin in origins
        ],
    }


def chats(covered_of_chats: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Coverage of chats whose messages were not mined."""
    return {
        **over("chat_out", [covered / n for covered, n in covered_of_chats]),
        "chat_out_n": sum(n for _, n in covered_of_chats),
        "chats_left_out": len(covered_of_chats),
    }


def answering(trials: Sequence[Trial]) -> dict[str, Any]:
    """What the calibrated triggers did on the report parts: medians over origins; precision over all of them."""
    parts = [trial.tallies[DEPLOYED] for trial in trials]
    total = sum(parts, MatchCounts())
    return {
        **over("hit_rate", [part.fired / part.turns for part in parts]),
        **over("answered", [part.right / part.turns for part in parts]),
        **over("top3", [part.hit_at_3 / part.turns for part in parts]),
        "precision": share(total.right, total.fired),
        "precision_ci": interval(total.right, total.fired),
        "turns_held_out": total.turns,
        "turns_replied": total.replied,
        "turns_fired": total.fired,
        "turns_right": total.right,
        "turns_calibration": sum(trial.calibration_turns for trial in trials),
        "fires_at": FIRES_AT,
        **over("coverage_report_part", [trial.covered / trial.messages for trial in trials]),
        "coverage_report_part_n": sum(trial.messages for trial in trials),
    }


def tiers(trials: Sequence[Trial], deployed: Mapping[str, int]) -> dict[str, Any]:
    """Per tier: templates tonight, and over the origins how many there were and how often they were right."""
    rows: dict[str, Any] = {}
    for tier in TIERS:
        total = sum((trial.by_tier[tier] for trial in trials), MatchCounts())
        rows[tier] = {
            "templates": deployed.get(tier, 0),
            "templates_at_origins": [trial.counts[tier] for trial in trials],
            "fired": total.fired,
            "right": total.right,
            "precision": share(total.right, total.fired),
            "precision_ci": interval(total.right, total.fired),
            "n": total.fired,
        }
    return rows


def own_index(trials: Sequence[Trial]) -> dict[str, Any]:
    """jarvisd's own index, with a threshold per template."""
    total = sum((trial.index for trial in trials), MatchCounts())
    return {"turns": total.turns, "fired": total.fired, **proportion("precision", total.right, total.fired)}


def baselines(trials: Sequence[Trial]) -> dict[str, Any]:
    """Each way of suggesting on the same turns: how often it suggested, and was right with one and with three."""
    rows: dict[str, Any] = {}
    for name in BASELINES:
        parts = [trial.tallies[name] for trial in trials if name in trial.tallies]
        total = sum(parts, MatchCounts())
        if total.turns:
            rows[name] = {
                "turns": total.turns,
                "fired": total.fired,
                "right": total.right,
                "among_three": total.hit_at_3,
                **proportion("answered", total.right, total.turns),
                **proportion("top3", total.hit_at_3, total.turns),
                **proportion("precision", total.right, total.fired),
            }
    return rows


#: Mined against a rival, both suggesting on the very same turns.
PAIRS = (
    (RANKED, NEAREST),
    (RANKED, FREQUENT),
    (EVERY_TRIGGER, FREQUENT_WHERE_FIRED),
    (RANKED_WHERE_EXACT, EXACT),
    (RANKED_WHERE_MANUAL, MANUAL),
)


def head_to_head(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Mined against each rival at the same number of suggestions: right answers of both, origins ahead and behind."""
    rows = []
    for mine, rival in PAIRS:
        pairs = [(trial.tallies[mine], trial.tallies[rival]) for trial in trials if rival in trial.tallies]
        for suggestions, part in ((1, "right"), (3, "hit_at_3")) if pairs else ():
            scores = [(getattr(own, part), getattr(other, part)) for own, other in pairs]
            rows.append(
                {
                    "mined": mine,
                    "rival": rival,
                    "suggestions": suggestions,
                    "turns": sum(other.fired for _, other in pairs),
                    "mined_right": sum(own for own, _ in scores),
                    "rival_right": sum(other for _, other in scores),
                    "origins": len(scores),
                    "ahead": sum(own > other for own, other in scores),
                    "behind": sum(own < other for own, other in scores),
                }
            )
    return rows


def manual(trials: Sequence[Trial], templates: int, replaced: list[dict[str, Any]], problem: str) -> dict[str, Any]:
    """The owner's present templates on the same held-out part; shares are None where there are no templates."""
    fired: set[int] = set().union(*(trial.manual_fired for trial in trials))
    covered, messages = sum(trial.manual_covered for trial in trials), sum(trial.messages for trial in trials)
    known = templates > 0 and bool(trials)
    total = sum((trial.tallies[MANUAL] for trial in trials if MANUAL in trial.tallies), MatchCounts())
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


#: Ends of the bins of probability in which drafts are counted.
BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def chances(trials: Sequence[Trial]) -> dict[str, Any]:
    """How often the first draft was right, by its probability: on the report parts, which no ranker was fitted to."""
    drafted = np.concatenate([trial.drafted for trial in trials]) if trials else np.empty((0, 2))
    place = np.clip(np.searchsorted(BINS, drafted[:, 0], side="right") - 1, 0, len(BINS) - 2)
    rows = []
    for number, (low, high) in enumerate(pairwise(BINS)):
        right = drafted[place == number, 1]
        rows.append({"from": low, "to": high, **proportion("right", int(right.sum()), len(right))})
    return {"turns": len(drafted), "origins": len(trials), "stated": _stated(drafted), "bins": rows}


def _stated(drafted: NDArray[np.float64]) -> dict[str, Any]:
    """The mean probability of a first draft beside how often it was right."""
    if not len(drafted):
        return {"mean": None, **proportion("right", 0, 0)}
    mean, right = drafted.mean(axis=0)
    return {"mean": round(float(mean), 5), **proportion("right", round(float(right) * len(drafted)), len(drafted))}
