"""A ranker for a stored mining, whose answers are known: each template follows its own triggers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.matching import inputs
from jobs.lib.matching.inputs import Asked
from jobs.lib.matching.ranker import Ranker
from jobs.lib.matching.rules import form_of
from jobs.lib.results.tables import Mining, Ranking, Template

_SHARPNESS = 12.0  # how strongly a cosine of 1 to a trigger speaks for its template


def ranker_of(run: Run, home: Home, embedder: Path) -> Ranker:
    """softmax over _SHARPNESS * cosine between the turn and the mean of the template's triggers."""
    rows = list(Template.select().where(Template.run == run).order_by(Template.rank))
    encoder = Encoder(embedder, "tiny", home.cache / "unused")
    means = [encoder.encode([form_of(text) for text in row.triggers]).mean(axis=0) for row in rows]
    size = len(means[0])
    weights = np.zeros((3 * size + len(inputs.numbers(Asked(("",)))), len(rows) + 1), dtype=np.float32)
    for column, mean in enumerate(means, start=1):
        weights[:size, column] = _SHARPNESS * mean
    return Ranker(weights, np.zeros(len(rows) + 1, dtype=np.float32), tuple(str(row.uuid) for row in rows))


def store_ranker(run: Run, home: Home, embedder: Path) -> Ranker:
    """Store it as the run's mining would."""
    ranker = ranker_of(run, home, embedder)
    mining = Mining.get(Mining.run == run)
    with database.write():
        Ranking.create(job=mining.job_id, run=run, space="float32", weights=ranker.to_bytes(), figures={})
    return ranker


def make_ranked(run: Run, home: Home, embedder: Path, rows: list[tuple[str, list[str]]]) -> Run:
    """A finished mining in `run` whose templates, all phrases, follow their triggers; measured with `embedder`."""
    job = Job.get(Job.run == run)
    fingerprint = Encoder(embedder, "tiny", home.cache / "unused").fingerprint
    entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": str(embedder)}
    with database.write():
        Run.update(snapshot={"plan": {"mine": {"matcher": "tiny", "model": entry}}}).where(Run.id == run.id).execute()
        config = {"matcher": {"name": "tiny", "fingerprint": fingerprint}}
        Mining.create(job=job, run=run, stats={}, config=config, curve=[])
        for rank, (reply, triggers) in enumerate(rows, start=1):
            texts = {"representative": reply, "triggers": triggers, "examples": [], "tier": "phrase"}
            Template.create(uuid=f"uuid-{rank}", job=job, run=run, rank=rank, frequency=9, uses=5, people=4, **texts)
    store_ranker(run, home, embedder)
    return Run.get_by_id(run.id)
