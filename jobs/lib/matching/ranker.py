"""Which template answers a turn: a multinomial logistic regression, applied with numpy alone.

p = softmax(prior + inputs @ weights); its first column stands for "no template". jobs.mine.ranking trains it. It is
stored as an .npz without pickle:

    weights     (inputs, 1 + templates) float16
    prior       (1 + templates) float32, logarithms of how often each was right in the past
    templates   (templates) uuids, in the order of the columns
    version     of the inputs; see jobs.lib.matching.inputs
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching.inputs import VERSION

Values = NDArray[np.float32]


class Unreadable(Exception):
    """The bytes do not hold a ranker of this version."""


@dataclass(frozen=True, slots=True)
class Ranker:
    """ranker.probabilities(inputs) -> (turns, templates) float32, each row with "no template" sums to 1"""

    weights: Values  #: (inputs, 1 + templates)
    prior: Values  #: (1 + templates)
    templates: tuple[str, ...]  #: uuids

    def probabilities(self, inputs: Values) -> Values:
        """(turns, templates) of inputs (turns, inputs)."""
        return softmax(inputs @ self.weights + self.prior)[:, 1:]

    def to_bytes(self) -> bytes:
        raw = io.BytesIO()
        np.savez_compressed(
            raw,
            weights=self.weights.astype(np.float16),
            prior=self.prior,
            templates=np.array(self.templates, dtype=np.str_),
            version=np.array(VERSION),
        )
        return raw.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Ranker:
        """Raises Unreadable."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                version, templates = int(stored["version"]), tuple(map(str, stored["templates"]))
                weights, prior = stored["weights"].astype(np.float32), stored["prior"].astype(np.float32)
        except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise Unreadable(type(error).__name__) from error
        if version != VERSION:
            raise Unreadable(f"it is of version {version}, and this jarvisd reads version {VERSION}")
        if weights.ndim != 2 or weights.shape[1] != len(templates) + 1 or prior.shape != weights.shape[1:]:
            raise Unreadable("its parts do not fit together")
        return cls(weights, prior, templates)


def softmax(scores: Values) -> Values:
    """(n, k) rows that sum to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Values = powers / powers.sum(axis=1, keepdims=True)
    return result
