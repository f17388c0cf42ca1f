"""The job: read, count, embed, choose, measure, store, publish."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from jarvisd.context import JobContext
from jarvisd.errors import JobFailed
from jarvisd.kinds import Outcome
from jobs import imessage, models, templates
from jobs.embedding import Encoder, Interrupted
from jobs.imessage import History
from jobs.mine import answers, corpus, cover, measure
from jobs.mine.answers import Answers, Turns
from jobs.mine.corpus import Corpus
from jobs.mine.cover import Neighbours, Vectors
from jobs.mine.measure import Origin
from jobs.mine.plan import Section
from jobs.models import ModelEntry
from jobs.results import Mining, Template

#: Makes the ids of templates; any fixed UUID would do.
_NAMESPACE = uuid.UUID("6f0a2c0e-5c8b-5d0b-9f7e-3d1f5b0c7a41")
_EXAMPLES = 5
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
    vectors: Vectors
    near: Neighbours
    chosen: list[int]
    origins: list[Origin]
    answers: list[Answers]
    in_sample: list[float]
    in_any_cluster: float
    times: dict[str, float]


def mine(context: JobContext) -> Outcome:
    """Messages in, templates out. Asked to stop, it leaves its vectors in the cache and returns."""
    try:
        section, entry = _section(context)
        found = _find(context, section, entry)
    except (Interrupted, cover.Stopped):
        return Outcome(ok=False, reason="asked to stop; what was embedded is kept")
    stats = _stats(found, section)
    _store(context, found, stats, _config(section, entry))
    document = templates.document(context.run_id)
    context.publish("templates.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    return Outcome(
        summary={
            "messages": stats["total_messages"],
            "templates": stats["templates_extracted"],
            "coverage": stats["coverage"],
        }
    )


def _section(context: JobContext) -> tuple[Section, ModelEntry]:
    plan = dict(context.plan["mine"])
    entry = ModelEntry.model_validate(plan.pop("model"))
    return Section.model_validate(plan), entry


def _find(context: JobContext, section: Section, entry: ModelEntry) -> _Found:
    encoder = _encoder(context, entry)
    history = imessage.read(Path(context.params["messages"]))
    own = [message for message in history.messages if message.from_me][-section.sample :]
    context.log.info("%d messages of the owner's, %d in all", len(own), len(history.messages))
    counted = corpus.build(own, section.max_words)
    turns = answers.collect(imessage.turns(history.messages), counted, [message.when.timestamp() for message in own])
    started = time.monotonic()
    vectors, incoming = _embed(context, encoder, counted.texts, turns.texts)
    embedded = time.monotonic()
    near, old = _compare(context, counted, vectors, section)
    chosen, _ = cover.greedy(near, counted.counts(), section.templates, section.min_uses)
    if not chosen:
        raise JobFailed(
            f"{len(own)} messages of yours are too few: no {section.min_uses} of them are alike",
            "Mine a longer history, or lower mine.min_uses or mine.similarity.",
        )
    clustered = time.monotonic()
    found = measure.origins(counted, near, section.templates, section.min_uses)
    measured = [answers.measure(turns, incoming, vectors, origin, section.similarity) for origin in found]
    return _Found(
        history=history,
        corpus=counted,
        turns=turns,
        vectors=vectors,
        near=near,
        chosen=chosen,
        origins=found,
        answers=[part for part in measured if part is not None],
        in_sample=measure.steps(near, chosen, counted.counts()),
        in_any_cluster=old,
        times={"embedding": embedded - started, "clustering": clustered - embedded},
    )


def _encoder(context: JobContext, entry: ModelEntry) -> Encoder:
    what, folder = models.problem(entry, context.home), models.locate(entry, context.home)
    if what or folder is None:
        raise JobFailed(what or f"{entry.name} is not on this disk", models.remedy(entry))
    return Encoder(folder, entry.name, context.home.cache / "embeddings")


def _embed(context: JobContext, encoder: Encoder, own: list[str], incoming: list[str]) -> tuple[Vectors, Vectors]:
    """Vectors of both lists of texts; what is in the cache costs nothing."""
    texts = list(dict.fromkeys([*own, *incoming]))
    place = {text: at for at, text in enumerate(texts)}
    vectors = encoder.encode(
        texts, lambda done, total: context.progress(done, total, "texts embedded"), context.should_stop
    )
    context.log.info("%d texts embedded, %d were in the cache", encoder.computed, len(texts) - encoder.computed)
    return vectors[: len(own)], vectors[[place[text] for text in incoming]]


def _compare(context: JobContext, counted: Corpus, vectors: Vectors, section: Section) -> tuple[Neighbours, float]:
    """The neighbour lists, and the share of messages that the old script would have counted."""
    weights = counted.counts()
    near = cover.neighbours(
        vectors,
        counted.candidate,
        weights,
        section.similarity,
        least=section.min_uses,
        progress=lambda done, total: context.progress(done, total, "candidates compared"),
        should_stop=context.should_stop,
    )
    member = cover.in_any_cluster(
        vectors,
        weights,
        distance=OLD_DISTANCE,
        least=OLD_LEAST,
        progress=lambda done, total: context.progress(done, total, "texts counted the old way"),
        should_stop=context.should_stop,
    )
    return near, float(member[counted.ids].mean())


# ------------------------------------------------------------------------------------------------------- what is kept


def _stats(found: _Found, section: Section) -> dict[str, Any]:
    shares = [origin.coverage for origin in found.origins]
    used = [measure.in_use(found.near, origin, found.corpus) for origin in found.origins]
    return {
        "total_messages": len(found.corpus.ids),
        "unique_messages": len(found.corpus.texts),
        "templates_extracted": len(found.chosen),
        "similarity": section.similarity,
        "coverage": _median(shares),
        "coverage_range": [round(min(shares), 5), round(max(shares), 5)] if shares else None,
        "coverage_origins": [
            {
                "mined": origin.share,
                "held_out": origin.end - origin.begin,
                "coverage": round(origin.coverage, 5),
            }
            for origin in found.origins
        ],
        "coverage_in_sample": round(found.in_any_cluster, 5),
        "coverage_in_sample_definition": "share of messages inside any DBSCAN cluster (cosine distance "
        f"{OLD_DISTANCE}, at least {OLD_LEAST}), counted on the messages it was mined from",
        "coverage_of_mined": round(found.in_sample[-1], 5),
        "coverage_baseline": BASELINE,
        "coverage_baseline_source": BASELINE_SOURCE,
        "in_use": _median([share for share in used if share is not None]),
        **_answer_stats(found.answers),
        "embedding_time_seconds": round(found.times["embedding"], 2),
        "clustering_time_seconds": round(found.times["clustering"], 2),
        "left_out": dict(found.history.left_out.most_common()),
        "left_out_incoming": dict(found.history.left_out_incoming.most_common()),
        "refused": found.corpus.refused,
    }


def _answer_stats(parts: list[Answers]) -> dict[str, Any]:
    """Medians over origins; null where no origin had held-out turns."""
    return {
        "hit_rate": _median([part.fired / part.turns for part in parts]),
        "answered": _median([part.right / part.turns for part in parts]),
        "top3": _median([part.right_among_three / part.turns for part in parts]),
        "precision": _median([part.right / part.fired for part in parts if part.fired]),
        "turns_held_out": sum(part.turns for part in parts),
        "turns_replied": sum(part.replied for part in parts),
        "turns_fired": sum(part.fired for part in parts),
        "turns_right": sum(part.right for part in parts),
        "fires_at": answers.FIRES_AT,
    }


def _median(values: list[float]) -> float | None:
    return round(median(values), 5) if values else None


def _config(section: Section, entry: ModelEntry) -> dict[str, Any]:
    return {
        **section.model_dump(mode="json"),
        "embedder_name": entry.name,
        "embedder_revision": entry.revision,
        "method": "greedy weighted maximum coverage of normalised messages",
        "candidates": f"messages of at most {section.max_words} words; coverage counts messages of any length",
        "held_out": "mined on the oldest 50, 60, 70, 80 and 90 %, each measured on the 10 % that follows",
        "answers": f"incoming turns held out the same way; a template fires at cosine {answers.FIRES_AT} to a trigger",
        "tiers": "not calibrated: every template is a phrase, none is to be sent by itself",
    }


def _store(context: JobContext, found: _Found, stats: dict[str, Any], config: dict[str, Any]) -> None:
    """Replace what an earlier attempt of this job stored, in one piece."""
    rows = _rows(context, found, stats["similarity"])
    with context.piece():
        Template.delete().where(Template.job == context.job_id).execute()
        Mining.delete().where(Mining.job == context.job_id).execute()
        for row in rows:
            Template.insert(row).execute()
        Mining.insert(
            job=context.job_id,
            run=context.run_id,
            stats=stats,
            config=config,
            curve=measure.curve(found.origins, found.in_sample),
        ).execute()


def _rows(context: JobContext, found: _Found, similarity: float) -> list[dict[str, Any]]:
    counted = found.corpus
    counts = counted.counts()
    near = found.near.of(found.chosen)
    spoken = answers.triggers(found.turns, found.vectors, found.chosen, similarity)
    rows = []
    for rank, (place, members) in enumerate(zip(found.chosen, near, strict=True), start=1):
        others = [int(other) for other in members if other != place and counted.candidate[other]]
        rows.append(
            {
                "uuid": str(uuid.uuid5(_NAMESPACE, f"{context.run_id}/{context.job_id}/{counted.texts[place]}")),
                "job": context.job_id,
                "run": context.run_id,
                "rank": rank,
                "representative": counted.shown[place],
                "frequency": int(counts[members].sum()),
                "uses": int(counts[place]),
                "people": len(np.unique(counted.people[np.isin(counted.ids, members)])),
                "examples": [counted.shown[other] for other in others[:_EXAMPLES]],
                "triggers": spoken[rank - 1],
                "tier": "phrase",
                "threshold": None,
                "precision": None,
            }
        )
    return rows
