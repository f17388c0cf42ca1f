"""Fits the message: whether a reply belongs to the message that it answers, or could as well answer another one.

How well two texts go together is the product of their sentence embeddings, each less the mean of its kind (incoming
messages, answers) over earlier turns. Without the means, a text that is close to everything ("haha yeah") would fit
everything; with them it fits nothing in particular. A reply's affinity to its message is that product in standard
deviations of the same product over earlier answers of the owner's, cut off at 3. Sentence embeddings: N. Reimers and
I. Gurevych, "Sentence-BERT", EMNLP 2019, arXiv 1908.10084. Centring against such hubs: I. Suzuki et al., "Centering
similarity measures to reduce hubs", EMNLP 2013, 613-623.

What the affinity is worth is measured on the owner's own held-out turns: how often that of the real answer is above
that of another real answer (area under the curve, conversations as clusters). The weight of the fit is taken from the
lower end of that interval, and is 0 where real answers are not told from others. A trained map between both kinds of
vectors and the answers to the nearest earlier messages tell them apart no better (benchmarks/sound.py --rankers).

On the printed scale 0 is another real answer of the owner's and 1 the real one, on average.

Not promised: that a reply is true, kind or says what the owner would have said. A reply that says the opposite, or
speaks of the subject of the message without answering it, fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib import stats

Vectors = NDArray[np.float32]  #: (texts, size), rows of length 1
Numbers = NDArray[np.float64]
Encode = Callable[[list[str]], Vectors]
Turn = tuple[str, str]  #: what came in, what the owner answered

LEAST_EARLIER, MOST_EARLIER = 50, 400  #: earlier turns
LEAST_TURNS = 8  #: held-out turns
LEAST_CONVERSATIONS = 3
MOST_WEIGHT = 0.5  #: the other half belongs to how the replies sound
_SLACK = 1e-4  # of two affinities: sums of float32 in another order differ by less
_LEAST_SPREAD = 1e-4
_MOST_AFFINITY = 3.0
_LEAST_ROOM = 0.05  # between another real answer and the real one, in affinity


@dataclass(frozen=True, kw_only=True)
class Separation:
    """How well the affinity tells the owner's real answer from another real one."""

    auc: float  #: share of pairs in which the real answer has more affinity; 0.5 = no better than chance
    low: float  #: 95 % interval over conversations
    high: float
    turns: int
    conversations: int

    @property
    def weight(self) -> float:
        """Weight of the fit in own_turns: 2 AUC - 1 at the lower end, 0 to MOST_WEIGHT."""
        return min(MOST_WEIGHT, max(0.0, 2 * self.low - 1))


@dataclass(frozen=True, kw_only=True)
class FitModel:
    """What is known from earlier turns. Holds vectors, no text."""

    encode: Encode
    incoming_mean: Vectors  #: (size,)
    answer_mean: Vectors  #: (size,)
    answers: Vectors  #: earlier answers less their mean

    def affinities(self, incoming: Sequence[str], replies: Sequence[str]) -> Numbers:
        """The affinity of each reply to its own message, -3 to 3."""
        messages = self._messages(incoming)
        products = (messages * (self.encode(list(replies)) - self.answer_mean)).sum(axis=1)
        return self._standardised(messages, products[:, None])[:, 0]

    def all_affinities(self, incoming: Sequence[str], replies: Sequence[str]) -> Numbers:
        """The affinity of each reply to each message, (messages, replies)."""
        messages = self._messages(incoming)
        return self._standardised(messages, messages @ (self.encode(list(replies)) - self.answer_mean).T)

    def _messages(self, incoming: Sequence[str]) -> Vectors:
        return np.asarray(self.encode(list(incoming)) - self.incoming_mean, dtype=np.float32)

    def _standardised(self, messages: Vectors, products: Vectors) -> Numbers:
        """Products in standard deviations of those of the earlier answers, whose mean is 0, with the same message."""
        spread = np.maximum(_LEAST_SPREAD, (messages @ self.answers.T).std(axis=1))[:, None]
        return np.asarray(np.clip(products / spread, -_MOST_AFFINITY, _MOST_AFFINITY), dtype=np.float64)


def train(earlier: Sequence[Turn], encode: Encode) -> FitModel | None:
    """The model of these earlier turns, of which at most MOST_EARLIER are looked at; None where there are too few."""
    if len(earlier) < LEAST_EARLIER:
        return None
    count = min(len(earlier), MOST_EARLIER)
    chosen = [earlier[place * len(earlier) // count] for place in range(count)]
    incoming, answers = encode([message for message, _ in chosen]), encode([answer for _, answer in chosen])
    mean = answers.mean(axis=0)
    return FitModel(encode=encode, incoming_mean=incoming.mean(axis=0), answer_mean=mean, answers=answers - mean)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The model with its scale and its worth, both from the owner's answers to the held-out turns."""

    model: FitModel
    other: float  #: mean affinity of another real answer
    real: float  #: mean affinity of the real answer
    separation: Separation

    def score(self, incoming: str, reply: str) -> float:
        """Of one reply, for a table: 0 = no better than another real answer, 1 = as good as the real one."""
        return float(np.clip(self.scaled([incoming], [reply])[0], 0, 1))

    def scaled(self, incoming: Sequence[str], replies: Sequence[str]) -> Numbers:
        """Per reply, not cut off, so that another real answer is 0 and the real one is 1 on average."""
        return np.asarray((self.model.affinities(incoming, replies) - self.other) / (self.real - self.other))


def measure(model: FitModel, turns: Sequence[Turn], conversations: Sequence[int]) -> Fit | None:
    """What the affinity is worth on held-out turns; None where they are too few, or where it tells nothing at all."""
    if len(turns) < LEAST_TURNS or len(set(conversations)) < LEAST_CONVERSATIONS:
        return None
    affinities = model.all_affinities([message for message, _ in turns], [answer for _, answer in turns])
    real = np.diag(affinities)
    other = float((affinities.sum() - real.sum()) / (affinities.size - len(real)))
    if real.mean() - other < _LEAST_ROOM:
        return None
    return Fit(model=model, other=other, real=float(real.mean()), separation=_separation(affinities, conversations))


def _separation(affinities: Numbers, conversations: Sequence[int]) -> Separation:
    """The area under the curve within turns: each real answer against all others to the same message; a tie is half."""
    count = len(affinities)
    lead = np.diag(affinities)[:, None] - affinities
    ties = (np.abs(lead) <= _SLACK).sum(axis=1) - 1  # less the answer itself
    mean, low, high = clustered(((lead > _SLACK).sum(axis=1) + ties / 2) / (count - 1), conversations)
    return Separation(
        auc=mean, low=max(0.0, low), high=min(1.0, high), turns=count, conversations=len(set(conversations))
    )


def clustered(values: Numbers, conversations: Sequence[int]) -> tuple[float, float, float]:
    """Mean of all values with a 95 % interval that takes conversations as independent, however long each is.

    Cluster-robust standard error with the factor G / (G - 1) and a t quantile of G - 1 degrees of freedom:
    A. C. Cameron and D. L. Miller, "A practitioner's guide to cluster-robust inference", Journal of Human Resources 50
    (2015) 317-372, section II.
    """
    from scipy.stats import t

    mean = float(values.mean())
    _, member = np.unique(np.asarray(conversations), return_inverse=True)
    sums = np.bincount(member, weights=values - mean)
    groups = len(sums)
    error = math.sqrt(groups / (groups - 1) * float((sums**2).sum())) / len(values)
    half = float(t.ppf(0.5 + stats.CONFIDENCE / 2, groups - 1)) * error
    return mean, mean - half, mean + half
