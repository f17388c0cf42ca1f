"""Sounds like the owner: how much a set of replies reads as if the owner had written it.

One short text says little about who wrote it; a set of them does. Two measures are taken of a set:

    shape   length, capitals, punctuation, emoji, abbreviations (the features of jobs.evaluate.metrics.style), as
            z values of the owner's answers, cut off at 3
    words   log odds of "the owner" against "another person" from a logistic regression on words and groups of letters
            without case and punctuation, trained on earlier answers of both

Each is the energy distance between the set and the owner's earlier answers, in its unbiased form:

    2 E|X - Y| - E|X - X'| - E|Y - Y'|        X, X' two different replies, Y, Y' two different answers

G. J. Székely and M. L. Rizzo, "Energy statistics: a class of statistics based on distances", Journal of Statistical
Planning and Inference 143 (2013) 1249-1272. Texts that repeat each other have no distance from each other, so a model
that sends one text to everything is far from the owner even where each copy could be the owner's own. The distance of
the owner's other half is 1 on the printed scale, that of another person is 0 (the median over people; a mixture of
people lies between), and what lies outside is cut off. The mean of both measures is multiplied by the share of
different replies in the set, as far as that falls short of the owner's: how many different ones the owner's answers
hold in a draw of the same size is known exactly (S. H. Hurlbert, "The nonconcept of species diversity", Ecology 52
(1971) 577-586). Words as evidence of authorship: E. Stamatatos, "A survey of modern authorship attribution methods",
JASIST 60 (2009) 538-556.

Not promised: that a reply fits the message, is kind, or true. With fewer than LEAST_REPLIES replies no value is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.evaluate.metrics import style
from jobs.lib.matching.normalise import normal

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Points = NDArray[np.float64]  #: (texts, dimensions)

#: Of the owner's own replies one set in twenty gets less than 0.70 with 20 of them and 0.79 with 80, in the worst of
#: four people (benchmarks/sound.py).
LEAST_REPLIES = 20
LEAST_OWN = 200  #: answers of the owner's, as jobs.evaluate.metrics.style asks
LEAST_OF_PERSON = 20  #: answers of another person who counts as one
LEAST_PEOPLE = 4  #: other people, of whom one half trains and the other half is measured
MOST_OWN, MOST_OF_PERSON, MOST_PEOPLE = 1600, 60, 60  #: that are looked at
RESAMPLES = 400
_SEED = 20261127
_MOST_Z, _LEAST_SPREAD = 3.0, 0.05
_LEAST_ROOM = 0.05  # between the owner's other half and other people, in units of the distance
_WORD = re.compile(r"\w+(?:'\w+)*")


@dataclass(frozen=True, kw_only=True)
class SetScore:
    """How much a set of replies sounds like the owner."""

    value: float  #: 0 = as another person does, or less; 1 = as the owner's other half does
    low: float  #: 95 % interval over conversations
    high: float
    n: int  #: replies
    distinct: int  #: different ones, letters and punctuation aside
    raw: float  #: before it is cut off at 0 and 1
    parts: Mapping[str, float]  #: raw value of each measure
    #: Value per reply, in the order of the replies. Their mean is `value`, and their spread over conversations is that
    #: of `value` (its linearisation), so two models can be compared conversation by conversation. Not within 0..1.
    contributions: tuple[float, ...]
    resampled: tuple[float, ...]  #: the value in each of RESAMPLES draws of conversations


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One of the two measures, with what its distances mean."""

    name: str
    points: Callable[[Sequence[str]], Points]
    reference: Points  #: earlier answers of the owner's
    within: float  #: mean distance of two of them
    own: float  #: energy distance of the owner's other half
    others: float  #: median energy distance of other people

    def scaled(self, distance: Any) -> Any:
        """1 where the owner's other half lies, 0 where other people do; of a distance or an array of them."""
        return (self.others - distance) / (self.others - self.own)


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What a run knows of the way the owner writes. Kept in memory alone: its reference is one point per answer."""

    measures: tuple[Measure, ...]
    uses: tuple[int, ...]  #: how often the owner sent each different answer
    people: int  #: other people who were measured

    def repetition(self, distinct: int, n: int) -> float:
        """Different replies among `n`, as a share of what the owner's answers hold in a draw of `n`; at most 1."""
        return min(1.0, distinct / _distinct_in_draw(self.uses, n))


