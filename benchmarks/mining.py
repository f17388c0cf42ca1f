"""How much do the templates cover, and what do they cost, beside the recipe "embed everything, DBSCAN"?

python -m benchmarks mining
python -m benchmarks.mining [--people N] [--minutes N] [--only ranking|tiers|coverage|embedding|cost|match|...]

The recipe: encode everything with batch 32, sklearn's DBSCAN(eps 0.35, min_samples 5, cosine), clusters of at least 8,
the message nearest the centre of each. Same encoder (all-MiniLM-L6-v2), same messages: the demonstration's corpus.

ranking   first right and one of three right on later turns, three people, paired with k-nearest neighbours by chat;
          with the extra jarvisd[fast] how often the first draft in int8 is that in float32, on the newest tenth
tiers     how often calibration calls a template automatic, by its true precision, simulated
coverage  held-out reply coverage at cosine 0.8 over five origins, three people; vectors come from var/cache
embedding processor time of many short texts, beside 0.1.0's way
cost      wall time and peak memory of whole processes with an empty cache, then this miner again with 1 % new messages;
          "once" is the check of the encoder against its own library, which an installation does once per model
          "hindsight" chooses with the held-out part before its eyes, from what was said before it and may be a
          template (said to three people, not refused); "any text" from all short texts that were said before it
match     time of one match on one core, with and without the extra jarvisd[fast]
scikit    scikit-learn's logistic regression beside the shipped one, on one origin; only on request
corpus    all messages of the corpus at once, as if one person had written them; only on request, it takes long

Vectors are kept in var/cache, so what was interrupted goes on where it was. With --minutes a part that would begin
later is left out, and the last line says which.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import _embedding, _mining, _ranking, _tiers, match
from benchmarks._mining import LEAST, MAX_WORDS, SIMILARITY, SMALLEST, TEMPLATES
from jarvisd import paths as homes
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.imessage import Message
from jobs.lib.matching.rules import SLACK
from jobs.mine import corpus, rolling_origin
from jobs.mine import coverage as coverage_search
from jobs.mine.coverage import Neighbours, Vectors
from jobs.verbs.demo import corpus as demo
from jobs.verbs.demo import packages, preparation

PEOPLE = (demo.OWNER, "720840be-e522-47ba-9e9f-143f66372673", "0f9fe1f8-9afe-4bc0-b283-4841cf9954d8")
#: What is shown without --only, in this order.
USUAL = ("ranking", "tiers", "embedding", "match", "cost", "coverage")
PARTS = (*USUAL, "scikit", "corpus")
NEW = 0.01  # share of messages that the second run has more than the first


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mining")
    parser.add_argument("--people", type=int, default=len(PEOPLE), choices=range(1, len(PEOPLE) + 1))
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--only", action="append", choices=PARTS)
    chosen = parser.parse_args(words or [])
    began, left_out = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.prepared(PEOPLE[: chosen.people], Path(folder))
        for part in chosen.only or USUAL:
            if time.monotonic() - began > 60 * chosen.minutes:
                left_out.append(part)
                continue
            print(f"{part}, after {time.monotonic() - began:.0f} s:", flush=True)
            getattr(bench, part)()
    print(f"  done after {time.monotonic() - began:.0f} s; left out: {', '.join(left_out) or 'nothing'}")


@dataclass(frozen=True)
class Bench:
    """What the parts share; each method is a part."""

    home: homes.Home
    owners: Sequence[str]
    data: bytes  #: the corpus as it lies in its wheel
    encoder: Encoder
    folder: Path  #: for what a part writes

    @classmethod
    def prepared(cls, owners: Sequence[str], folder: Path) -> Bench:
        home = homes.find()
        files = preparation.prepare(home, "small", lambda line: print("  " + line))
        encoder = Encoder(files.embedder, "all-MiniLM-L6-v2", home.cache / "embeddings")
        return cls(home, owners, conversations(home), encoder, folder)

    def ranking(self) -> None:
        """The ranking of each person, embedded once and kept in var/cache."""
        people: dict[str, _ranking.Measured] = {}
        agreements = []
        for owner in self.owners:
            data, origins = _ranking.data_of(_all(self.data, owner), self.encoder)
            people[owner] = _ranking.measure(data, origins)
            agreements.append(_ranking.in_int8(data, self.encoder, self.home.cache))
        _ranking.report(people)
        _ranking.report_int8(agreements)

    def tiers(self) -> None:
        _tiers.simulate()

    def coverage(self) -> None:
        for owner in self.owners:
            coverage(owner, _own(self.data, owner), self.encoder)

    def embedding(self) -> None:
        texts = sorted({message.text for message in _own(self.data, self.owners[0])})
        _embedding.compare([text for text in texts if len(text.split()) <= MAX_WORDS], self.encoder.folder)

    def cost(self) -> None:
        cost(_own(self.data, self.owners[0]), self.encoder.folder, self.folder)

    def match(self) -> None:
        match.main()

    def scikit(self) -> None:
        data, origins = _ranking.data_of(_all(self.data, self.owners[0]), self.encoder)
        _ranking.scikit(data, origins[0])

    def corpus(self) -> None:
        whole(self.data, self.encoder.folder, self.folder)


def conversations(home: homes.Home) -> bytes:
    """The corpus as it lies in its wheel."""
    pins = [
        pin
        for pin in packages.read_pins(Path(preparation.__file__).with_name("packages-small.txt"))
        if pin.name == "chitchat-dataset"
    ]
    wheel = packages.obtain(pins, home.cache / "packages", print)["chitchat-dataset"]
    return packages.read_member(wheel, demo.MEMBER)


def _all(data: bytes, owner: str) -> list[Message]:
    chats: dict[str, int] = {}
    return [
        Message(n, chats.setdefault(one.partner, len(chats)), False, one.partner, one.from_me, one.when, one.text)
        for n, one in enumerate(demo.read(data, owner))
    ]


def _own(data: bytes, owner: str) -> list[Message]:
    own_messages = [message for message in demo.read(data, owner) if message.from_me]
    return [
        Message(n, 0, False, message.partner, True, message.when, message.text)
        for n, message in enumerate(own_messages)
    ]


# ------------------------------------------------------------------------------------------------------------ coverage


@dataclass(frozen=True)
class Graph:
    """Which unique texts lie within the recipe's distance of each other: row pointers and columns."""

    start: NDArray[np.int64]
    columns: NDArray[np.int32]


