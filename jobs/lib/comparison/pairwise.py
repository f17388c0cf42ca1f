"""Models in pairs: how far apart their quality is and whether that is more than chance.

Gates come first: a model that fails one ranks behind all others. The rest are ranked by the posterior of their quality
(posterior.py). Letters come from tests of each pair, adjusted after Holm; the one that is better than each other one
needs no such adjustment (winner.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.lib import stats
from jobs.lib.comparison import measures, posterior, winner
from jobs.lib.comparison.posterior import Posterior
from jobs.lib.comparison.prompts import Samples, Scores
from jobs.lib.comparison.rules import MEASURES
from jobs.lib.comparison.scores import FailedGate
from jobs.lib.comparison.two_measures import Taken, take
from jobs.lib.comparison.winner import Difference
from jobs.lib.stats import Estimate

LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models; their difference counts the prompts that only one of them attempted by an additive fit."""

    first: str
    second: str
    gap: Estimate | None  #: quality of the first less that of the second; None without a common prompt
    prompts: int  #: that both attempted
    p: float | None  #: None where a variance was not observed: each prompt was asked once
    p_holm: float | None = None

    @property
    def separated(self) -> bool:
        return self.gap is not None and self.p_holm is not None and self.p_holm < LEVEL

    def lead(self, key: str) -> Estimate | None:
        """Quality of `key` less that of the other model."""
        return self.gap if self.gap is None or key == self.first else _reversed(self.gap)


def _reversed(gap: Estimate) -> Estimate:
    low, high = gap.low, gap.high
    return Estimate(-gap.mean, None if high is None else -high, None if low is None else -low, gap.n)


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """Every model against every other one."""

    scores: Mapping[str, Scores]  #: of the models that attempted a prompt
    failed_gates: Mapping[str, Sequence[FailedGate]]  #: of the models that fail one
    ranking: tuple[str, ...]  #: best first; models that fail a gate last
    eligible: tuple[str, ...]  #: those of the ranking that pass the gates
    pairs: tuple[Pair, ...]  #: the better one of the ranking first
    groups: Mapping[str, str]  #: compact letter display of the eligible ones
    best: str | None  #: the one that is better than every other one beyond chance
    taken: Taken  #: both measures
    belief: Posterior | None  #: about the models `taken.keys`
    instructions: Mapping[frozenset[str], tuple[str, Estimate]] = field(default_factory=dict)
    #: pair -> its first model, and by how much it is better at following instructions

    def between(self, key: str, other: str) -> Pair | None:
        return next((pair for pair in self.pairs if {pair.first, pair.second} == {key, other}), None)

    def on_instructions(self, key: str, other: str) -> Estimate | None:
        """The measure `instructions` of `key` less that of `other`."""
        first, gap = self.instructions.get(frozenset({key, other}), ("", None))
        return gap if gap is None or first == key else _reversed(gap)

    def beats(self, key: str, other: str) -> bool:
        """Whether `key` is better than `other` beyond chance."""
        pair = self.between(key, other)
        lead = pair.lead(key) if pair is not None and (pair.separated or key == self.best) else None
        return lead is not None and lead.mean > 0


def compare(
    models: Mapping[str, Samples],
    failed_gates: Mapping[str, Sequence[FailedGate]] | None = None,
    left_out: Collection[str] = (),
    *,
    weights: Mapping[str, float] = MEASURES,
    is_last: bool = True,
) -> Pairwise:
    """Ranking, pairs and groups of models by their samples; `left_out` are those that later rounds no longer asked.

    `is_last`: no further round will come, see winner.strict_winner.
    """
    failed = {key: gates for key, gates in (failed_gates or {}).items() if gates}
    taken = take(models, weights, turns_expected=not is_last)
    scores = {key: _means(models[key]) for key in taken.keys}
    belief = posterior.infer(taken.quality) if taken.quality is not None else None
    ranking = _ranking(taken, belief, {key: 2 if key in failed else int(key in left_out) for key in taken.keys})
    eligible = [key for key in ranking if key not in failed]
    best = _best(taken, eligible, left_out, ranking, is_last=is_last)
    if best:
        eligible = [best, *(key for key in eligible if key != best)]
        ranking = [*eligible, *(key for key in ranking if key not in eligible)]
    pairs = _pairs(taken, scores, eligible if len(eligible) > 1 else ranking)
    separated = [(pair.first, pair.second) for pair in pairs if pair.separated]
    return Pairwise(
        scores=scores,
        failed_gates={key: gates for key, gates in failed.items() if key in scores},
        ranking=tuple(ranking),
        eligible=tuple(eligible),
        pairs=pairs,
        groups=stats.compact_letter_display(eligible, separated),
        best=best,
        taken=taken,
        belief=belief,
        instructions=_on_instructions(taken),
    )


