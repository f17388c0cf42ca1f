"""The int8 form of a model on disk, and its vectors behind a cache of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobs.lib.embedding.cache import MAX_TOKENS, Cache

if TYPE_CHECKING:
    from jobs.lib.embedding.onnx_bert import OnnxBert


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
        pending = self._cache.missing(texts)
        self.computed += len(pending)
        self._cache.fill(pending, lambda batch: self.model.encode_all(batch).astype(np.float16), progress, should_stop)
        return self._cache.vectors(texts)
