"""One text at a time, in the fastest way that gives the model's vectors. Nothing that is read is kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.lib.embedding.cache import MAX_TOKENS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Read = Callable[[str], NDArray[np.float32]]


def numpy_reader(folder: Path) -> Read:
    """Raises numpy_bert.Unfit for a model that is no plain BERT."""
    from jobs.lib.embedding.numpy_bert import Bert

    return Bert(folder, MAX_TOKENS).encode


def full_reader(folder: Path) -> Read:
    """sentence-transformers without the cache. Importing it takes seconds."""
    from jobs.lib.embedding.library import encode, open_model

    model = open_model(folder, "cpu")
    return lambda text: encode(model, [text])[0]
