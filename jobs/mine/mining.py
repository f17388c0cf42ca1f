"""The job: read, count, embed, choose, measure, store, publish."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jarvisd.plugin import JobContext, JobFailed, Outcome
from jobs.lib import imessage
from jobs.lib.imessage import History
from jobs.lib.matching.rules import FIRES_AT
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results import templates_document
from jobs.lib.results.tables import Mining, Template
from jobs.lib.stats import wilson
from jobs.lib.stopping import Stopped
from jobs.mine import answers, corpus, coverage, latency, person_names, rolling_origin, tiers
from jobs.mine import figures as mining_figures
from jobs.mine.answers import Mask, MatchCounts, Turns
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Neighbours, Vectors
from jobs.mine.matching import Matching, embed, encoder_of, match
from jobs.mine.plan import Section
from jobs.mine.rolling_origin import Origin

#: Makes the ids of templates; any fixed UUID would do.
_NAMESPACE = uuid.UUID("6f0a2c0e-5c8b-5d0b-9f7e-3d1f5b0c7a41")
_EXAMPLES = 5
_SHOWN = 8  # triggers of a phrase
_SLOTS = 20  # texts with a name in them
BASELINE = 0.062
BASELINE_SOURCE = "reported, 33 of 528, method unknown"
#: The old script's parameters: DBSCAN on cosine distance.
OLD_DISTANCE, OLD_LEAST = 0.35, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """All that one mining knows, in memory."""

    history: History
    corpus: Corpus
    turns: Turns
    may: Mask  #: (turns) which of them may be triggers
    vectors: Vectors
    near: Neighbours
    chosen: list[int]
    origins: list[Origin]
    chats: list[tuple[int, int]]
    in_sample: list[float]
    in_any_cluster: float
    times: dict[str, float]
    matching: Matching


def mine(context: JobContext) -> Outcome:
    """Messages in, templates out. Asked to stop, it leaves its vectors in the cache and returns."""
    try:
        section, entry, matcher = _section(context)
        found = _find(context, section, entry, matcher)
    except Stopped:
        return Outcome(ok=False, reason="asked to stop; what was embedded is kept")
    figures = _stats(found, section)
    _store(context, found, figures, _config(section, entry, matcher, found))
    _time_matches(context, found, figures)
    document = templates_document.document(context.run_id)
    context.publish("templates.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    return Outcome(
        reason="; ".join(part for part in (found.matching.problem, found.matching.manual_problem) if part),
        summary={
            "messages": figures["total_messages"],
            "templates": figures["templates_extracted"],
            "coverage": figures["coverage"],
            **{tier: figures["tiers"][tier]["templates"] for tier in tiers.TIERS},
        },
    )


def _section(context: JobContext) -> tuple[Section, ModelEntry, ModelEntry]:
    plan = dict(context.plan["mine"])
    entry, matcher = (ModelEntry.model_validate(plan.pop(name)) for name in ("model", "matcher_model"))
    return Section.model_validate(plan), entry, matcher


def _find(context: JobContext, section: Section, entry: ModelEntry, matcher: ModelEntry) -> _Found:
    encoder = encoder_of(context, entry)
    history = imessage.read(Path(context.params["messages"]))
    own = [message for message in history.messages if message.from_me][-section.sample :]
    context.log.info("%d messages of the owner's, %d in all", len(own), len(history.messages))
    known = person_names.addressed_names(own) | person_names.known({message.person for message in history.messages}, ())
    counted = corpus.build(own, section.max_words, known, section.min_people)
    turns = answers.collect(imessage.turns(history.messages), counted, [message.when.timestamp() for message in own])
    started = time.monotonic()
    wanted = np.flatnonzero(counted.embeddable)
    some = embed(context, encoder, [counted.texts[place] for place in wanted])
    embedded = time.monotonic()
    near, old = _compare(context, counted, wanted, some, section)
    vectors = np.zeros((len(counted.texts), some.shape[1]), dtype=np.float32)
    vectors[wanted] = some
    chosen, _ = coverage.greedy(near, counted.counts(), section.templates, section.min_uses)
    if not chosen:
        raise JobFailed(
            f"{len(own)} messages of yours are too few: no {section.min_uses} of them are alike",
            "Mine a longer history, or lower mine.min_uses or mine.similarity.",
        )
    clustered = time.monotonic()
    origins = rolling_origin.origins(counted, near, section.templates, section.min_uses)
    ground = (counted, turns, vectors, near, tiers.allowed(turns))
    return _Found(
        history=history,
        corpus=counted,
        turns=turns,
        may=ground[-1],
        vectors=vectors,
        near=near,
        chosen=chosen,
        origins=origins,
        chats=rolling_origin.chats_left_out(counted, near, section.templates, section.min_uses),
        in_sample=rolling_origin.steps(near, chosen, counted.counts()),
        in_any_cluster=old,
        matching=match(context, section, encoder, matcher, ground, chosen, origins),
        times={"embedding": embedded - started, "clustering": clustered - embedded},
    )


def _compare(
    context: JobContext, counted: Corpus, wanted: NDArray[np.intp], vectors: Vectors, section: Section
) -> tuple[Neighbours, float]:
    """The neighbour lists, and the share of messages that the old script would have counted.

    vectors are those of the texts at the places `wanted`: an essay lies near nothing.
    """
    weights = counted.counts()[wanted]
    near = coverage.neighbours(
        vectors,
        counted.candidate[wanted],
        weights,
        section.similarity,
        least=section.min_uses,
        progress=lambda done, total: context.progress(done, total, "candidates compared"),
        should_stop=context.should_stop,
    )
    member = coverage.in_any_cluster(
        vectors,
        weights,
        distance=OLD_DISTANCE,
        least=OLD_LEAST,
        progress=lambda done, total: context.progress(done, total, "texts counted the old way"),
        should_stop=context.should_stop,
    )
    return coverage.widened(near, wanted), float(weights[member].sum() / len(counted.ids))


# ------------------------------------------------------------------------------------------------------- what is kept


def _stats(found: _Found, section: Section) -> dict[str, Any]:
    used = [rolling_origin.in_use(found.near, origin, found.corpus) for origin in found.origins]
    match = found.matching
    n = len(found.corpus.ids)
    old = round(found.in_any_cluster * n)
    return {
        "total_messages": n,
        "unique_messages": len(found.corpus.texts),
        "templates_extracted": len(found.chosen),
        "similarity": section.similarity,
        **mining_figures.coverage(found.origins),
        "drift": rolling_origin.drift(found.origins),
        **mining_figures.chats(found.chats),
        **mining_figures.proportion("coverage_in_sample", old, n),
        "coverage_in_sample_definition": "share of messages inside any DBSCAN cluster (cosine distance "
        f"{OLD_DISTANCE}, at least {OLD_LEAST}), counted on the messages it was mined from; messages of more than "
        f"{corpus.EMBEDDED_WORDS} words count as outside",
        **mining_figures.proportion("coverage_of_mined", round(found.in_sample[-1] * n), n),
        "coverage_baseline": BASELINE,
        "coverage_baseline_ci": mining_figures.interval(33, 528),
        "coverage_baseline_n": 528,
        "coverage_baseline_source": BASELINE_SOURCE,
        "in_use": mining_figures.middle([share for share in used if share is not None]),
        **mining_figures.answering(match.trials),
        "precision_target": section.precision,
        "tiers": mining_figures.tiers(match.trials, Counter(match.tiers or [tiers.PHRASE] * len(found.chosen))),
        "own_index": mining_figures.own_index(match.trials),
        "baselines": mining_figures.baselines(match.trials),
        "duels": mining_figures.head_to_head(match.trials),
        "manual": mining_figures.manual(match.trials, len(match.manual), _replaced(found), match.manual_problem),
        "embedding_time_seconds": round(found.times["embedding"], 2),
        "clustering_time_seconds": round(found.times["clustering"], 2),
        "left_out": dict(found.history.left_out.most_common()),
        "left_out_incoming": dict(found.history.left_out_incoming.most_common()),
        "refused": found.corpus.refused,
        "slots": dict(list(found.corpus.slots.items())[:_SLOTS]),
    }


def _replaced(found: _Found) -> list[dict[str, Any]]:
    """For each manual template whether it fired on any held-out turn, and the mined one whose reply is nearest."""
    match = found.matching
    if not match.manual:
        return []
    fired: set[int] = set().union(*(part.manual_fired for part in match.trials))
    near = match.manual_vectors @ found.vectors[found.chosen].T
    return [
        {
            "name": one.name,
            "fired": number in fired,
            "template": found.corpus.shown[found.chosen[int(row.argmax())]],
            "cosine": round(float(row.max()), 4),
        }
        for number, (one, row) in enumerate(zip(match.manual, near, strict=True))
    ]


def _config(section: Section, entry: ModelEntry, matcher: ModelEntry, found: _Found) -> dict[str, Any]:
    match = found.matching
    return {
        **section.model_dump(mode="json"),
        "matcher": {"name": matcher.name, "fingerprint": match.fingerprint},
        "embedder_name": entry.name,
        "embedder_revision": entry.revision,
        "method": "greedy weighted maximum coverage of normalised messages",
        "candidates": f"messages of at most {section.max_words} words, said twice or more, that "
        f"{found.corpus.min_people} people got; coverage counts messages of any length",
        "held_out": "coverage: mined on the oldest 50, 60, 70, 80 and 90 %, each measured on the 10 % that follows",
        "parts": "answers and tiers: mined on the oldest 50, 60, 70 and 80 %, triggers and tiers chosen on the next "
        "10 %, reported on the 10 % after that; nothing reported on was mined or calibrated on",
        "chat_out": f"mined without the chat, measured on it, for each of the {rolling_origin.CHATS_LEFT_OUT} largest",
        "answers": f"JARVIS's rule: the best cosine to any enabled trigger, your own templates' included, fires "
        f"from {FIRES_AT} on; right "
        f"when your real reply's first message lies within {section.similarity:g} of the template",
        "tiers": match.problem
        or f"automatic: lower end of the 95 % Wilson interval of precision at least {section.precision:g} on the "
        "calibration part; suggest: among three drafts more turns have a right one with it than without it; "
        "phrase: neither, shown and never sent",
        "deployed": "templates mined on everything; triggers from the oldest 90 %, tiers and thresholds chosen on the "
        "newest 10 %; precision is that of the same text at the origins",
        "match_time": f"up to {latency.MOST} incoming turns of the newest 10 % through the index as deployed, loaded "
        "and warm, one after another",
    }


def _store(context: JobContext, found: _Found, figures: dict[str, Any], config: dict[str, Any]) -> None:
    """Replace what an earlier attempt of this job stored, in one piece."""
    rows = _rows(context, found, figures["similarity"])
    with context.piece():
        Template.delete().where(Template.job == context.job_id).execute()
        Mining.delete().where(Mining.job == context.job_id).execute()
        for row in rows:
            Template.insert(row).execute()
        Mining.insert(
            job=context.job_id,
            run=context.run_id,
            stats=figures,
            config=config,
            curve=rolling_origin.curve(found.origins, found.in_sample),
        ).execute()


def _time_matches(context: JobContext, found: _Found, figures: dict[str, Any]) -> None:
    """Adds to the stored figures how long a match takes, on turns of the newest part: none of them is a trigger."""
    n = len(found.corpus.ids)
    held = found.turns.within(round(n * (1 - rolling_origin.SPAN)), n, n)
    timed = latency.of_matches(context, [found.turns.shown[turn] for turn in held])
    with context.piece():
        Mining.update(stats=figures | timed).where(Mining.job == context.job_id).execute()


def _rows(context: JobContext, found: _Found, similarity: float) -> list[dict[str, Any]]:
    counted = found.corpus
    counts = counted.counts()
    near = found.near.of(found.chosen)
    spoken = _triggers(found, similarity)
    rows = []
    for number, (place, members) in enumerate(zip(found.chosen, near, strict=True)):
        others = [int(other) for other in members if other != place and counted.candidate[other]]
        rows.append(
            {
                "uuid": str(uuid.uuid5(_NAMESPACE, counted.texts[place])),
                "job": context.job_id,
                "run": context.run_id,
                "rank": number + 1,
                "representative": counted.shown[place],
                "frequency": int(counts[members].sum()),
                "uses": int(counts[place]),
                "people": len(np.unique(counted.people[np.isin(counted.ids, members)])),
                "examples": [counted.shown[other] for other in others[:_EXAMPLES]],
                "triggers": spoken[number],
                **_measured(found.matching, number, place),
            }
        )
    return rows


def _measured(match: Matching, number: int, place: int) -> dict[str, Any]:
    """Tier and threshold of tonight's calibration, precision of the same text at the origins."""
    parts = [part.by_text[place] for part in match.trials if place in part.by_text]
    total = sum(parts, MatchCounts())
    ends = wilson(total.right, total.fired)
    return {
        "tier": match.tiers[number] if match.tiers else tiers.PHRASE,
        "threshold": match.deployed.thresholds[number] if match.deployed else None,
        "precision": mining_figures.share(total.right, total.fired),
        "precision_low": None if ends is None else round(ends[0], 5),
        "fired": total.fired,
        "right": total.right,
    }


def _triggers(found: _Found, similarity: float) -> list[list[str]]:
    """(k) the enabled triggers of the sendable templates; of a phrase the turns that led to it, for the eye alone."""
    turns, match = found.turns, found.matching
    label = answers.nearest_template(found.vectors, found.chosen, similarity)
    everything = tiers.bank(turns, turns.past(len(found.corpus.ids)), found.may, label, len(found.chosen))
    spoken: list[list[str]] = [[] for _ in found.chosen]
    for turn, owner in zip(everything.turns, everything.owners, strict=True):
        if (match.tiers[owner] if match.tiers else tiers.PHRASE) == tiers.PHRASE and len(spoken[owner]) < _SHOWN:
            spoken[owner].append(turns.shown[turn])
    if match.deployed:
        bank, enabled = match.deployed.bank, match.deployed.enabled
        for turn, owner in zip(bank.turns[enabled], bank.owners[enabled], strict=True):
            spoken[owner].append(turns.shown[turn])
    return spoken
