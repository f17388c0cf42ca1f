"""Memory that a chat model needs beside its weights, worked out from its config.json. MB are 2**20 bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MB = 1 << 20
#: Freed buffers that MLX may keep. Its default is about all memory, which drives a small Mac into swap.
CACHE_LIMIT_MB = 256
#: Replies that are generated at once, at most.
LARGEST_BATCH = 8
#: Replies at once where the memory of a model is not known, and what a model without an entry is declared for.
USUAL_BATCH = 4
#: mlx-lm's key-value caches grow in steps of so many tokens.
_STEP_TOKENS = 256
#: Tokens held at the peak of a batch whose sequences fit into one step: 1,793 were measured with 4, 3,066 with 8.
_TOKENS_OF_BATCH, _TOKENS_OF_REPLY = 520, 319
_USUAL_VOCABULARY = 150_000
_MB_OF_TOKEN = 0.0018  # 450 MB were measured up to 150,000 tokens, 649 with 262,000


def told(megabytes: float) -> str:
    """ "620 MB" and "6.74 GB", as everywhere else in a report."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1024:.2f} GB"


def process_mb(config: Mapping[str, Any], base: int) -> int:
    """The process beside weights and cache: `base`, and more where a large vocabulary has to be held."""
    vocabulary = _text(config).get("vocab_size")
    extra = vocabulary - _USUAL_VOCABULARY if isinstance(vocabulary, int) else 0
    return base + math.ceil(max(0, extra) * _MB_OF_TOKEN)


def cache_bytes_per_token(config: Mapping[str, Any]) -> int | None:
    """Keys and values of one token in all layers; None if the config does not say."""
    text = _text(config)
    try:
        heads = int(text["num_attention_heads"])
        head_dim = int(text.get("head_dim") or text["hidden_size"] // heads)
        kv_heads = int(text.get("num_key_value_heads") or heads)
        layers = int(text["num_hidden_layers"])
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return None
    dtype = next((part[key] for part in (text, config) for key in ("dtype", "torch_dtype") if part.get(key)), "")
    return 2 * layers * kv_heads * head_dim * (4 if dtype == "float32" else 2)


def batch_mb(size: int, bytes_per_token: int, longest: int = _STEP_TOKENS) -> float:
    """The caches at the peak of a batch of `size` replies; `longest` is a prompt and its reply, in tokens."""
    steps = math.ceil(longest / _STEP_TOKENS)
    return steps * (_TOKENS_OF_BATCH + _TOKENS_OF_REPLY * size) * bytes_per_token / MB


def batch_size(room_mb: float, bytes_per_token: int, longest: int) -> int:
    """How many replies at once fit into `room_mb`: at least 1, at most LARGEST_BATCH."""
    fitting = (size for size in range(LARGEST_BATCH, 1, -1) if batch_mb(size, bytes_per_token, longest) <= room_mb)
    return next(fitting, 1)


def working_mb(config: Mapping[str, Any]) -> int:
    """Beside weights and process: MLX's buffers and the caches of a usual batch; 0 where the config does not tell."""
    bytes_per_token = cache_bytes_per_token(config)
    if bytes_per_token is None:
        return 0
    return CACHE_LIMIT_MB + math.ceil(batch_mb(USUAL_BATCH, bytes_per_token))


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part about the text model: models that also see images keep it in a section of its own."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) else config
