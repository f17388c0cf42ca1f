"""Training the ranker: a multinomial logistic regression of the reply on the turn.

The prior, how often each template was right in the past, is a fixed offset: without training the ranker always offers
the most frequent replies. AdamW (Loshchilov and Hutter, arXiv 1711.05101) moves the weights from there; the number of
epochs is the one after which the calibration part is predicted best, and the ranker is then fitted to both parts for
as many. scikit-learn's LogisticRegression knows no offset and no early stopping; `python -m benchmarks.mining --only
scikit` has it beside this one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching import inputs
from jobs.lib.matching.inputs import Asked
from jobs.lib.matching.ranker import Values, softmax
from jobs.mine.answers import Mask, Places
from jobs.mine.coverage import Vectors

EPOCHS, PATIENCE = 25, 4
#: Turns of a step: a short history needs small steps to get anywhere, a long one is faster with large ones.
BATCHES, SMALLEST, LARGEST = 64, 8, 256
RATE, DECAY = 3e-3, 0.02
_MOMENTS = (0.9, 0.999)  # AdamW's decay of the two moments
_WITHOUT_CONTEXT = 0.3  # share of training turns whose context is hidden, as it is from who asks without it
_SEED = 0


@dataclass(frozen=True, slots=True)
class TurnInputs:
    """What the ranker is given of each turn, (t, d) unit rows, zeros where there is no such text."""

    turn: Vectors
    last: Vectors
    previous: Vectors
    numbers: Values  #: (t, m)

    def rows(self, places: Places, *, alone: Mask | bool = False) -> Values:
        """(n, inputs) of some turns; `alone`: those whose context is hidden."""
        known = np.broadcast_to(~np.asarray(alone, dtype=np.bool_), len(places)).astype(np.float32)[:, None]
        figures = self.numbers[places].copy()
        figures[:, inputs.CONTEXT] *= known
        return inputs.stack(self.turn[places], self.last[places], self.previous[places] * known, figures)


def numbers_of(asked: list[Asked]) -> Values:
    """(t, m) the numbers of each turn."""
    return np.array([inputs.numbers(turn) for turn in asked], dtype=np.float32).reshape(len(asked), -1)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights and prior of a ranker over the templates of one origin."""

    weights: Values  #: (inputs, 1 + templates)
    prior: Values  #: (1 + templates)
    epochs: int

    def probabilities(self, rows: Values) -> Values:
        """(n, templates)"""
        return softmax(rows @ self.weights + self.prior)[:, 1:]


@dataclass(frozen=True, slots=True)
class Replies:
    """What there is to learn and to predict."""

    label: NDArray[np.int64]  #: (t) 1 + number of the nearest template within the similarity of the reply, 0 for none
    templates: int

    @classmethod
    def of(cls, replies: Places, nearest: Places, templates: int) -> Replies:
        """replies (t) places of unique texts, nearest (u) the template of each text, -1 for none."""
        return cls(np.where(replies >= 0, nearest[np.maximum(replies, 0)] + 1, 0).astype(np.int64), templates)


def fit(given: TurnInputs, replies: Replies, past: Places, calibration: Places, right: Mask) -> tuple[Fitted, Fitted]:
    """Fitted to the answered turns `past`, and with the same number of epochs to those of both parts.

    right (calibration, templates): which templates fit the real reply to each turn of the calibration part.
    """
    before = _stopped(given, replies, past, calibration, right)
    return before, after(given, replies, np.concatenate([past, calibration]).astype(np.int32), before.epochs)


def after(given: TurnInputs, replies: Replies, places: Places, epochs: int) -> Fitted:
    """Fitted to the turns at `places` for so many epochs."""
    return next(fitted for fitted in _epochs(given, replies, places) if fitted.epochs == epochs)


def _stopped(given: TurnInputs, replies: Replies, past: Places, calibration: Places, right: Mask) -> Fitted:
    """The weights after the epoch with the best prediction of the calibration part."""
    ends = np.concatenate([~right.any(axis=1, keepdims=True), right], axis=1)
    held = given.rows(calibration)
    best, highest = None, -np.inf
    for fitted in _epochs(given, replies, past):
        reached = (softmax(held @ fitted.weights + fitted.prior) * ends).sum(axis=1)
        value = float(np.log(np.maximum(reached, 1e-9)).mean()) if len(held) else 0.0
        if best is None or value > highest:
            best, highest = fitted, value
        elif fitted.epochs - best.epochs >= PATIENCE:
            break
        if fitted.epochs >= EPOCHS:
            break
    return best or fitted


def _epochs(given: TurnInputs, replies: Replies, places: Places) -> Iterator[Fitted]:
    """The weights after 0, 1, 2, ... epochs over the turns at `places`."""
    label = replies.label[places]
    prior = _prior(label, replies.templates)
    size = 3 * given.turn.shape[1] + given.numbers.shape[1]
    weights = np.zeros((size, replies.templates + 1), dtype=np.float32)
    yield Fitted(weights.copy(), prior, 0)
    size_of_batch = min(max(len(places) // BATCHES, SMALLEST), LARGEST)
    steps, random = _Steps(weights), np.random.default_rng(_SEED)
    for epoch in itertools.count(1):
        order = random.permutation(len(places))
        for start in range(0, len(order), size_of_batch):
            batch = order[start : start + size_of_batch]
            rows = given.rows(places[batch], alone=random.random(len(batch)) < _WITHOUT_CONTEXT)
            error = softmax(rows @ weights + prior)
            error[np.arange(len(batch)), label[batch]] -= 1
            steps.step(rows.T @ error / np.float32(len(batch)))
        yield Fitted(weights.copy(), prior, epoch)


def _prior(label: NDArray[np.int64], templates: int) -> Values:
    """Logarithms of the shares of the labels, each counted half a time more than it was."""
    counts = np.bincount(label, minlength=templates + 1) + 0.5
    return np.log(counts / counts.sum()).astype(np.float32)


class _Steps:
    """AdamW on one matrix, which it changes."""

    def __init__(self, weights: Values) -> None:
        self._weights = weights
        self._first, self._second = np.zeros_like(weights), np.zeros_like(weights)
        self._count = 0

    def step(self, gradient: Values) -> None:
        """Decoupled weight decay, then the step."""
        self._count += 1
        first_decay, second_decay = _MOMENTS
        self._first += (1 - first_decay) * (gradient - self._first)
        self._second += (1 - second_decay) * (gradient * gradient - self._second)
        mean = self._first / (1 - first_decay**self._count)
        spread = np.sqrt(self._second / (1 - second_decay**self._count)) + 1e-8
        self._weights *= 1 - RATE * DECAY
        self._weights -= np.float32(RATE) * mean / spread