def coverage(owner: str, messages: list[Message], encoder: Encoder) -> None:
    began = time.monotonic()
    counted = corpus.build(messages, MAX_WORDS)
    vectors = encoder.encode(counted.texts)
    near = coverage_search.neighbours(vectors, counted.sayable, counted.counts(), SIMILARITY, least=LEAST)
    origins = rolling_origin.origins(counted, near, TEMPLATES, LEAST)
    every = coverage_search.neighbours(
        vectors, counted.candidate | counted.short, counted.counts(), SIMILARITY, least=2.0
    )
    graph = _graph(vectors)
    lines = {"this miner": [origin.coverage for origin in origins], "the recipe": [], "hindsight": [], "any text": []}
    for origin in origins:
        later = np.bincount(counted.ids[origin.begin : origin.end], minlength=len(vectors)).astype(np.float32)
        chosen = _recipe(graph, vectors, counted, origin.begin)
        lines["the recipe"].append(_share(vectors, chosen, later))
        for name, allowed in (
            ("hindsight", counted.allowed(origin.begin)),
            ("any text", counted.counts(origin.begin) > 0),
        ):
            best = _hindsight(every, later, allowed)
            lines[name].append(coverage_search.cumulative_shares(every, best, later)[-1])
    middle = {name: median(values) for name, values in lines.items()}
    print(f"  person {owner[:8]}, {len(messages):,} messages, held-out coverage of {TEMPLATES} templates by origin:")
    for name, values in lines.items():
        print(f"    {name:10}  median {middle[name]:6.2%}   " + "  ".join(f"{value:6.2%}" for value in values))
    print(
        f"    {middle['this miner'] / max(middle['the recipe'], 1e-9):.1f} times the recipe (wanted: 4), "
        f"{middle['this miner'] / middle['hindsight']:.0%} of the best in hindsight by the same rules (wanted: 60 %), "
        f"{middle['this miner'] / middle['any text']:.0%} of the best of all short texts; "
        f"{encoder.computed:,} texts embedded, {time.monotonic() - began:.0f} s"
    )


def _hindsight(near: Neighbours, later: NDArray[np.float32], allowed: NDArray[np.bool_]) -> list[int]:
    """Greedy maximum coverage of `later` (u) by any allowed text, however close to another it lies."""
    left = later.astype(np.float64)
    open_lists = [number for number, place in enumerate(near.candidates) if allowed[place]]
    chosen: list[int] = []
    while open_lists and len(chosen) < TEMPLATES:
        best = max(open_lists, key=lambda number: left[near.lists[number]].sum())
        if not left[near.lists[best]].any():
            break
        chosen.append(int(near.candidates[best]))
        left[near.lists[best]] = 0.0
    return chosen


def _graph(vectors: Vectors) -> Graph:
    """Exact: one blocked product of all unique texts with each other."""
    limit = 1 - _mining.EPS - SLACK
    counts, columns = [], []
    for block in coverage_search.blocks(len(vectors), len(vectors)):
        rows, near_texts = np.nonzero(vectors[block] @ vectors.T >= limit)
        counts.append(np.bincount(rows, minlength=block.stop - block.start))
        columns.append(near_texts.astype(np.int32))
    return Graph(np.concatenate([[0], np.cumsum(np.concatenate(counts))]), np.concatenate(columns))


