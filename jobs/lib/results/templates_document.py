"""templates.json, built from the database alone.

The database holds codes and numbers; the sentences that explain them are written here, so that a better wording
reaches earlier runs too. Runs of versions that stored the sentences keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.lib.results.tables import Mining, Template

#: What each row of `baselines` measures; {fires_at} is the cosine from which JARVIS fires.
_BASELINES = {
    "ranked": "mined templates, ranked by a regression on the turn and what came before it; three drafts, none "
    "where the message is about death, health, the law or a quarrel",
    "ranked, text alone": "the same, without what came before the turn: as `match` ranks without --context",
    "k-nearest": "mined templates, ranked for the turn by a vote of the past turns most like it",
    "most frequent": "always the same: the replies that were most frequent before",
    "every trigger": "mined templates by JARVIS's rule (best trigger from cosine {fires_at} on), no trigger dropped",
    "most frequent, where fired": "always the most frequent replies, on the turns of the line above alone",
    "exact": "what followed most often when the very same text came before",
    "ranked, where exact": "mined templates, ranked, on the turns of the line above alone",
    "deployed": "mined templates by JARVIS's rule, with the calibrated triggers of both sendable tiers alone",
    "manual": "your present templates by JARVIS's rule",
    "ranked, where manual": "mined templates, ranked, on the turns of the line above alone",
}
#: Runs of 0.1.0 ranked by k-nearest neighbours, and say nothing of a ranker.
_VOTED = "mined templates, ranked for the turn by the past turns most like it; always three drafts"
_IN_SAMPLE = (
    "share of messages inside any DBSCAN cluster (cosine distance {cluster_distance}, at least {cluster_messages}), "
    "counted on the messages it was mined from; messages of more than {embedded_words} words count as outside"
)
_BASELINE_SOURCE = "reported, 33 of 528, method unknown"
#: How each part of the document was measured.
_METHOD = {
    "method": "greedy weighted maximum coverage of normalised messages",
    "candidates": "messages of at most {max_words} words, said twice or more, that {min_people_needed} people got; "
    "coverage counts messages of any length",
    "held_out": "coverage: mined on the oldest 50, 60, 70, 80 and 90 %, each measured on the 10 % that follows",
    "parts": "answers and tiers: mined on the oldest 50, 60, 70 and 80 %, triggers and tiers chosen on the next 10 %, "
    "reported on the 10 % after that; nothing reported on was mined or calibrated on",
    "chat_out": "mined without the chat, measured on it, for each of the {chats_left_out} largest",
    "answers": "JARVIS's rule: the best cosine to any enabled trigger, your own templates' included, fires from "
    "{fires_at} on; right when your real reply's first message lies within {similarity:g} of the template",
    "tiers": "automatic: lower end of the 95 % Wilson interval of precision at least {precision:g} on the calibration "
    "part; suggest: among three drafts more turns have a right one with it than without it; phrase: neither, shown "
    "and never sent",
    "deployed": "templates mined on everything; triggers from the oldest 90 %, tiers and thresholds chosen on the "
    "newest 10 %; precision is that of the same text at the origins",
    "ranker": "multinomial logistic regression with the past shares as offset, on the vectors of the turn, of its last "
    "message and of your message before it, and ten numbers; number of epochs by the calibration part, then fitted to "
    "both parts; `chances` counts its first drafts on the report parts",
    "match_time": "up to {turns_timed} incoming turns of the newest 10 % through the index as deployed, loaded and "
    "warm, one after another",
}


def document(run_id: str) -> dict[str, Any] | None:
    """A run's mining in the shape of templates.json; None where it has none."""
    mining = Mining.select().where(Mining.run == run_id).order_by(Mining.job.desc()).first()
    if mining is None:
        return None
    rows = Template.select().where(Template.job == mining.job_id).order_by(Template.rank)
    return {
        "stats": _stats(mining),
        "templates": [_template(row) for row in rows],
        "config": _config(mining),
    }


def _stats(mining: Mining) -> dict[str, Any]:
    stats, numbers = dict(mining.stats), mining.config.get("numbers")
    if numbers is None:
        return stats
    stats["coverage_in_sample_definition"] = _IN_SAMPLE.format_map(numbers)
    stats["coverage_baseline_source"] = _BASELINE_SOURCE
    explained = _BASELINES if "ranker" in numbers else _BASELINES | {"ranked": _VOTED}
    stats["baselines"] = {
        name: {"what": explained[name].format_map(numbers), **row} for name, row in stats["baselines"].items()
    }
    return stats


def _config(mining: Mining) -> dict[str, Any]:
    config = dict(mining.config)
    numbers: Mapping[str, Any] | None = config.pop("numbers", None)
    if numbers is None:
        return config
    values = {**config, **numbers}
    sentences = {name: sentence.format_map(values) for name, sentence in _METHOD.items()}
    if "ranker" not in numbers:
        del sentences["ranker"]
    if numbers["problem"]:
        sentences["tiers"] = numbers["problem"]
    return config | sentences


def _template(row: Template) -> dict[str, Any]:
    return {
        "id": row.uuid,
        "rank": row.rank,
        "representative": row.representative,
        "frequency": row.frequency,
        "uses": row.uses,
        "examples": row.examples,
        "triggers": row.triggers,
        "people": row.people,
        "tier": row.tier,
        "threshold": row.threshold,
        "precision": row.precision,
        "precision_low": row.precision_low,
        "fired": row.fired,
        "right": row.right,
    }
