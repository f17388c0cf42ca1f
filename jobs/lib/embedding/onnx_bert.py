"""A BERT for single texts in onnxruntime, its weights as int8: several times as fast as numpy.

Needs the optional extra `jarvisd[fast]`. The graph is built from the model's own files, without torch and without the
network; weights are quantised per output channel, activations per text (onnxruntime.quantization.quantize_dynamic),
after jobs.lib.embedding.onnx_graph prepared both. The cosine to the vectors in float32 is about 0.9985.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jarvisd import plugin
from jobs.lib.embedding import onnx_graph
from jobs.lib.embedding.numpy_bert import Bert
from jobs.lib.embedding.numpy_weights import Unfit, read_tokenizer

Vector = NDArray[np.float32]


def installed() -> bool:
    """Whether the extra is installed; imports nothing."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "onnx"))


class OnnxBert:
    """bert = OnnxBert(file, folder, max_tokens); bert.encode("see you soon") -> (size,) float32 of length 1"""

    def __init__(self, file: Path, folder: Path, max_tokens: int) -> None:
        """Load what `build` wrote. Raises Unfit for a folder without tokenizer, RuntimeError for a damaged file."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # waiting for a second busy core takes longer
        options.log_severity_level = 3
        self._tokenizer = read_tokenizer(folder, max_tokens)
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def encode(self, text: str) -> Vector:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        given = {"ids": ids, "places": np.arange(ids.shape[1], dtype=np.int64)}
        mean: Vector = self._session.run(["means"], given)[0][0]
        return mean / np.maximum(np.sqrt(mean @ mean), np.float32(1e-12))


def build(folder: Path, file: Path, max_tokens: int) -> None:
    """Write the int8 graph of the BERT in `folder` to `file`. Raises Unfit for another kind of model."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    bert = Bert(folder, max_tokens)
    if bert.parts.distances is not None:
        raise Unfit("an MPNet, which has a table of distances")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as work:
        plain, small = Path(work) / "float32.onnx", Path(work) / "int8.onnx"
        onnx.save(onnx_graph.smoothed(bert, read_tokenizer(folder, max_tokens)), plain)
        quantize_dynamic(plain, small, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
        plugin.replace_file(file, small.read_bytes())
