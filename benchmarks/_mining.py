"""The miners that benchmarks/mining.py compares, each as a program of its own, so that time and memory are whole.

python -m benchmarks._mining check|miner|recipe MESSAGES.json MODEL CACHE     one JSON object on stdout
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from jobs.lib.imessage import Message

TEMPLATES, SIMILARITY, LEAST, MAX_WORDS = 120, 0.8, 3.0, 12
EPS, MIN_SAMPLES, SMALLEST = 0.35, 5, 8


def save(messages: list[Message], path: Path) -> None:
    path.write_text(json.dumps([[m.person, m.when.timestamp(), m.text] for m in messages]))


def load(path: Path) -> list[Message]:
    rows = json.loads(path.read_text())
    return [
        Message(number, 0, False, person, True, dt.datetime.fromtimestamp(when, dt.UTC), text)
        for number, (person, when, text) in enumerate(rows)
    ]


def miner(messages: list[Message], model: Path, cache: Path) -> dict[str, Any]:
    """Count, embed what can lie near a template, choose, measure over the origins."""
    import numpy as np

    from jobs.lib.embedding.encoder import Encoder
    from jobs.lib.embedding.numpy_bert import Bert
    from jobs.mine import corpus, coverage, rolling_origin

    counted = corpus.build(messages, MAX_WORDS)
    wanted = np.flatnonzero(counted.embeddable)
    encoder = Encoder(model, "all-MiniLM-L6-v2", cache, fast=Bert)
    vectors = encoder.encode([counted.texts[place] for place in wanted])
    near = coverage.widened(
        coverage.neighbours(vectors, counted.sayable[wanted], counted.counts()[wanted], SIMILARITY, least=LEAST),
        wanted,
    )
    chosen, _ = coverage.greedy(near, counted.counts(), TEMPLATES, LEAST, allowed=counted.candidate)
    origins = rolling_origin.origins(counted, near, TEMPLATES, LEAST)
    return {
        "texts": len(counted.texts),
        "embedded": encoder.computed,
        "templates": len(chosen),
        "coverage": [origin.coverage for origin in origins],
    }


def check(_messages: list[Message], model: Path, cache: Path) -> dict[str, Any]:
    """What an installation does once per model before it trusts the lighter library with it."""
    from jobs.lib.embedding.encoder import Encoder
    from jobs.lib.embedding.numpy_bert import Bert

    agrees = Encoder(model, "all-MiniLM-L6-v2", cache, fast=Bert).lighter() is not None
    return {"texts": 0, "embedded": 0, "templates": 0, "agrees": agrees}


def recipe(messages: list[Message], model: Path, _cache: Path) -> dict[str, Any]:
    """Encode everything with batch 32, DBSCAN, the message nearest the centre of each large cluster."""
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sklearn.cluster import DBSCAN

    texts = [message.text for message in messages]
    encoder = SentenceTransformer(str(model), device="cpu")
    vectors = encoder.encode(texts, batch_size=32, show_progress_bar=False)
    labels = DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, metric="cosine", n_jobs=-1).fit_predict(vectors)
    chosen = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        if len(members) >= SMALLEST:
            centre = vectors[members].mean(axis=0)
            chosen.append(texts[members[np.linalg.norm(vectors[members] - centre, axis=1).argmin()]])
    return {"texts": len(texts), "embedded": len(texts), "templates": len(chosen)}


def main(words: list[str]) -> None:
    which, messages, model, cache = words
    run = {"check": check, "miner": miner, "recipe": recipe}[which]
    print(json.dumps(run(load(Path(messages)), Path(model), Path(cache))))


if __name__ == "__main__":
    main(sys.argv[1:])
