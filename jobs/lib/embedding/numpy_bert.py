"""BERT and MPNet in numpy: it loads in 0.3 s, where importing torch alone takes several seconds and 0.4 GB.

It computes what sentence-transformers computes for such a model with mean pooling, from the same files: Devlin et al.,
arXiv 1810.04805; Song et al., arXiv 2004.09297 (MPNet); mean over all tokens as in Reimers and Gurevych,
arXiv 1908.10084. It does not check whether a model is of that kind: jobs.lib.embedding.agreement compares its vectors
with those of sentence-transformers first.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from jobs.lib.embedding import numpy_weights
from jobs.lib.embedding.numpy_weights import Pair, Parts, Unfit, Vector, read_tokenizer

__all__ = ["Bert", "Unfit"]

#: Tokens in one pass: what a layer holds of them stays in the processor's cache.
_BATCH_TOKENS = 512
_MAX_DISTANCE = 128  # tokens; MPNet treats all that is further away alike
#: Phi(x) ~ (1 + tanh(x (c1 + c3 x^2 + c5 x^4))) / 2, fitted so that x Phi(x) is off by at most 2.6e-5; from _FAR on
#: tanh is 1 in float32, and beyond it the polynomial would turn back.
_C = tuple(np.float32(c) for c in (0.7975077, 0.03700579, -0.000351538))
_FAR = np.float32(6.4**2)
_HALF = np.float32(0.5)
_AT_ONCE = 32768  # numbers


class Bert:
    """bert = Bert(folder, max_tokens); bert.encode("see you soon") -> (size,) float32 of length 1"""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        """Read weights and tokenizer. Raises Unfit where they are not those of a plain BERT or MPNet."""
        self.parts = numpy_weights.read(folder)
        self._tokenizer = read_tokenizer(folder, min(max_tokens, len(self.parts.places)))
        self._libraries = ThreadpoolController()

    def encode(self, text: str) -> Vector:
        """The unit vector (size,) of one text, computed on one core: waiting for a second busy core takes longer."""
        with self._libraries.limit(limits=1, user_api="blas"):
            return self._encode([self._tokenizer.encode(text).ids])[0]

    def encode_all(self, texts: Sequence[str]) -> Vector:
        """The unit vectors (len(texts), size). Texts of equally many tokens are computed together, on all cores."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        groups = _groups([len(tokens) for tokens in ids])
        vectors = np.empty((len(ids), self.parts.words.shape[1]), dtype=np.float32)
        with self._libraries.limit(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
            computed = pool.map(lambda places: self._encode([ids[place] for place in places]), groups)
            for places, rows in zip(groups, computed, strict=True):
                vectors[places] = rows
        return vectors

    def _encode(self, ids: list[list[int]]) -> Vector:
        """Unit vectors (b, size) of b texts with n tokens each."""
        rows = np.array(ids)
        states = self.parts.words[rows] + self.parts.places[: rows.shape[1]]
        _norm(states, self.parts.first, self.parts.epsilon)
        room = _Room.of(states, self.parts)
        for layer in self.parts.layers:
            self._layer(states, layer, room)
        means: Vector = states.mean(axis=1)
        return means / np.maximum(np.sqrt(np.einsum("ij,ij->i", means, means)), 1e-12)[:, None]

    def _layer(self, states: Vector, layer: dict[str, Pair], room: _Room) -> None:
        """One layer, in place of `states` (b, n, size)."""
        _linear(states, layer["qkv"], room.mixed)
        _attention(room)
        _linear(room.attended, layer["merge"], room.change)
        states += room.change
        _norm(states, layer["merge_norm"], self.parts.epsilon)
        _linear(states, layer["widen"], room.wide)
        _gelu(room.wide)
        _linear(room.wide, layer["narrow"], room.change)
        states += room.change
        _norm(states, layer["narrow_norm"], self.parts.epsilon)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What a pass writes its results to: asking for new memory each time takes as long as the products themselves."""

    mixed: Vector  #: (b, n, 3 * size) queries, keys and values
    apart: Vector  #: (3, b, heads, n, width) the same, by head
    attended: Vector  #: (b, n, size)
    change: Vector  #: (b, n, size)
    wide: Vector  #: (b, n, width of the inner layer)
    nearness: Vector | None  #: (heads, n, n) what MPNet adds to each score

    @classmethod
    def of(cls, states: Vector, parts: Parts) -> _Room:
        (texts, n, size), kind = states.shape, np.float32
        inner = parts.layers[0]["widen"][0].shape[1] if parts.layers else 0
        return cls(
            mixed=np.empty((texts, n, 3 * size), kind),
            apart=np.empty((3, texts, parts.heads, n, size // parts.heads), kind),
            attended=np.empty_like(states),
            change=np.empty_like(states),
            wide=np.empty((texts, n, inner), kind),
            nearness=_nearness(parts.distances, n),
        )


def _groups(lengths: list[int]) -> list[list[int]]:
    """Places of texts with equally many tokens, at most _BATCH_TOKENS together: padding is computed like any token."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    groups: list[list[int]] = []
    for tokens, places in groupby(order, key=lengths.__getitem__):
        together, size = list(places), max(1, _BATCH_TOKENS // max(1, tokens))
        groups += [together[start : start + size] for start in range(0, len(together), size)]
    return groups


def _attention(room: _Room) -> None:
    """Attention within each text, from `mixed` to `attended`."""
    _, texts, heads, n, width = room.apart.shape
    room.apart[:] = room.mixed.reshape(texts, n, 3, heads, width).transpose(2, 0, 3, 1, 4)
    query, key, value = room.apart
    scores = query @ key.swapaxes(-1, -2)
    scores *= np.float32(1 / math.sqrt(width))
    if room.nearness is not None:
        scores += room.nearness
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    np.matmul(scores, value, out=query)
    room.attended.reshape(texts, n, heads, width)[:] = query.swapaxes(1, 2)


def _nearness(distances: Vector | None, n: int) -> Vector | None:
    """(heads, n, n) what MPNet adds to the score of each two tokens, by buckets of their distance as in T5."""
    if distances is None:
        return None
    apart = np.arange(n)[None, :] - np.arange(n)[:, None]
    half, exact = len(distances) // 2, len(distances) // 4
    far = np.log(np.maximum(np.abs(apart), 1).astype(np.float32) / exact) / math.log(_MAX_DISTANCE / exact)
    wide = np.minimum(exact + (far * (half - exact)).astype(np.int64), half - 1)
    bucket = np.where(np.abs(apart) < exact, np.abs(apart), wide) + half * (apart > 0)
    result: Vector = distances[bucket].transpose(2, 0, 1)
    return result


def _norm(states: Vector, weights: Pair, epsilon: np.float32) -> None:
    """Layer norm of each row, in place."""
    states -= states.mean(axis=-1, keepdims=True)
    spread = np.einsum("...j,...j->...", states, states) / np.float32(states.shape[-1]) + epsilon
    states *= (1 / np.sqrt(spread))[..., None]
    states *= weights[0]
    states += weights[1]


def _linear(states: Vector, weights: Pair, result: Vector) -> None:
    width = states.shape[-1]
    np.matmul(states.reshape(-1, width), weights[0], out=result.reshape(-1, result.shape[-1]))
    result += weights[1]


def _gelu(x: Vector) -> None:
    """x Phi(x) in place, in parts that stay in the processor's cache: numpy has tanh, and no error function."""
    flat = x.reshape(-1)
    for start in range(0, len(flat), _AT_ONCE):
        part = flat[start : start + _AT_ONCE]
        square = np.minimum(part * part, _FAR)
        share = square * _C[2]
        share += _C[1]
        share *= square
        share += _C[0]
        share *= part
        np.tanh(share, out=share)
        share += 1
        share *= _HALF
        part *= share
