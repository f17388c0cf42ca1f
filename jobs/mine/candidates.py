"""The texts that may become templates, compared with all others; and the templates chosen from them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jarvisd.plugin import JobFailed
from jobs.mine import coverage
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Neighbours, Vectors
from jobs.mine.inputs import Task

#: The parameters of JARVIS's earlier script: DBSCAN on cosine distance.
OLD_DISTANCE, OLD_LEAST = 0.35, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The texts of a corpus as vectors, and what lies near each text that may become a template."""

    vectors: Vectors  #: (u, d) unit rows; zeros for texts that are too long to lie near any template
    near: Neighbours
    share_in_clusters: float  #: of the messages, that the earlier script would have counted as covered
    embedding_s: float
    clustering_s: float


def compare(task: Task, corpus: Corpus) -> Candidates:
    """Embed what is short enough and compare it. Raises Stopped, and JobFailed where the embedder cannot be used."""
    encoder = task.encoder
    places = np.flatnonzero(corpus.embeddable)
    started = time.monotonic()
    embedded = task.embed(encoder, [corpus.texts[place] for place in places])
    compared_from = time.monotonic()
    near, share = _neighbours(task, corpus, places, embedded), _share_in_clusters(task, corpus, places, embedded)
    vectors = np.zeros((len(corpus.texts), embedded.shape[1]), dtype=np.float32)
    vectors[places] = embedded
    return Candidates(
        vectors=vectors,
        near=near,
        share_in_clusters=share,
        embedding_s=compared_from - started,
        clustering_s=time.monotonic() - compared_from,
    )


def _neighbours(task: Task, corpus: Corpus, places: NDArray[np.intp], embedded: Vectors) -> Neighbours:
    """Lists over all texts; `embedded` (p, d) are the vectors of the texts at `places`."""
    near = coverage.neighbours(
        embedded,
        corpus.sayable[places],
        corpus.counts()[places],
        task.section.similarity,
        least=task.section.min_uses,
        progress=lambda done, total: task.context.progress(done, total, "candidates compared"),
        should_stop=task.context.should_stop,
    )
    return coverage.widened(near, places)


def _share_in_clusters(task: Task, corpus: Corpus, places: NDArray[np.intp], embedded: Vectors) -> float:
    weights = corpus.counts()[places]
    member = coverage.in_any_cluster(
        embedded,
        weights,
        distance=OLD_DISTANCE,
        least=OLD_LEAST,
        progress=lambda done, total: task.context.progress(done, total, "texts counted the old way"),
        should_stop=task.context.should_stop,
    )
    return float(weights[member].sum() / len(corpus.ids))


def choose(task: Task, corpus: Corpus, candidates: Candidates) -> list[int]:
    """Places of the chosen templates, the one that covers most first. Raises JobFailed where there is none."""
    section = task.section
    chosen, _ = coverage.greedy(
        candidates.near, corpus.counts(), section.templates, section.min_uses, allowed=corpus.candidate
    )
    if not chosen:
        raise JobFailed(
            f"{len(corpus.ids)} messages of yours are too few: no {section.min_uses} of them are alike",
            "Mine a longer history, or lower mine.min_uses or mine.similarity.",
        )
    return chosen
