"""The fast stage of matching: which trigger shares the most character n-grams with a text, in tens of microseconds.

N-grams compare spelling and not meaning, so the fast stage answers only from the score on at which it agreed with the
encoder. This is scikit-learn's TfidfVectorizer(analyzer="char_wb") in a few lines of numpy: importing that one takes
3 to 5 seconds more on a busy two-core machine, and `jarvisctl match` imports this module at each start (1.5 s).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SIZES = (2, 3, 4)
_BUCKETS = 1 << 12
#: The lower bound of agreement with the encoder from which on the fast stage answers.
TARGET = 0.95
CONFIDENCE = 0.95


class Grams:
    """grams = Grams(texts); grams.scores("see you") -> (len(texts),) cosines of weighted n-grams."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Weights are logarithms of how rare a bucket is (Spärck Jones 1972)."""
        hashed = [buckets(text) for text in texts]
        table = np.zeros((_BUCKETS, len(texts)), dtype=np.float32)
        for place, own in enumerate(hashed):
            table[own, place] = 1
        self._rarity = np.log((1 + len(texts)) / (1 + table.sum(axis=1))).astype(np.float32) + 1
        table *= self._rarity[:, None]
        table /= np.maximum(np.sqrt(np.einsum("ij,ij->j", table, table)), 1e-12)
        self._table = table

    def scores(self, text: str) -> NDArray[np.float32]:
        own = buckets(text)
        weights = self._rarity[own]
        norm = float(np.sqrt(weights @ weights)) or 1.0
        result: NDArray[np.float32] = weights @ self._table[own] / np.float32(norm)
        return result


def buckets(text: str) -> NDArray[np.intp]:
    """The different hashed n-grams of a text, word boundaries included."""
    padded = f" {text} "
    grams = {padded[at : at + size] for size in _SIZES for at in range(len(padded) - size + 1)}
    hashed = {zlib.crc32(gram.encode("utf-8", "replace")) % _BUCKETS for gram in grams}
    return np.fromiter(sorted(hashed), np.intp, len(hashed))


def calibrate(scores: Sequence[float], agrees: Sequence[bool]) -> float | None:
    """The lowest score from which on the lower bound of agreement meets the target; None where there is none."""
    from jobs.lib.stats import wilson

    order = sorted(zip(scores, agrees, strict=True), reverse=True)
    threshold, right = None, 0
    for count, (score, good) in enumerate(order, start=1):
        right += good
        if count < len(order) and order[count][0] == score:
            continue  # the threshold cannot lie between equal scores
        bounds = wilson(right, count, CONFIDENCE)
        if bounds is not None and bounds[0] >= TARGET:
            threshold = score
    return threshold
