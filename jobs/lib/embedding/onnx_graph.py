"""The forward pass of numpy_bert.Bert as ONNX nodes, prepared for int8.

A few channels of what a matrix is multiplied with are far larger than all others, and would take nearly all of the 255
steps that int8 has. Two things are done about it:

- each input channel is divided by a number, by which the matrix' row for it is multiplied before: G. Xiao et al.,
  "SmoothQuant", arXiv 2211.10438. Which channels are large is seen on SENTENCES, which are no user's.
- the second matrix of the feed-forward part, whose inputs differ most, has steps of its own for each block of _BLOCK
  channels (onnxruntime's MatMulNBits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jobs.lib.embedding.numpy_bert import Bert

if TYPE_CHECKING:
    import onnx
    from tokenizers import Tokenizer

_OPSET, _IR = 20, 9
_ONNXRUNTIME = "com.microsoft"  #: the domain of its own operations
_MOVED = 0.5  #: how much of a channel's size moves from the inputs into the matrix, as an exponent
_BLOCK = 128  #: channels
_LEAST = 1e-4  #: below it a channel counts as this large
#: What messages look like, with many kinds of words: a channel that none of them stirs would not be seen.
SENTENCES = (
    *("ok", "yes", "nope", "hmm", "LOL", "no worries!", "see you soon", "how are you?", "where are you", "on my way"),
    *("that was so funny lol 😂", "can you pick up milk on your way home?", "haha yeah", "who won the game"),
    *("i dont know what to say about that, what do you think?", "Happy birthday!! Hope you have a great day"),
    *("are you free for dinner tomorrow at 7?", "Running 10 mins late, sorry", "I love you", "good night, sleep well"),
    *("Did you see the project update I sent on Monday?", "what time works for you", "call me when you get home"),
    *("thanks so much for your help yesterday, I really appreciate it", "wow that is amazing", "I'm at work until 5"),
    *("I can't make it tonight, maybe next week?", "my car broke down again and the garage wants 400 dollars"),
    *("do you like music? I listen to a lot of jazz and old rock", "send me the address please", "what's up"),
    "he said that she would not come because of the weather",
    "the kids are sick so we are staying at home this weekend, http://example.org/a1b2",
)
Vector = NDArray[np.float32]


def smoothed(bert: Bert, tokenizer: Tokenizer) -> onnx.ModelProto:
    """ids (b, n), places (n) -> means (b, size); what is left in float32 loses little when onnxruntime quantises it."""
    return _Graph(bert, _peaks(bert, tokenizer)).model()


def _peaks(bert: Bert, tokenizer: Tokenizer) -> list[Vector]:
    """The largest input of each channel over SENTENCES, for each matrix in the order of the graph."""
    import onnxruntime
    from onnx import TensorProto, helper

    graph = _Graph(bert)
    model = graph.model()
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in graph.inputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    largest: list[Vector] = [np.zeros(1, dtype=np.float32)] * len(graph.inputs)
    for encoding in tokenizer.encode_batch(list(SENTENCES)):
        given = {"ids": np.array([encoding.ids]), "places": np.arange(len(encoding.ids))}
        for number, values in enumerate(session.run(graph.inputs, given)):
            channels = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            largest[number] = np.maximum(largest[number], channels)
    return largest


def _divisors(peaks: Vector, matrix: Vector) -> Vector:
    """By what each input channel is divided; their geometric mean is 1."""
    rows = np.abs(matrix).max(axis=1)
    divisors = np.maximum(peaks, _LEAST) ** _MOVED / np.maximum(rows, _LEAST) ** (1 - _MOVED)
    result: Vector = (divisors / np.exp(np.log(divisors).mean())).astype(np.float32)
    return result


class _Graph:
    """With `peaks` the products are smoothed. `inputs` are the names of what each matrix is multiplied with."""

    def __init__(self, bert: Bert, peaks: Sequence[Vector] = ()) -> None:
        self._bert, self._peaks = bert, peaks
        self.inputs: list[str] = []
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
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_ONNXRUNTIME, 1)],
            ir_version=_IR,
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
        matrix, number = weights[0], len(self.inputs)
        self.inputs.append(states)
        if self._peaks:
            divisors = _divisors(self._peaks[number], matrix)
            states = self._add("Mul", [states, self._constant(1 / divisors)])
            matrix = matrix * divisors[:, None]
        return self._add("Add", [self._product(states, matrix), self._constant(weights[1])])

    def _product(self, states: str, matrix: Vector) -> str:
        """In blocks where the inputs are the wide ones of the feed-forward part."""
        channels, size = matrix.shape
        if not self._peaks or channels <= size or channels % _BLOCK:
            return self._add("MatMul", [states, self._constant(matrix)])
        blocks = matrix.T.reshape(size, channels // _BLOCK, _BLOCK)
        steps = np.maximum(np.abs(blocks).max(axis=-1), _LEAST**2) / np.float32(127)
        numbers = (np.rint(blocks / steps[..., None]) + 128).astype(np.uint8)  # 128 stands for 0
        kept = [states, self._constant(numbers), self._constant(steps.reshape(-1))]
        form = {"K": channels, "N": size, "bits": 8, "block_size": _BLOCK}
        return self._add("MatMulNBits", kept, domain=_ONNXRUNTIME, accuracy_level=4, **form)  # 4: inputs as int8

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
