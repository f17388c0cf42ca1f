"""A model of sentence-transformers by that library itself: any kind of model, on the fastest device that is right."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jarvisd.plugin import JobFailed
from jobs.lib.embedding.cache import MAX_TOKENS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

#: Tokens in one forward pass on a CPU, and texts on a GPU: more of them take memory.
_BATCH_TOKENS, _BATCH_MPS = 4096, 64
_SELF_TEST = (
    "ok",
    "see you soon",
    "how are you?",
    "that was so funny lol",
    "can you pick up milk on your way home?",
)
_AGREEMENT = 0.999  # cosine between cpu and mps


def load(folder: Path, device: str) -> SentenceTransformer:
    """The model on the fastest device that computes correctly. Downloads nothing, runs no code of the model."""
    chosen = _device(folder) if device == "auto" else device
    return open_model(folder, chosen)


def open_model(folder: Path, device: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would draw its bar into the job's log
    try:
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        # Only the type of the error: its text may be pages long.
        raise JobFailed(
            f"{folder} cannot be loaded as a model of sentence-transformers ({type(error).__name__})",
            "Fetch it again while online; only weights as .safetensors are loaded.",
        ) from error
    model.max_seq_length = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
    return model


def _device(folder: Path) -> str:
    """mps where it agrees with cpu on fixed sentences, else cpu: torch 2.8.0 gave wrong vectors silently."""
    if sys.platform != "darwin":
        return "cpu"
    import torch

    if not torch.backends.mps.is_available():
        return "cpu"
    try:
        on_gpu = encode(open_model(folder, "mps"), list(_SELF_TEST))
    except RuntimeError:
        return "cpu"
    agreement = (on_gpu * encode(open_model(folder, "cpu"), list(_SELF_TEST))).sum(axis=1)
    return "mps" if float(agreement.min()) >= _AGREEMENT else "cpu"


def encode(model: SentenceTransformer, texts: list[str]) -> NDArray[np.float32]:
    """(len(texts), size) float32 rows of length 1."""
    import numpy as np

    parts = _equal_lengths(model, texts) if model.device.type == "cpu" else [list(range(len(texts)))]
    vectors = np.empty((len(texts), model.get_embedding_dimension() or 0), dtype=np.float32)
    with _precision(model.device.type):
        for part in parts:
            vectors[part] = _encode_batch(model, [texts[place] for place in part])
    vectors /= np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-12)[:, None]
    return vectors


def _encode_batch(model: SentenceTransformer, texts: list[str]) -> NDArray[np.float32]:
    batch = _BATCH_MPS if model.device.type != "cpu" else max(1, len(texts))
    vectors: Any = model.encode(
        texts, batch_size=batch, show_progress_bar=False, convert_to_tensor=True, normalize_embeddings=True
    )
    return vectors.float().cpu().numpy()


def _equal_lengths(model: SentenceTransformer, texts: list[str]) -> list[list[int]]:
    """Places of texts with as many tokens as each other: a CPU computes padding like any other token."""
    counts = _token_counts(model, texts)
    order = sorted(range(len(texts)), key=counts.__getitem__)
    parts: list[list[int]] = []
    for place in order:
        room = parts and counts[parts[-1][0]] == counts[place] and (len(parts[-1]) + 1) * counts[place] <= _BATCH_TOKENS
        if room:
            parts[-1].append(place)
        else:
            parts.append([place])
    return parts


def _token_counts(model: SentenceTransformer, texts: list[str]) -> list[int]:
    tokenizer = model.tokenizer
    ids = tokenizer(texts, truncation=True, max_length=model.max_seq_length)["input_ids"] if texts else []
    return [len(tokens) for tokens in ids]


def _precision(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where the processor multiplies matrices of it (AMX). Elsewhere it is slower than float32."""
    import torch

    supported = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return torch.autocast("cpu", torch.bfloat16) if device == "cpu" and supported() else nullcontext()
