"""The weights of a plain BERT or MPNet as numpy arrays, read from the files of a sentence-transformers folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vector = NDArray[np.float32]
Pair = tuple[Vector, Vector]  #: a matrix (or the scale of a norm), and what is added


class Unfit(Exception):
    """The folder does not hold a model that jobs.lib.embedding.numpy_bert can compute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The weights; matrices are turned, so that rows of states are multiplied with them from the left."""

    heads: int
    epsilon: np.float32
    words: Vector  #: (vocabulary, size)
    places: Vector  #: (positions, size) of the first token and those after it; with BERT's embedding of the segment
    distances: Vector | None  #: (buckets, heads) what MPNet adds to a score by the distance of two tokens
    first: Pair
    layers: list[dict[str, Pair]]


#: What differs between the two: names of a layer's parts, and the row of the first token's position.
_NAMES = {
    "bert": {
        "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
        "merge": "attention.output.dense",
        "merge_norm": "attention.output.LayerNorm",
    },
    "mpnet": {
        "qkv": ("attention.attn.q", "attention.attn.k", "attention.attn.v"),
        "merge": "attention.attn.o",
        "merge_norm": "attention.LayerNorm",
    },
}
_FIRST_PLACE = {"bert": 0, "mpnet": 2}


def read(folder: Path) -> Parts:
    """Raises Unfit for another kind of model, and where files are missing or damaged."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kind = str(config["model_type"])
        if kind not in _NAMES or config["hidden_act"] != "gelu":
            raise Unfit(kind)
        return _parts(_tensors(folder / "model.safetensors", kind), kind, config)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unfit(type(error).__name__) from error


def read_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """Cuts a text after `max_tokens`, or where the model's files say that it ends. Raises Unfit."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise Unfit("it has no tokenizer.json")
    limit = _setting(folder / "sentence_bert_config.json", "max_seq_length")
    limit = limit or _setting(folder / "tokenizer_config.json", "model_max_length")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(min(max_tokens, limit or max_tokens))
    return tokenizer


def _setting(file: Path, name: str) -> int | None:
    """A whole number in a JSON file; None where there is none. Raises Unfit."""
    try:
        value = json.loads(file.read_text("utf-8")).get(name) if file.is_file() else None
    except (OSError, ValueError, AttributeError) as error:
        raise Unfit(type(error).__name__) from error
    return int(value) if value else None


def _tensors(file: Path, kind: str) -> dict[str, Vector]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as source:
            read: dict[str, Any] = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise Unfit("its weights cannot be read") from error
    return {name.removeprefix(f"{kind}."): np.asarray(tensor, dtype=np.float32) for name, tensor in read.items()}


def _parts(weights: dict[str, Vector], kind: str, config: dict[str, Any]) -> Parts:
    places = weights["embeddings.position_embeddings.weight"][_FIRST_PLACE[kind] :]
    segments = weights.get("embeddings.token_type_embeddings.weight")
    return Parts(
        heads=int(config["num_attention_heads"]),
        epsilon=np.float32(config.get("layer_norm_eps", 1e-12)),
        words=weights["embeddings.word_embeddings.weight"],
        places=places if segments is None else places + segments[0],
        distances=weights["encoder.relative_attention_bias.weight"] if kind == "mpnet" else None,
        first=_pair(weights, "embeddings.LayerNorm"),
        layers=[
            _layer(weights, f"encoder.layer.{number}.", _NAMES[kind]) for number in range(config["num_hidden_layers"])
        ],
    )


def _layer(weights: dict[str, Vector], prefix: str, names: dict[str, Any]) -> dict[str, Pair]:
    parts = [_pair(weights, prefix + name) for name in names["qkv"]]
    together = (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
    return {
        "qkv": _turned(together),
        "merge": _turned(_pair(weights, prefix + names["merge"])),
        "merge_norm": _pair(weights, prefix + names["merge_norm"]),
        "widen": _turned(_pair(weights, prefix + "intermediate.dense")),
        "narrow": _turned(_pair(weights, prefix + "output.dense")),
        "narrow_norm": _pair(weights, prefix + "output.LayerNorm"),
    }


def _pair(weights: dict[str, Vector], name: str) -> Pair:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _turned(weights: Pair) -> Pair:
    """The matrix transposed in memory: multiplying a few tokens with it is up to four times as fast."""
    return np.ascontiguousarray(weights[0].T), weights[1]
