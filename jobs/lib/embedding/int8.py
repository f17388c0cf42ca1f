"""The int8 form of a model on disk, and its vectors behind a cache of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobs.lib.embedding.cache import MAX_TOKENS, Cache
from jobs.lib.stopping import Stopped

if TYPE_CHECKING:
    from jobs.lib.embedding.onnx_bert import OnnxBert

_COMMIT = 1024  # texts embedded between two commits to the cache


def open_model(folder: Path, fingerprint: str, cache: Path) -> OnnxBert:
    """The int8 form of the model in `folder`, made first where it is missing or damaged. Raises Unfit."""
    from jobs.lib.embedding import onnx_bert

    file = cache / "onnx" / f"{fingerprint[:16]}-int8.onnx"
    if file.is_file():
        try:
            return onnx_bert.OnnxBert(file, folder, MAX_TOKENS)
        except Exception:  # noqa: S110  # whatever onnxruntime raises: the file is made again
            pass
    onnx_bert.build(folder, file, MAX_TOKENS)
    return onnx_bert.OnnxBert(file, folder, MAX_TOKENS)


class Int8Encoder:
    """encoder.encode(texts) -> (len(texts), size) float32 rows of length 1; each text is embedded once."""

    def __init__(self, folder: Path, fingerprint: str, cache: Path) -> None:
        """Raises Unfit for a model that is no plain BERT."""
        self.model = open_model(folder, fingerprint, cache)
        self.computed = 0
        self._cache = Cache(cache / "embeddings" / f"int8-{fingerprint[:16]}", "int8")

    def encode(
        self,
        texts: Sequence[str],
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.float32]:
        """Raises Stopped; the finished batches are kept."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        rows = self._cache.rows()
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in rows}
        pending = sorted(missing.items(), key=lambda item: (len(item[1]), item[0]))
        self.computed += len(pending)
        for start in range(0, len(pending), _COMMIT):
            if should_stop():
                raise Stopped
            progress(start, len(pending))
            chunk = pending[start : start + _COMMIT]
            vectors = self.model.encode_all([text for _, text in chunk])
            self._cache.append([key for key, _ in chunk], vectors.astype(np.float16))
        return self._cache.gather(keys)
