"""sentence-transformers behind a cache: an installation embeds each text once.

The cache of one model is a folder of three files, 0600 in 0700, without any text and without pickle:

    meta.json       the model, the size of a vector
    vectors.f16     one row per text, float16, unit length, memory-mapped
    keys.sha256     one row per text, the hash of the text; a row of vectors counts only when its key is there

Both files only grow, the vectors before their keys. A process that is killed therefore leaves complete rows and at
most an incomplete tail, which the next start cuts off.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jarvisd.plugin import JobFailed
from jobs.lib.embedding.cache import MAX_TOKENS, Cache

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


#: Up to so many new texts are computed by the fast encoder, if there is one: importing torch and
#: sentence-transformers takes longer than they do.
_FEW = 400
_PROBES = 8  # texts of the cache on which the fast encoder must agree


class FastEncoder(Protocol):
    """Opens a model faster than sentence-transformers does, and computes few texts, as float32 rows of length 1."""

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


FastLoader = Callable[[Path, int], FastEncoder]


class Encoder:
    """A sentence-transformers model in a local folder.

    encoder = Encoder(folder, "all-mpnet-base-v2", cache_folder)
    vectors = encoder.encode(texts)     # (len(texts), encoder.size) float32, rows of length 1
    encoder.computed                    # how many of them were not in the cache
    """

    def __init__(
        self, folder: Path, name: str, cache: Path, device: str = "auto", fast: FastLoader | None = None
    ) -> None:
        """`cache` holds one folder per model, named after a hash of the model's files.

        `fast(folder, MAX_TOKENS)` opens the same model in a library that starts faster than sentence-transformers. It
        computes few new texts, and only after it agreed with vectors of the cache; it may raise.
        """
        _check(folder)
        self._fast = fast
        self.folder, self.name, self.device = folder, name, device
        self.fingerprint = _fingerprint(folder)
        slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "model"
        self._cache = Cache(cache / f"{slug}-{self.fingerprint[:16]}", name)
        self._model: SentenceTransformer | None = None
        self.computed = 0

    def encode(
        self,
        texts: Sequence[str],
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float32]:
        """Unit vectors (len(texts), size) float32 in the order of `texts`.

        Raises Stopped; the cache then holds the vectors of all finished batches.
        """
        pending = self._cache.missing(texts)
        self.computed += len(pending)

        def compute(batch: list[str]) -> NDArray[np.float16]:
            vectors = self._encode_few(batch, texts) if len(pending) <= _FEW else None
            return self._compute(batch) if vectors is None else vectors

        self._cache.fill(pending, compute, progress, should_stop)
        return self._cache.vectors(texts)

    def _encode_few(self, batch: list[str], texts: Sequence[str]) -> NDArray[np.float16] | None:
        """The vectors of few texts by the fast encoder; None where there is none, it fails, or it does not agree."""
        import numpy as np

        known = self._cache.known(texts)
        probes = known[:: max(1, len(known) // _PROBES)][:_PROBES]
        if self._fast is None or self._model is not None or len(probes) < _PROBES:
            return None
        try:
            model = self._fast(self.folder, MAX_TOKENS)
            computed = model.encode_all(probes)
            if float((computed * self._cache.vectors(probes)).sum(axis=1).min()) < _AGREEMENT:
                return None
            return model.encode_all(batch).astype(np.float16)
        except Exception:  # sentence-transformers computes them instead
            return None

    def _compute(self, texts: list[str]) -> NDArray[np.float16]:
        import numpy as np

        self._model = self._model or _load(self.folder, self.device)
        vectors = encode(self._model, texts)
        if not np.isfinite(vectors).all():
            raise JobFailed(f"{self.name} returned vectors that are not numbers", "Its files may be damaged.")
        return vectors.astype(np.float16)


# ---------------------------------------------------------------------------------------------------- the model itself


def _check(folder: Path) -> None:
    """Raise JobFailed for a folder without usable modules.json and for one that names classes of other packages."""
    file = folder / "modules.json"
    try:
        modules = json.loads(file.read_text("utf-8"))
        types = [str(module["type"]) for module in modules]
        if not types:
            raise ValueError("no modules")
    except (OSError, ValueError, LookupError, TypeError):
        raise JobFailed(
            f"{folder} is not a model of sentence-transformers: it has no usable modules.json",
            "Name one such as sentence-transformers/all-mpnet-base-v2 with mine.embedder.",
        ) from None
    if foreign := [name for name in types if not name.startswith("sentence_transformers.")]:
        raise JobFailed(f"{folder} needs code of its own ({foreign[0]})", "Only models without code are loaded.")


def _fingerprint(folder: Path) -> str:
    """A hash of all files that decide what the vectors are."""
    digest = hashlib.sha256(f"{MAX_TOKENS} tokens".encode())
    names = ("modules.json", "config.json", "tokenizer.json", "vocab.txt", "1_Pooling/config.json")
    for file in [folder / name for name in names] + sorted(folder.glob("*.safetensors")):
        if file.is_file():
            digest.update(file.name.encode())
            with file.open("rb") as source:
                digest.update(hashlib.file_digest(source, "sha256").digest())
    return digest.hexdigest()


def _load(folder: Path, device: str) -> SentenceTransformer:
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