def _means(samples: Samples) -> Scores:
    return {prompt: sum(values) / len(values) for prompt, values in samples.items() if values}


def _ranking(taken: Taken, belief: Posterior | None, tier: Mapping[str, int]) -> list[str]:
    """Best first: by tier, then by what is believed of the quality. The first given leads among equals."""
    if belief is None:
        return []
    mean = dict(zip(taken.keys, belief.mean, strict=True))
    return sorted(taken.keys, key=lambda key: (tier[key], -round(float(mean[key]), 9)))


def _best(
    taken: Taken, eligible: Sequence[str], left_out: Collection[str], ranking: Sequence[str], *, is_last: bool
) -> str | None:
    """The eligible model that is better than each that was asked in the last round; than all where it is alone."""
    if taken.quality is None:
        return None
    asked = [key for key in eligible if key not in left_out]
    family = next((keys for keys in (asked, eligible, ranking) if len(keys) > 1), ())
    mask = np.array([key in family for key in taken.keys], dtype=bool)
    place = winner.strict_winner(taken.quality, mask, is_last=is_last)
    return taken.keys[place] if place is not None and taken.keys[place] in eligible else None


def _pairs(taken: Taken, scores: Mapping[str, Scores], ranking: Sequence[str]) -> tuple[Pair, ...]:
    """Every pair of the ranking, tested and adjusted."""
    if taken.quality is None:
        return ()
    tests = {frozenset((test.first, test.second)): test for test in winner.differences(taken.quality)}
    places = {key: place for place, key in enumerate(taken.keys)}
    pairs = [
        _pair(first, second, tests[frozenset((places[first], places[second]))], places[first], scores)
        for first, second in itertools.combinations(ranking, 2)
    ]
    tested = [index for index, pair in enumerate(pairs) if pair.p is not None]
    adjusted = dict(zip(tested, stats.holm([pairs[index].p or 0.0 for index in tested]), strict=True))
    return tuple(Pair(**{**vars(pair), "p_holm": adjusted.get(index)}) for index, pair in enumerate(pairs))


def _pair(first: str, second: str, test: Difference, place: int, scores: Mapping[str, Scores]) -> Pair:
    common = scores[first].keys() & scores[second].keys()
    if not common:
        return Pair(first=first, second=second, gap=None, prompts=0, p=None)
    gap = _estimate(test, len({cluster for cluster, _ in common}))
    gap = gap if place == test.first else _reversed(gap)
    return Pair(first=first, second=second, gap=gap, prompts=len(common), p=test.p)


def _estimate(test: Difference, n: int) -> Estimate:
    low, high = test.interval or (None, None)
    return Estimate(test.gap, low, high, n)


def _on_instructions(taken: Taken) -> dict[frozenset[str], tuple[str, Estimate]]:
    """Differences of the first measure alone, where both were taken."""
    if taken.instructions is None or taken.own_turns is None:
        return {}
    tests = winner.differences(measures.quality(taken.instructions, None))
    return {
        frozenset((taken.keys[test.first], taken.keys[test.second])): (
            taken.keys[test.first],
            _estimate(test, int(taken.instructions.n[test.first])),
        )
        for test in tests
    }
