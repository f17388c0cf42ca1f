"""The metric `meaning`: whether a reply says what the owner really said, by the cosine of two sentence embeddings.

What is shown is clip((similarity - random) / (1 - random), 0, 1): any two replies of one person are alike to some
degree, so `random` is how much another of the owner's answers, from before these turns, resembles the real one.
Clipped one by one, such answers score a little more than 0 on average, so that is measured too. Embeddings and their
cosine: N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019, arXiv 1908.10084.

Not promised: that a low value is a bad reply. There is more than one good answer, and a yes may have stood where the
owner said no. The wording does not matter.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jarvisd.plugin import JobContext, JobFailed
from jobs.lib import stats, stopping
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import SCALED, HeldOutTurn, ReferenceScore
from jobs.lib.stats import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

METRIC = "meaning"
LEAST_TURNS = 2
_LEAST_ROOM = 1e-3  # between `random` and 1


def encoder_of(context: JobContext) -> Encoder | str:
    """The plan's embedder with the installation's cache, or why there is none. Loads nothing yet."""
    from jobs.lib.embedding.numpy_bert import Bert

    entry = context.plan["evaluate"].get("meaning")
    if entry is None:
        return "the plan names no embedder"
    named = ModelEntry.model_validate(entry)
    try:
        folder = catalogue.require(named, context.home)
        return Encoder(folder, named.name, context.home.cache / "embeddings", fast=Bert)
    except JobFailed as failure:
        return failure.what


def encode_of(context: JobContext) -> Callable[[list[str]], Vectors] | None:
    """What embeds texts with the plan's embedder, or None without one; it raises Stopped and OutOfTime."""
    encoder = encoder_of(context)
    if isinstance(encoder, str):
        return None

    def encode(texts: list[str]) -> Vectors:
        stopping.check(context)
        return encoder.encode(texts, should_stop=context.should_stop)

    return encode


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What an earlier answer of the owner's, drawn at random, reaches beside the real one."""

    random: Estimate  #: mean cosine
    scaled: Estimate | None  #: the same pairs as replies are scored; None where nothing kept it


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The owner's real answers as unit vectors, and what a similarity to them is worth."""

    rows: dict[int, int]  #: place of the real turn -> row
    vectors: Vectors  #: (turns, size)
    random: float  #: mean cosine of an earlier answer, to something else, with a real one

    def similarities(self, places: Sequence[int], replies: Vectors) -> list[float]:
        """Cosine of each row of `replies` with the owner's answer at its place."""
        own = self.vectors[[self.rows[place] for place in places]]
        return [float(value) for value in (own * replies).sum(axis=1)]

    def value(self, similarity: float) -> float:
        """0 = no closer than a random answer of the owner's, 1 = the same."""
        return float(_value(similarity, self.random))


def answers(turns: Sequence[HeldOutTurn], vectors: Vectors, chance: Chance) -> Answers | str:
    """What replies are compared with, or why that cannot be. `vectors` (n, size) are of the answers, unit rows."""
    if len(turns) < LEAST_TURNS:
        return f"it needs {LEAST_TURNS} real turns or more"
    if chance.random.mean > 1 - _LEAST_ROOM:
        return "your real answers all say the same"
    rows = {turn.place: row for row, turn in enumerate(turns)}
    return Answers(rows=rows, vectors=vectors, random=chance.random.mean)


def chance(chats: Sequence[int], vectors: Vectors, earlier: Vectors) -> Chance | str:
    """How near the owner's answers from before these turns come to the real ones, each to each; or why there is none.

    The interval takes conversations as independent (the mean of each counts once in it); the value is the mean of
    all, because any turn may be the one that a reply is compared with. `n` is the number of real answers.
    """
    if len(chats) < LEAST_TURNS or len(earlier) < LEAST_TURNS:
        return f"it needs {LEAST_TURNS} real turns and {LEAST_TURNS} answers of yours from before them, or more"
    near = vectors @ earlier.T
    random = _estimate(chats, near.mean(axis=1))
    if random.mean > 1 - _LEAST_ROOM:
        return Chance(random=random, scaled=None)
    return Chance(random=random, scaled=_estimate(chats, _value(near, random.mean).mean(axis=1)))


def _value(similarity: Any, random: float) -> Any:
    """Of one similarity or an array of them."""
    import numpy as np

    return np.clip((similarity - random) / (1 - random), 0.0, 1.0)


def _estimate(chats: Sequence[int], each: Sequence[float]) -> Estimate:
    of_chat = defaultdict(list)
    for chat, value in zip(chats, each, strict=True):
        of_chat[str(chat)].append(float(value))
    spread = stats.clustered_interval(of_chat)
    low, high = (spread.low, spread.high) if spread else (None, None)
    mean = math.fsum(map(float, each)) / len(chats)
    # Conversations of very different lengths may put the mean of all outside the interval of their means.
    return Estimate(
        mean, None if low is None else min(low, mean), None if high is None else max(high, mean), len(chats)
    )


def store(run_id: str, chance: Chance) -> None:
    """Store the similarity that counts as 0."""
    rows = {"random": chance.random} | ({f"random{SCALED}": chance.scaled} if chance.scaled else {})
    for what, row in rows.items():
        ReferenceScore.create(
            run=run_id, metric=METRIC, reference=what, value=row.mean, low=row.low, high=row.high, n=row.n
        )


def stored(run_id: str) -> Chance | None:
    """What an earlier round of the run kept: all of a run's replies are measured on one scale."""
    rows = ReferenceScore.select().where(ReferenceScore.run == run_id, ReferenceScore.metric == METRIC)
    estimates = {row.reference: Estimate(row.value, row.low, row.high, row.n) for row in rows}
    random = estimates.get("random")
    return None if random is None else Chance(random=random, scaled=estimates.get(f"random{SCALED}"))


def real_turns(run_id: str) -> list[HeldOutTurn]:
    return list(HeldOutTurn.select().where(HeldOutTurn.run == run_id).order_by(HeldOutTurn.place))
