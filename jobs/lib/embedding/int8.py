"""The int8 form of a model on disk. Its vectors are near enough to those in float32 to be compared with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.lib.embedding.cache import MAX_TOKENS
from jobs.lib.embedding.numpy_weights import Unfit

if TYPE_CHECKING:
    from jobs.lib.embedding.onnx_bert import OnnxBert

_VERSION = 2  #: of how the graph is made


def open_model(folder: Path, fingerprint: str, cache: Path) -> OnnxBert:
    """The int8 form of the model in `folder`, made first where it is missing, damaged or of an earlier version.

    Raises Unfit for a model that is no plain BERT, and where this machine's onnxruntime cannot compute it.
    """
    from jobs.lib.embedding import onnx_bert

    file = cache / "onnx" / f"{fingerprint[:16]}-int8-{_VERSION}.onnx"
    if file.is_file():
        try:
            return _tried(file, folder)
        except Unfit:
            pass  # it is made again
    onnx_bert.build(folder, file, MAX_TOKENS)
    _clear_earlier(file, cache / "embeddings" / f"int8-{fingerprint[:16]}")
    return _tried(file, folder)


def _clear_earlier(file: Path, vectors: Path) -> None:
    """Take away what earlier versions made of the same model: other graphs, and the vectors that they gave."""
    for other in set(file.parent.glob(f"{file.name.split('-')[0]}-int8*.onnx")) - {file}:
        other.unlink(missing_ok=True)
    shutil.rmtree(vectors, ignore_errors=True)


def _tried(file: Path, folder: Path) -> OnnxBert:
    """Raises Unfit where it does not load or compute: onnxruntime knows other operations on other processors."""
    from jobs.lib.embedding import onnx_bert

    try:
        model = onnx_bert.OnnxBert(file, folder, MAX_TOKENS)
        model.encode("ok")
    except Exception as error:  # whatever onnxruntime raises
        raise Unfit(type(error).__name__) from error
    return model
