"""How fast a CPU embeds many short texts: as mining does, and as 0.1.0 did.

0.1.0 padded batches of 64 short texts, and computed in bfloat16 where AVX-512 knows it, also without AMX. Now texts
with equally many tokens are computed together, in float32, in numpy; torch does so for models that numpy cannot read.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.lib.embedding import library
from jobs.lib.embedding.cache import MAX_TOKENS
from jobs.lib.embedding.numpy_bert import Bert

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

TEXTS, REPEATS = 512, 4
WANTED = 2.0  #: times faster than 0.1.0
_PADDED = 64


def compare(texts: list[str], folder: Path) -> None:
    """Interleaved, so that a noisy machine hits all alike; processor time, which noise disturbs less."""
    model, light = library.open_model(folder, "cpu"), Bert(folder, MAX_TOKENS)
    some = texts[:: max(1, len(texts) // TEXTS)][:TEXTS]
    ways: dict[str, Callable[[], NDArray[np.float32]]] = {
        "now": lambda: light.encode_all(some),
        "torch, equal lengths": lambda: library.encode(model, some),
        "as in 0.1.0": lambda: _padded(model, some, bfloat16=True),
        "padded, in float32": lambda: _padded(model, some, bfloat16=False),
    }
    vectors = {name: way() for name, way in ways.items()}
    rounds = [[_seconds(way) for way in ways.values()] for _ in range(REPEATS)]
    columns = dict(zip(ways, zip(*rounds, strict=True), strict=True))
    print(f"    {len(some):,} texts: {statistics.median(columns['now']):.1f} s of processor")
    for name in list(ways)[1:]:
        ratios = sorted(old / new for new, old in zip(columns["now"], columns[name], strict=True))
        ratio, least = statistics.median(ratios), float((vectors["now"] * vectors[name]).sum(axis=1).min())
        print(
            f"    {name}: {statistics.median(columns[name]):.1f} s, so now {ratio:.2f} times as fast "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}, {REPEATS} times; wanted: {WANTED:.0f}, "
            f"{'met' if ratio >= WANTED else 'missed'}); least cosine between the two {least:.4f}"
        )
    print(f"    bfloat16 in 0.1.0's way: {'yes' if _knows_bfloat16() else 'no, this processor does not know it'}")


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _knows_bfloat16() -> bool:
    import torch

    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _padded(model: SentenceTransformer, texts: list[str], *, bfloat16: bool) -> NDArray[np.float32]:
    import torch

    with torch.autocast("cpu", torch.bfloat16) if bfloat16 and _knows_bfloat16() else nullcontext():
        vectors: Any = model.encode(
            texts, batch_size=_PADDED, show_progress_bar=False, convert_to_tensor=True, normalize_embeddings=True
        )
    result: NDArray[np.float32] = vectors.float().cpu().numpy()
    return result
