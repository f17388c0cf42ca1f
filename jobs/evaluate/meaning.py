"""The meaning layer: whether a reply says what the owner really said, by the cosine of two sentence embeddings.

What is shown is clip((similarity - random) / (1 - random), 0, 1): any two replies of one person are alike to some
degree, so `random` is how much another of the owner's answers, to something else, resembles the real one. Sentence
embeddings and their cosine: N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019, arXiv 1908.10084.

Not promised: that a low value is a bad reply. There is more than one good answer, and a yes may have stood where the
owner said no. How it is said is not looked at.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jarvisd.context import JobContext
from jarvisd.errors import JobFailed
from jobs import models, statistics
from jobs.embedding import Encoder
from jobs.models import ModelEntry
from jobs.results import RealTurn, Yardstick
from jobs.statistics import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

LAYER = "meaning"
LEAST_TURNS = 2
_LEAST_ROOM = 1e-3  # between `random` and 1


def encoder_of(context: JobContext) -> Encoder | str:
    """The plan's embedder with the installation's cache, or why there is none. Loads nothing yet."""
    entry = context.plan["evaluate"].get("meaning")
    if entry is None:
        return "the plan names no embedder"
    named = ModelEntry.model_validate(entry)
    what, folder = models.problem(named, context.home), models.locate(named, context.home)
    if what or folder is None:
        return what or f"{named.name} is not on this disk"
    try:
        return Encoder(folder, named.name, context.home.cache / "embeddings")
    except JobFailed as failure:
        return failure.what


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The owner's real answers as unit vectors, and how alike two of them are that answer different things."""

    rows: dict[int, int]  #: place of the real turn -> row
    vectors: Vectors  #: (turns, size)
    random: Estimate

    def similarities(self, places: Sequence[int], replies: Vectors) -> list[float]:
        """Cosine of each row of `replies` with the owner's answer at its place."""
        own = self.vectors[[self.rows[place] for place in places]]
        return [float(value) for value in (own * replies).sum(axis=1)]

    def value(self, similarity: float) -> float:
        """0 = no closer than a random answer of the owner's, 1 = the same."""
        return min(1.0, max(0.0, (similarity - self.random.mean) / (1 - self.random.mean)))


def answers(turns: Sequence[RealTurn], vectors: Vectors) -> Answers | str:
    """What replies are compared with, or why that cannot be. `vectors` (n, size) are of the answers, unit rows."""
    found = random_similarity([turn.chat for turn in turns], vectors)
    if found is None:
        return f"it needs {LEAST_TURNS} real turns or more"
    if found.mean > 1 - _LEAST_ROOM:
        return "your real answers all say the same"
    return Answers(rows={turn.place: row for row, turn in enumerate(turns)}, vectors=vectors, random=found)


def random_similarity(chats: Sequence[int], vectors: Vectors) -> Estimate | None:
    """Mean cosine of an answer with every other answer, over all answers; None for fewer than two.

    The interval takes conversations as independent (the mean of each counts once in it); the value is the mean of
    all, because any turn may be the one that a reply is compared with. `n` is the number of answers.
    """
    n = len(chats)
    if n < LEAST_TURNS:
        return None
    total = vectors.sum(axis=0)
    each = [float(value) for value in (vectors @ total - (vectors * vectors).sum(axis=1)) / (n - 1)]
    of_chat = defaultdict(list)
    for chat, value in zip(chats, each, strict=True):
        of_chat[str(chat)].append(value)
    spread = statistics.clustered_interval(of_chat)
    low, high = (spread.low, spread.high) if spread else (None, None)
    mean = math.fsum(each) / n
    # Conversations of very different lengths may put the mean of all outside the interval of their means.
    return Estimate(mean, None if low is None else min(low, mean), None if high is None else max(high, mean), n)


def yardstick(run_id: str, random: Estimate) -> dict[str, Any]:
    """The row of the table Yardstick."""
    return {
        "run": run_id,
        "layer": LAYER,
        "what": "random",
        "value": random.mean,
        "low": random.low,
        "high": random.high,
        "n": random.n,
    }


def store(run_id: str, random: Estimate) -> None:
    """Keep what a value of 0 means; what an earlier attempt kept is replaced."""
    mine = (Yardstick.run == run_id) & (Yardstick.layer == LAYER)
    Yardstick.delete().where(mine).execute()
    Yardstick.create(**yardstick(run_id, random))


def real_turns(run_id: str) -> list[RealTurn]:
    return list(RealTurn.select().where(RealTurn.run == run_id).order_by(RealTurn.place))
