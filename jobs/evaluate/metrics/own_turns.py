"""The measure `own_turns`: on held-out turns of the owner's history, do a model's replies fit and sound like the owner?

    own_turns = 0.1 * sendable + 0.9 * (w * fit + (1 - w) * sounds * sendable)

    sendable  share of the replies without a mark that makes them unfit (jobs.lib.marks.UNFIT)
    fit       mean fit of the replies to their messages (jobs.evaluate.metrics.fit); a marked reply has none
    sounds    how much all of them together sound like the owner (jobs.evaluate.metrics.style_set)
    w         what the fit is worth on this owner's held-out turns, 0 to 0.5; the same for all models of a run

The tenth for `sendable` puts a model that insults people below one that merely bores them: both have neither fit nor
sound. All three lie within 0..1, and so does the value: the owner's real answers reach about 1, another real answer of
the owner's to each message about 1 - 0.9 w, a canned reply to everything about 0.1.

The value is a sum of one contribution per reply, so two models are compared by the differences of their contributions
to the same turns, with conversations as clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from jobs.evaluate.metrics import style_set
from jobs.evaluate.metrics.fit import Fit
from jobs.evaluate.metrics.style_set import SetScore, Voice
from jobs.lib import marks as reply_marks
from jobs.lib.marks import Mark

SENDABLE_WEIGHT = 0.1
#: Stands for "a canned reply": short, friendly, and sent to everything.
CANNED = "haha yeah"

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class AskedTurn:
    """A held-out turn."""

    conversation: int
    incoming: str
    answer: str  #: the owner's own


@dataclass(frozen=True, kw_only=True)
class Value:
    """A share 0..1 with its 95 % interval over conversations."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class OwnTurns:
    """How one model did on the held-out turns."""

    total: Value
    n: int  #: replies
    fit: Value | None  #: None where the fit could not be measured
    sounds: SetScore | None  #: None where it could not be measured
    weight: float  #: of the fit
    marks: Mapping[Mark, int]  #: replies with each mark
    contributions: tuple[float, ...]  #: one per reply; their mean is `total.value`; not within 0..1


def own_turns(
    voice: Voice | None, fit: Fit | None, turns: Sequence[AskedTurn], replies: Sequence[str]
) -> OwnTurns | None:
    """The measure for the replies of one model to these turns, one each; None where neither part can be measured."""
    conversations = [turn.conversation for turn in turns]
    sounds = style_set.score_set(voice, replies, conversations) if voice else None
    weight = _weight(fit, sounds)
    if not replies or (sounds is None and weight == 0):
        return None
    marks_of_replies = reply_marks.marks([turn.incoming for turn in turns], replies)
    sendable = np.array([not marked & reply_marks.UNFIT for marked in marks_of_replies], dtype=np.float64)
    fitting = _Part.of(_scaled(fit, turns, replies) * sendable, conversations) if fit else None
    total = _total(_Part.of(sendable, conversations), sounds, fitting, weight)
    return OwnTurns(
        total=total.as_value(),
        n=len(replies),
        fit=fitting.as_value() if fitting else None,
        sounds=sounds,
        weight=weight,
        marks={mark: sum(mark in marked for marked in marks_of_replies) for mark in Mark},
        contributions=tuple(total.contributions.tolist()),
    )


def _total(sendable: _Part, sounds: SetScore | None, fit: _Part | None, weight: float) -> _Part:
    """The formula of this module."""
    parts = [(sendable, SENDABLE_WEIGHT)]
    if sounds:
        parts.append((_Part.of_set(sounds).times(sendable), (1 - SENDABLE_WEIGHT) * (1 - weight)))
    if fit:
        parts.append((fit, (1 - SENDABLE_WEIGHT) * weight))
    return _Part.weighted(parts)


def _weight(fit: Fit | None, sounds: SetScore | None) -> float:
    """Of the fit: all of it where nothing says how the replies sound."""
    worth = fit.separation.weight if fit else 0.0
    return worth if sounds else float(worth > 0)


def _scaled(fit: Fit, turns: Sequence[AskedTurn], replies: Sequence[str]) -> Numbers:
    return fit.scaled([turn.incoming for turn in turns], replies)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A share 0..1 of one model: its value, the same in each resample of conversations, and per reply."""

    value: float
    resampled: Numbers
    contributions: Numbers

    @classmethod
    def of(cls, values: Numbers, conversations: Sequence[int]) -> _Part:
        """The mean of one value per reply, cut off at 0 and 1."""
        draws = style_set.resamples(conversations)
        resampled = draws @ values / draws.sum(axis=1)
        mean = float(values.mean())
        value = min(1.0, max(0.0, mean))
        slope = style_set.slope(resampled)
        return cls(value=value, resampled=np.clip(resampled, 0, 1), contributions=value + slope * (values - mean))

    @classmethod
    def of_set(cls, score: SetScore) -> _Part:
        return cls(value=score.value, resampled=np.array(score.resampled), contributions=np.array(score.contributions))

    @classmethod
    def weighted(cls, parts: Sequence[tuple[_Part, float]]) -> _Part:
        """The sum of parts, each times its weight."""
        return cls(
            value=sum(part.value * share for part, share in parts),
            resampled=np.sum([part.resampled * share for part, share in parts], axis=0),
            contributions=np.sum([part.contributions * share for part, share in parts], axis=0),
        )

    def times(self, other: _Part) -> _Part:
        """The product of both; contributions by the product rule."""
        product = self.value * other.value
        return _Part(
            value=product,
            resampled=self.resampled * other.resampled,
            contributions=self.contributions * other.value + self.value * other.contributions - product,
        )

    def as_value(self) -> Value:
        low, high = style_set.interval(self.value, self.resampled)
        return Value(value=self.value, low=low, high=high)


# ------------------------------------------------------------------------------------------------------ reference rows


class Reference(StrEnum):
    """Sets of replies that say what a value means; scored as a model's are."""

    CANNED = "canned"  #: one text to everything
    ANOTHER = "another"  #: the owner's real answer to another held-out turn
    REAL = "real"  #: the owner's real answer


def reference_replies(turns: Sequence[AskedTurn]) -> dict[Reference, list[str]]:
    """The replies of each reference row, one per turn. Raises ValueError below two turns."""
    if len(turns) < 2:
        raise ValueError("two turns or more are needed")
    return {
        Reference.CANNED: [CANNED] * len(turns),
        Reference.ANOTHER: _another(turns),
        Reference.REAL: [turn.answer for turn in turns],
    }


def _another(turns: Sequence[AskedTurn]) -> list[str]:
    """Each answer goes to the turn half of them further on, so every one is used once and none keeps its own."""
    half = len(turns) // 2
    return [turns[(place + half) % len(turns)].answer for place in range(len(turns))]
