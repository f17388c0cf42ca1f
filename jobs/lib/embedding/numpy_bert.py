"""A small BERT for single short texts, in numpy: it loads in 0.3 s, where importing torch alone takes several seconds.

It computes what sentence-transformers computes for a BERT with mean pooling, from the same files: Devlin et al.,
arXiv 1810.04805; mean over all tokens as in Reimers and Gurevych, arXiv 1908.10084. It does not check
whether a model is of that kind: the caller compares its vectors with those of sentence-transformers before using it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vector = NDArray[np.float32]


class Unfit(Exception):
    """The folder does not hold a BERT that this module can compute."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The weights of a BERT; matrices are turned, so that rows of states are multiplied with them from the left."""

    words: Vector  #: (vocabulary, size)
    places: Vector  #: (positions, size), with the embedding of the first segment
    first: tuple[Vector, Vector]
    layers: list[dict[str, tuple[Vector, Vector]]]


class Bert:
    """bert = Bert(folder); bert.encode("see you soon") -> (size,) float32 of length 1"""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        """Read weights and tokenizer. Raises Unfit where they are not those of a plain BERT."""
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
                raise Unfit(str(config["model_type"]))
            self.heads, layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
            self.epsilon = np.float32(config.get("layer_norm_eps", 1e-12))
            self._tokenizer = read_tokenizer(folder, min(max_tokens, int(config["max_position_embeddings"])))
            self._libraries = ThreadpoolController()
            self.parts = _parts(_tensors(folder / "model.safetensors"), layers)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise Unfit(type(error).__name__) from error

    def encode(self, text: str) -> Vector:
        """The unit vector (size,) of one text, computed on one core: waiting for a second busy core takes longer."""
        with self._libraries.limit(limits=1, user_api="blas"):
            return self._encode(text)

    def encode_all(self, texts: Sequence[str]) -> Vector:
        """The unit vectors (len(texts), size), each text on one core, as many at a time as there are cores."""
        with self._libraries.limit(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(self._encode, texts)))

    def _encode(self, text: str) -> Vector:
        ids = self._tokenizer.encode(text).ids
        states = self._norm(self.parts.words[ids] + self.parts.places[: len(ids)], self.parts.first)
        for layer in self.parts.layers:
            attended = _linear(self._attention(states, layer["qkv"]), layer["merge"])
            states = self._norm(states + attended, layer["merge_norm"])
            wide = _gelu(_linear(states, layer["widen"]))
            states = self._norm(states + _linear(wide, layer["narrow"]), layer["narrow_norm"])
        mean = states.mean(axis=0)
        unit: Vector = mean / max(float(np.sqrt(mean @ mean)), 1e-12)
        return unit.astype(np.float32)

    def _attention(self, states: Vector, weights: tuple[Vector, Vector]) -> Vector:
        """Multi-head self-attention over (n, size) before its output projection."""
        n, size = states.shape
        mixed = _linear(states, weights).reshape(n, 3, self.heads, size // self.heads)
        query, key, value = mixed.transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) * np.float32(1 / math.sqrt(size // self.heads))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return (scores @ value).transpose(1, 0, 2).reshape(n, size)

    def _norm(self, states: Vector, weights: tuple[Vector, Vector]) -> Vector:
        centred = states - states.mean(axis=-1, keepdims=True)
        spread = np.sqrt(np.einsum("ij,ij->i", centred, centred) / np.float32(centred.shape[1]) + self.epsilon)
        result: Vector = centred / spread[:, None] * weights[0] + weights[1]
        return result


def read_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise Unfit("it has no tokenizer.json")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _tensors(file: Path) -> dict[str, Vector]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as source:
            read: dict[str, Any] = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Unfit("its weights cannot be read") from error
    return {name.removeprefix("bert."): np.asarray(tensor, dtype=np.float32) for name, tensor in read.items()}


def _parts(weights: dict[str, Vector], layers: int) -> Parts:
    embeddings = "embeddings."
    segment = weights[embeddings + "token_type_embeddings.weight"][0]
    return Parts(
        words=weights[embeddings + "word_embeddings.weight"],
        places=weights[embeddings + "position_embeddings.weight"] + segment,
        first=_pair(weights, embeddings + "LayerNorm"),
        layers=[_layer(weights, f"encoder.layer.{number}.") for number in range(layers)],
    )


def _layer(weights: dict[str, Vector], prefix: str) -> dict[str, tuple[Vector, Vector]]:
    parts = [_pair(weights, f"{prefix}attention.self.{name}") for name in ("query", "key", "value")]
    together = (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
    return {
        "qkv": _turned(together),
        "merge": _turned(_pair(weights, prefix + "attention.output.dense")),
        "merge_norm": _pair(weights, prefix + "attention.output.LayerNorm"),
        "widen": _turned(_pair(weights, prefix + "intermediate.dense")),
        "narrow": _turned(_pair(weights, prefix + "output.dense")),
        "narrow_norm": _pair(weights, prefix + "output.LayerNorm"),
    }


def _pair(weights: dict[str, Vector], name: str) -> tuple[Vector, Vector]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _turned(weights: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
    """The matrix transposed in memory: multiplying a few tokens with it is up to four times as fast."""
    return np.ascontiguousarray(weights[0].T), weights[1]


def _linear(states: Vector, weights: tuple[Vector, Vector]) -> Vector:
    result: Vector = states @ weights[0]
    result += weights[1]
    return result


def _gelu(states: Vector) -> Vector:
    """x Phi(x) by its approximation with tanh (Hendrycks and Gimpel, arXiv 1606.08415): a tenth of the time of erf."""
    inner = states * states
    inner *= np.float32(0.044715 * math.sqrt(2 / math.pi))
    inner += np.float32(math.sqrt(2 / math.pi))
    inner *= states
    np.tanh(inner, out=inner)
    inner += 1
    inner *= states
    inner *= np.float32(0.5)
    return inner