def _recipe(graph: Graph, vectors: Vectors, counted: corpus.Corpus, begin: int) -> list[int]:
    """What the recipe would choose from the first `begin` messages: DBSCAN on unique texts with weights is the same.

    A border text goes to the first cluster that reaches it, in order of the messages, as in sklearn. The texts are
    normalised, which joins more of them than the recipe by itself would.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(vectors)
    weights = counted.counts(begin)
    rows = np.repeat(np.arange(size, dtype=np.int32), np.diff(graph.start))
    degree = np.bincount(rows, weights=weights[graph.columns], minlength=size)
    core = (weights > 0) & (degree >= _mining.MIN_SAMPLES)
    kept = core[rows] & core[graph.columns]
    edges = (np.ones(int(kept.sum()), dtype=np.bool_), (rows[kept], graph.columns[kept]))
    _, part = connected_components(csr_matrix(edges, shape=(size, size)), directed=False)
    first = np.full(size, begin, dtype=np.int64)
    np.minimum.at(first, counted.ids[:begin], np.arange(begin))
    order = np.full(int(part.max()) + 1, begin, dtype=np.int64)
    np.minimum.at(order, part[core], first[core])
    label = np.where(core, order[part], begin)
    border = (weights[rows] > 0) & ~core[rows] & core[graph.columns]
    np.minimum.at(label, rows[border], label[graph.columns[border]])
    chosen: list[tuple[float, int]] = []
    for cluster in np.unique(label[(label < begin) & (weights > 0)]):
        members = np.flatnonzero((label == cluster) & (weights > 0))
        uses = float(weights[members].sum())
        if uses >= SMALLEST:
            centre = np.average(vectors[members], axis=0, weights=weights[members])
            chosen.append((-uses, int(members[np.linalg.norm(vectors[members] - centre, axis=1).argmin()])))
    return [place for _, place in sorted(chosen)[:TEMPLATES]]


def _share(vectors: Vectors, chosen: list[int], later: NDArray[np.float32]) -> float:
    if not chosen:
        return 0.0
    near = (vectors @ vectors[chosen].T >= SIMILARITY - SLACK).any(axis=1)
    return float(later[near].sum() / later.sum())


# ---------------------------------------------------------------------------------------------------------------- cost


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float  #: what others on the machine do disturbs it less
    peak_mb: float
    printed: dict[str, Any]


def cost(messages: list[Message], model: Path, folder: Path) -> None:
    first, second = folder / "first.json", folder / "second.json"
    _mining.save(messages[: round(len(messages) * (1 - NEW))], first)
    _mining.save(messages, second)
    once = _run("check", first, model, folder / "cache")
    mine = _run("miner", first, model, folder / "cache")
    peer = _run("recipe", first, model, folder / "cache")
    again = _run("miner", second, model, folder / "cache")
    for name, spent in (("once", once), ("this miner", mine), ("the recipe", peer), ("1 % more", again)):
        print(
            f"    {name:10}  {spent.seconds:6.1f} s  ({spent.cpu_seconds:.0f} s of processor)  "
            f"{spent.peak_mb:6.0f} MB at its peak, "
            f"{spent.printed['embedded']:,} texts embedded, {spent.printed['templates']} templates"
        )
    print(
        f"    {mine.cpu_seconds / peer.cpu_seconds:.2f} of the recipe's processor time (wanted: 0.20), "
        f"{mine.peak_mb / peer.peak_mb:.2f} of its memory (wanted: 0.25), "
        f"with 1 % new messages {again.seconds / mine.seconds:.2f} of the first run's time (wanted: 0.10)"
    )


def _run(which: str, messages: Path, model: Path, cache: Path) -> Cost:
    """A whole process, from its start to its end."""
    words = [sys.executable, "-m", "benchmarks._mining", which, str(messages), str(model), str(cache)]
    began = time.monotonic()
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{which} ended with {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    seconds, cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    return Cost(seconds, cpu, usage.ru_maxrss * unit / 2**20, json.loads(printed))


def whole(data: bytes, model: Path, folder: Path) -> None:
    """Every message of every writer, oldest first; the partner of each is the conversation."""
    conversations = json.loads(data)
    messages = [
        (message["timestamp"], key, message["text"])
        for key, value in conversations.items()
        for run in value["messages"]
        for message in run
    ]
    rows = [
        Message(n, 0, False, key, True, dt.datetime.fromisoformat(when), text)
        for n, (when, key, text) in enumerate(sorted(messages))
    ]
    _mining.save(rows, folder / "whole.json")
    spent = _run("miner", folder / "whole.json", model, folder / "whole")
    print(
        f"    the whole corpus, {len(rows):,} messages: {spent.seconds:.0f} s, {spent.peak_mb:,.0f} MB at its peak "
        f"(wanted: below 2,048), {spent.printed['embedded']:,} texts embedded, {spent.printed['templates']} templates"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
