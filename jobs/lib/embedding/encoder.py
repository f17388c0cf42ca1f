"""A model of sentence-transformers behind a cache: an installation embeds each text once.

The cache of one model is a folder of these files, 0600 in 0700, without any text and without pickle:

    meta.json       the model, the size of a vector
    vectors.f16     one row per text, float16, unit length, memory-mapped
    keys.sha256     one row per text, the hash of the text; a row of vectors counts only when its key is there
    agreement.json  whether a lighter library gave the vectors of the model's own (jobs.lib.embedding.agreement)

The middle two only grow, the vectors before their keys. A process that is killed therefore leaves complete rows and at
most an incomplete tail, which the next start cuts off.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jarvisd.plugin import JobFailed
from jobs.lib.embedding import agreement, library
from jobs.lib.embedding.cache import MAX_TOKENS, Cache

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from jobs.lib.embedding.agreement import FastEncoder, FastLoader

#: Up to so many new texts are not worth the time that torch takes to start, also where it computes on a GPU.
_FEW = 400


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
        computes what a CPU is to compute, once it agreed with sentence-transformers; it may raise.
        """
        _check(folder)
        self._fast = fast
        self.folder, self.name, self.device = folder, name, device
        self.fingerprint = _fingerprint(folder)
        slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "model"
        self._cache = Cache(cache / f"{slug}-{self.fingerprint[:16]}", name)
        self._model: SentenceTransformer | None = None
        self._lighter: FastEncoder | None = None
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
        if pending and self._model is None and not self._computes_on_gpu(len(pending)):
            self.lighter()
        self._cache.fill(pending, self._compute, progress, should_stop)
        return self._cache.vectors(texts)

    def lighter(self) -> FastEncoder | None:
        """The model as `fast` opens it; None without `fast`, where it fails, and where it does not agree."""
        if self._fast and self._lighter is None:
            self._lighter = agreement.lighter(self.folder, self._cache.folder, self._fast)
        return self._lighter

    def _computes_on_gpu(self, count: int) -> bool:
        return self.device not in ("auto", "cpu") or (
            self.device == "auto" and sys.platform == "darwin" and count > _FEW
        )

    def _compute(self, texts: list[str]) -> NDArray[np.float16]:
        import numpy as np

        if self._lighter is None:
            self._model = self._model or library.load(self.folder, self.device)
        vectors = self._lighter.encode_all(texts) if self._lighter else library.encode(self._model, texts)
        if not np.isfinite(vectors).all():
            raise JobFailed(f"{self.name} returned vectors that are not numbers", "Its files may be damaged.")
        return vectors.astype(np.float16)


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