# ------------------------------------------------------------------------------------------------------- the reference


def voice(own: Sequence[str], others: Mapping[str, Sequence[str]]) -> Voice | None:
    """The owner's voice from earlier answers, oldest first, and from those of other people, by person.

    Answers are whole turns, as replies are. None where there are too few, or where other people write as the owner
    does. The same answers give the same voice; it takes some seconds.
    """
    people = _people(others)
    if len(own) < LEAST_OWN or len(people) < LEAST_PEOPLE:
        return None
    # Neighbours in time go to different parts, so that a change of habits is in all of them.
    spread = _thin(own, MOST_OWN)
    training, reference, rest = spread[0::2], spread[1::4], spread[3::4]
    odds = _word_odds(training, [text for texts in people[0::2] for text in texts])
    shape = _shape(training)
    candidates = (
        _measure("shape", shape, reference, rest, people),
        _measure("words", odds, reference, rest, people[1::2]),
    )
    measures = tuple(measure for measure in candidates if measure.others - measure.own > _LEAST_ROOM)
    uses = tuple(Counter(map(normal, own)).values())
    return Voice(measures=measures, uses=uses, people=len(people)) if measures else None


def _distinct_in_draw(uses: Sequence[int], n: int) -> float:
    """Expected number of different answers among `n` drawn without replacement: Hurlbert (1971), formula 14."""
    from scipy.special import gammaln

    total, counts = sum(uses), np.asarray(uses, dtype=np.float64)
    n = min(n, total)

    def log_draws(of: Any) -> Any:
        return gammaln(of + 1) - gammaln(of - n + 1)

    rest = total - counts
    missed = np.where(rest >= n, np.exp(log_draws(np.maximum(rest, n)) - log_draws(total)), 0.0)
    return float((1 - missed).sum())


