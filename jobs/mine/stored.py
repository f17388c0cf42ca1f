"""What a mining stores: figures and settings as numbers and codes, and one row per template.

The sentences that explain them are written where templates.json is written, jobs.lib.results.templates_document.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.lib.matching.rules import FIRES_AT
from jobs.lib.stats import wilson
from jobs.mine import answers, corpus, figures, latency, rolling_origin, tiers
from jobs.mine.answers import MatchCounts
from jobs.mine.candidates import OLD_DISTANCE, OLD_LEAST, Candidates
from jobs.mine.inputs import Messages, Task
from jobs.mine.matching import Matching
from jobs.mine.rolling_origin import Coverage

#: Makes the ids of templates; any fixed UUID would do.
_NAMESPACE = uuid.UUID("6f0a2c0e-5c8b-5d0b-9f7e-3d1f5b0c7a41")
_EXAMPLES = 5  # per template
_PHRASE_TURNS = 8  # per template of the phrase tier
_SLOTS = 20  # texts with a name in them
#: Coverage of the owner's manual templates as it was reported: 33 of 528 messages.
_BASELINE, _BASELINE_COVERED, _BASELINE_N = 0.062, 33, 528


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """The results of all steps."""

    messages: Messages
    candidates: Candidates
    coverage: Coverage
    matching: Matching


def stats(task: Task, mined: Mined) -> dict[str, Any]:
    """The figures, every share beside its n and interval."""
    counted, coverage, history = mined.messages.corpus, mined.coverage, mined.messages.history
    n = len(counted.ids)
    return {
        "total_messages": n,
        "unique_messages": len(counted.texts),
        "templates_extracted": len(coverage.chosen),
        "similarity": task.section.similarity,
        **_coverage_stats(mined, n),
        **_matching_stats(mined),
        "precision_target": task.section.precision,
        "embedding_time_seconds": round(mined.candidates.embedding_s, 2),
        "clustering_time_seconds": round(mined.candidates.clustering_s, 2),
        "left_out": dict(history.left_out.most_common()),
        "left_out_incoming": dict(history.left_out_incoming.most_common()),
        "refused": counted.refused,
        "slots": dict(list(counted.slots.items())[:_SLOTS]),
    }


def _coverage_stats(mined: Mined, n: int) -> dict[str, Any]:
    coverage, near = mined.coverage, mined.candidates.near
    used = [rolling_origin.in_use(near, origin, mined.messages.corpus) for origin in coverage.origins]
    return {
        **figures.coverage(coverage.origins),
        "drift": rolling_origin.drift(coverage.origins),
        **figures.chats(coverage.chats),
        **figures.proportion("coverage_in_sample", round(mined.candidates.share_in_clusters * n), n),
        **figures.proportion("coverage_of_mined", round(coverage.in_sample[-1] * n), n),
        "coverage_baseline": _BASELINE,
        "coverage_baseline_ci": figures.interval(_BASELINE_COVERED, _BASELINE_N),
        "coverage_baseline_n": _BASELINE_N,
        "in_use": figures.middle([share for share in used if share is not None]),
    }


def _matching_stats(mined: Mined) -> dict[str, Any]:
    matching, trials = mined.matching, mined.matching.trials
    return {
        **figures.answering(trials),
        "tiers": figures.tiers(trials, Counter(_tier(mined, number) for number in range(len(mined.coverage.chosen)))),
        "own_index": figures.own_index(trials),
        "baselines": figures.baselines(trials),
        "duels": figures.head_to_head(trials),
        "chances": figures.chances(trials),
        "manual": figures.manual(trials, len(matching.manual), _replaced(mined), matching.manual_problem),
    }


def _replaced(mined: Mined) -> list[dict[str, Any]]:
    """For each manual template whether it fired on any held-out turn, and the mined one whose reply is nearest."""
    matching, chosen = mined.matching, mined.coverage.chosen
    if not matching.manual:
        return []
    fired: set[int] = set().union(*(trial.manual_fired for trial in matching.trials))
    near = matching.manual_vectors @ mined.candidates.vectors[chosen].T
    return [
        {
            "name": template.name,
            "fired": number in fired,
            "template": mined.messages.corpus.shown[chosen[int(cosines.argmax())]],
            "cosine": round(float(cosines.max()), 4),
        }
        for number, (template, cosines) in enumerate(zip(matching.manual, near, strict=True))
    ]


def config(task: Task, mined: Mined) -> dict[str, Any]:
    """The settings, the two models, and under "numbers" what the sentences of templates.json are made of."""
    return {
        **task.section.model_dump(mode="json"),
        "matcher": {"name": task.matcher.name, "fingerprint": mined.matching.fingerprint},
        "embedder_name": task.embedder.name,
        "embedder_revision": task.embedder.revision,
        "numbers": {
            "min_people_needed": mined.messages.corpus.min_people,
            "chats_left_out": rolling_origin.CHATS_LEFT_OUT,
            "fires_at": FIRES_AT,
            "turns_timed": latency.MOST,
            "ranker": "regression",
            "problem": mined.matching.problem,
            "cluster_distance": OLD_DISTANCE,
            "cluster_messages": OLD_LEAST,
            "embedded_words": corpus.EMBEDDED_WORDS,
        },
    }


def newest_turns(mined: Mined) -> list[str]:
    """Incoming turns of the newest part; none of them is a trigger."""
    n, turns = len(mined.messages.corpus.ids), mined.messages.turns
    return [turns.shown[turn] for turn in turns.within(round(n * (1 - rolling_origin.SPAN)), n, n)]


# ------------------------------------------------------------------------------------------------ one row per template


def template_id(mined: Mined, place: int) -> str:
    """The uuid of the template at a place of the corpus: of its text alone."""
    return str(uuid.uuid5(_NAMESPACE, mined.messages.corpus.texts[place]))


def rows(task: Task, mined: Mined) -> list[dict[str, Any]]:
    """The rows of the table Template, the template that covers most first."""
    counted, chosen = mined.messages.corpus, mined.coverage.chosen
    counts, triggers = counted.counts(), _triggers(mined, task.section.similarity)
    templates = []
    for number, (place, members) in enumerate(zip(chosen, mined.candidates.near.of(chosen), strict=True)):
        others = [int(other) for other in members if other != place and counted.candidate[other]]
        templates.append(
            {
                "uuid": template_id(mined, place),
                "job": task.context.job_id,
                "run": task.context.run_id,
                "rank": number + 1,
                "representative": counted.shown[place],
                "frequency": int(counts[members].sum()),
                "uses": int(counts[place]),
                "people": len(np.unique(counted.people[np.isin(counted.ids, members)])),
                "examples": [counted.shown[other] for other in others[:_EXAMPLES]],
                "triggers": triggers[number],
                **_precision(mined, number, place),
            }
        )
    return templates


def _tier(mined: Mined, number: int) -> str:
    deployed = mined.matching.deployed
    return deployed.tiers[number] if deployed else tiers.PHRASE


def _precision(mined: Mined, number: int, place: int) -> dict[str, Any]:
    """Tier and threshold as deployed; precision of the same text at the origins."""
    trials, deployed = mined.matching.trials, mined.matching.deployed
    total = sum((trial.by_text[place] for trial in trials if place in trial.by_text), MatchCounts())
    interval = wilson(total.right, total.fired)
    return {
        "tier": _tier(mined, number),
        "threshold": deployed.thresholds[number] if deployed else None,
        "precision": figures.share(total.right, total.fired),
        "precision_low": None if interval is None else round(interval[0], 5),
        "fired": total.fired,
        "right": total.right,
    }


def _triggers(mined: Mined, similarity: float) -> list[list[str]]:
    """(k) the enabled triggers of each sendable template; for the phrase tier example turns, never used to match."""
    turns, chosen, deployed = mined.messages.turns, mined.coverage.chosen, mined.matching.deployed
    label = answers.nearest_template(mined.candidates.vectors, chosen, similarity)
    past = turns.past(len(mined.messages.corpus.ids))
    examples = tiers.bank(turns, past, mined.messages.may_trigger, label, len(chosen))
    shown: list[list[str]] = [[] for _ in chosen]
    for turn, owner in zip(examples.turns, examples.owners, strict=True):
        if _tier(mined, owner) == tiers.PHRASE and len(shown[owner]) < _PHRASE_TURNS:
            shown[owner].append(turns.shown[turn])
    if deployed:
        enabled = deployed.enabled
        for turn, owner in zip(deployed.bank.turns[enabled], deployed.bank.owners[enabled], strict=True):
            shown[owner].append(turns.shown[turn])
    return shown
