"""A BERT for single texts in onnxruntime, its weights as int8: several times as fast as numpy, in another space.

Needs the optional extra `jarvisd[fast]`. The graph is built from the model's own files, without torch and without the
network; weights are quantised per output channel, activations per text (onnxruntime.quantization.quantize_dynamic).
The vectors are a space of their own, at a cosine of about 0.99 to those in float32: never compare the two.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jarvisd import plugin
from jobs.lib.embedding.numpy_bert import Bert
from jobs.lib.embedding.numpy_weights import Unfit, read_tokenizer

if TYPE_CHECKING:
    import onnx

_OPSET, _IR = 20, 9
_BATCH_TOKENS = 2048  # of one pass: its activations share one scale
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
        return self._means([self._tokenizer.encode(text).ids])[0]

    def encode_all(self, texts: Sequence[str]) -> Vector:
        """(len(texts), size), texts of equally many tokens together."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        vectors: list[Vector] = []
        for _, group in groupby(order, key=lambda place: len(ids[place])):
            places = list(group)
            vectors += [self._means([ids[place] for place in part]) for part in _parts(places, len(ids[places[0]]))]
        together = np.concatenate(vectors) if vectors else np.empty((0, 0), dtype=np.float32)
        result = np.empty_like(together)
        result[order] = together
        return result

    def _means(self, ids: list[list[int]]) -> Vector:
        """(texts, size) rows of length 1 of texts with equally many tokens."""
        rows = np.array(ids, dtype=np.int64)
        given = {"ids": rows, "places": np.arange(rows.shape[1], dtype=np.int64)}
        means: Vector = self._session.run(["means"], given)[0]
        return means / np.maximum(np.sqrt(np.einsum("ij,ij->i", means, means)), 1e-12)[:, None]


def _parts(places: list[int], tokens: int) -> list[list[int]]:
    size = max(1, _BATCH_TOKENS // max(1, tokens))
    return [places[start : start + size] for start in range(0, len(places), size)]


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
        onnx.save(_Graph(bert).model(), plain)
        quantize_dynamic(plain, small, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
        plugin.replace_file(file, small.read_bytes())


class _Graph:
    """The forward pass of numpy_bert.Bert as ONNX nodes: ids (b, n), places (n) -> means (b, size)."""

    def __init__(self, bert: Bert) -> None:
        self._bert = bert
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def model(self) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        weights = self._bert.parts
        states = self._add(
            "Add",
            [
                self._add("Gather", [self._constant(weights.words), "ids"]),
                self._add("Gather", [self._constant(weights.places), "places"]),
            ],
        )
        states = self._norm(states, weights.first)
        for layer in weights.layers:
            states = self._layer(states, layer)
        self._nodes.append(
            helper.make_node("ReduceMean", [states, self._constant(np.array([1]))], ["means"], keepdims=0)
        )
        graph = helper.make_graph(
            self._nodes,
            "bert",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "n"]),
                helper.make_tensor_value_info("places", TensorProto.INT64, ["n"]),
            ],
            [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["b", weights.words.shape[1]])],
            self._constants,
        )
        made: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
        )
        helper.set_model_props(made, {"onnx.quant.pre_process": "onnxruntime.quant"})  # else it logs advice
        return made

    def _layer(self, states: str, layer: dict[str, tuple[Vector, Vector]]) -> str:
        attended = self._linear(self._attention(states, layer["qkv"]), layer["merge"])
        states = self._norm(self._add("Add", [states, attended]), layer["merge_norm"])
        wide = self._add("Gelu", [self._linear(states, layer["widen"])])
        return self._norm(self._add("Add", [states, self._linear(wide, layer["narrow"])]), layer["narrow_norm"])

    def _attention(self, states: str, weights: tuple[Vector, Vector]) -> str:
        size, heads = self._bert.parts.words.shape[1], self._bert.parts.heads
        width = size // heads
        apart = self._constant(np.array([0, 0, 3, heads, width]))  # 0: as it was
        parts = self._add("Reshape", [self._linear(states, weights), apart])
        mixed = self._add("Transpose", [parts], perm=[2, 0, 3, 1, 4])
        query, key, value = (
            self._add("Gather", [mixed, self._constant(np.array(number))], axis=0) for number in range(3)
        )
        products = self._add("MatMul", [query, self._add("Transpose", [key], perm=[0, 1, 3, 2])])
        scores = self._add("Mul", [products, self._constant(np.array(1 / np.sqrt(width), dtype=np.float32))])
        mean = self._add("MatMul", [self._add("Softmax", [scores], axis=-1), value])
        rows = self._add("Transpose", [mean], perm=[0, 2, 1, 3])
        return self._add("Reshape", [rows, self._constant(np.array([0, 0, size]))])

    def _linear(self, states: str, weights: tuple[Vector, Vector]) -> str:
        product = self._add("MatMul", [states, self._constant(weights[0])])
        return self._add("Add", [product, self._constant(weights[1])])

    def _norm(self, states: str, weights: tuple[Vector, Vector]) -> str:
        parts = [states, self._constant(weights[0]), self._constant(weights[1])]
        return self._add("LayerNormalization", parts, axis=-1, epsilon=float(self._bert.parts.epsilon))

    def _add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name