def _people(others: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The answers of each other person who wrote enough, those who wrote most first."""
    enough = sorted((-len(texts), person) for person, texts in others.items() if len(texts) >= LEAST_OF_PERSON)
    return [_thin(others[person], MOST_OF_PERSON) for _, person in enough[:MOST_PEOPLE]]


def _thin(texts: Sequence[str], most: int) -> list[str]:
    """At most so many, evenly over their order."""
    if len(texts) <= most:
        return list(texts)
    return [texts[place * len(texts) // most] for place in range(most)]


def _measure(
    name: str,
    points: Callable[[Sequence[str]], Points],
    reference: Sequence[str],
    rest: Sequence[str],
    people: Sequence[Sequence[str]],
) -> Measure:
    base = points(reference)
    within = _mean_apart(_distances(base, base))
    own = _energy(points(rest), base, within)
    others = float(np.median([_energy(points(texts), base, within) for texts in people]))
    return Measure(name=name, points=points, reference=base, within=within, own=own, others=others)


def _shape(training: Sequence[str]) -> Callable[[Sequence[str]], Points]:
    raw = _features(training)
    centre, spread = raw.mean(axis=0), np.maximum(_LEAST_SPREAD, raw.std(axis=0))

    def points(texts: Sequence[str]) -> Points:
        return np.clip((_features(texts) - centre) / spread, -_MOST_Z, _MOST_Z)

    return points


def _features(texts: Sequence[str]) -> Points:
    return np.array([list(style.features(text[: style.MOST_CHARACTERS]).values()) for text in texts], dtype=np.float64)


def _word_odds(own: Sequence[str], others: Sequence[str]) -> Callable[[Sequence[str]], Points]:
    """Log odds that the owner wrote a text, in units of their spread over the texts of the training."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(_counter(), LogisticRegression(max_iter=500, class_weight="balanced"))
    model.fit([*own, *others], [1] * len(own) + [0] * len(others))
    spread = max(_LEAST_SPREAD, float(np.std(model.decision_function(list(own)))))

    def points(texts: Sequence[str]) -> Points:
        return np.asarray(model.decision_function(list(texts)), dtype=np.float64)[:, None] / spread

    return points


def _counter() -> Pipeline:
    """Counts of words, pairs of words and groups of 2 to 4 letters, weighted by rarity."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    shared = {"preprocessor": _folded, "min_df": 3, "max_features": 3000, "sublinear_tf": True}
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), tokenizer=str.split, token_pattern=None, **shared),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), **shared),
    )


def _folded(text: str) -> str:
    """The words in lower case: capitals and punctuation belong to the shape."""
    return " ".join(_WORD.findall(text[: style.MOST_CHARACTERS].lower().replace("’", "'")))


# ------------------------------------------------------------------------------------------------------------ distance


def _distances(first: Points, second: Points) -> Points:
    """Euclidean distance of each row to each row, (len(first), len(second))."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(first, second), dtype=np.float64)


def _mean_apart(distances: Points) -> float:
    """Mean distance of two different rows."""
    count = len(distances)
    return float(distances.sum() / (count * (count - 1)))


def _energy(points: Points, reference: Points, within: float) -> float:
    return 2 * float(_distances(points, reference).mean()) - _mean_apart(_distances(points, points)) - within


# ----------------------------------------------------------------------------------------------------------- the score


def score_set(voice: Voice, replies: Sequence[str], conversations: Sequence[int]) -> SetScore | None:
    """How much all replies of one model together sound like the owner; None for fewer than LEAST_REPLIES.

    `conversations` has the number of each reply's conversation: replies of one conversation are alike, so whole
    conversations are drawn again for the interval. With fewer than about 8 of them the interval is too narrow.
    """
    if len(replies) < LEAST_REPLIES:
        return None
    draws = resamples(conversations)
    measured = [_score_measure(measure, replies, draws) for measure in voice.measures]
    distinct = len({normal(reply) for reply in replies})
    repetition = voice.repetition(distinct, len(replies))
    value = repetition * float(np.mean([np.clip(part.raw, 0, 1) for part in measured]))
    resampled = repetition * np.mean([np.clip(part.resampled, 0, 1) for part in measured], axis=0)
    contributions = repetition * np.mean([part.contributions for part in measured], axis=0)
    low, high = interval(value, resampled)
    return SetScore(
        value=value,
        low=low,
        high=high,
        n=len(replies),
        distinct=distinct,
        raw=float(np.mean([part.raw for part in measured])),
        parts={measure.name: part.raw for measure, part in zip(voice.measures, measured, strict=True)},
        contributions=tuple(contributions.tolist()),
        resampled=tuple(resampled.tolist()),
    )


def interval(value: float, resampled: Points) -> tuple[float, float]:
    """The middle 95 % of the resampled values, widened to hold `value`."""
    low, high = np.quantile(resampled, (0.025, 0.975))
    return min(value, float(low)), max(value, float(high))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One measure of one set of replies."""

    raw: float
    resampled: Points  #: raw value per resample
    contributions: Points  #: per reply, of the value that is cut off


def resamples(conversations: Sequence[int]) -> Points:
    """How often each reply is drawn in each resample of whole conversations, (RESAMPLES, replies).

    The same conversations give the same resamples.
    """
    numbers, member = np.unique(np.asarray(conversations), return_inverse=True)
    chance = np.random.default_rng(_SEED)
    drawn = chance.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=RESAMPLES)
    return np.asarray(drawn[:, member], dtype=np.float64)


def _score_measure(measure: Measure, replies: Sequence[str], draws: Points) -> _Part:
    points = measure.points(replies)
    away = _distances(points, measure.reference).mean(axis=1)
    apart = _distances(points, points)
    raw = float(measure.scaled(2 * away.mean() - _mean_apart(apart) - measure.within))
    resampled = measure.scaled(_resampled(away, apart, draws) - measure.within)
    influence = 2 * (away - away.mean()) - 2 * (apart.sum(axis=1) / (len(apart) - 1) - _mean_apart(apart))
    contributions = np.clip(raw, 0, 1) - slope(resampled) * influence / (measure.others - measure.own)
    return _Part(raw=raw, resampled=resampled, contributions=contributions)


def slope(resampled: Points) -> float:
    """The derivative of cutting off at 0 and 1, averaged over the resamples: near an end some of them lie outside."""
    return float(np.mean((resampled > 0) & (resampled < 1)))


def _resampled(away: Points, apart: Points, draws: Points) -> Points:
    """2 E|X - Y| - E|X - X'| of each resample. A reply that was drawn twice is not paired with itself."""
    total = draws.sum(axis=1)
    pairs = np.maximum(1.0, total**2 - (draws**2).sum(axis=1))
    between = np.einsum("ri,ri->r", draws @ apart, draws) / pairs
    return np.asarray(2 * (draws @ away) / total - between, dtype=np.float64)
