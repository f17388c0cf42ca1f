"""Whether a lighter library may compute a model: it must have given the vectors that the model's own library gives.

That library (sentence-transformers, with torch) takes seconds and 0.6 GB to start. So it is asked once per model, in a
process of its own where this one has not loaded it, and the answer is kept beside the model's vectors.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jarvisd import plugin
from jobs.lib.embedding import library
from jobs.lib.embedding.cache import MAX_TOKENS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FastEncoder(Protocol):
    """Opens a model faster than sentence-transformers does, and computes float32 rows of length 1."""

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


FastLoader = Callable[[Path, int], FastEncoder]

LEAST = 0.9999  #: cosine of the two libraries' vectors of each text
#: Short and long, beyond every limit of tokens, in capitals, in other alphabets, and nothing at all.
TEXTS = (
    "",
    "ok",
    "OK see YOU soon",
    "how are you?",
    "that was so funny lol 😂",
    "naïve café, 7 pm?? (bring £5)",
    "да 好的",
    "can you pick up milk on your way home?",
    "i dont know what to say about that, what do you think?",
    "see you there, " * 20,
    "what time is dinner tomorrow and where " * 40,
)
_SECONDS = 600  # a loaded machine needs a minute
_FILE = "agreement.json"
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def lighter(folder: Path, kept: Path, open_fast: FastLoader) -> FastEncoder | None:
    """The model in `folder` as `open_fast` opens it; None where that fails, or its vectors are not the model's own.

    `kept` is the folder of the model's vectors, named after a hash of its files: there the answer stands.
    """
    try:
        model = open_fast(folder, MAX_TOKENS)
        least = _kept(kept)
        return model if (_measured(model, folder, kept) if least is None else least) >= LEAST else None
    except Exception:  # whatever a foreign model makes it raise: the model's own library computes instead
        return None


def _kept(kept: Path) -> float | None:
    """The least cosine of an earlier look at these files; None where there was none."""
    try:
        answer = json.loads((kept / _FILE).read_text("utf-8"))
        return float(answer["least"]) if answer["texts"] == _digest() else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _measured(model: FastEncoder, folder: Path, kept: Path) -> float:
    import numpy as np

    own = np.array(_own_vectors(folder), dtype=np.float32)
    least = float((model.encode_all(TEXTS) * own).sum(axis=1).min())
    plugin.replace_file(kept / _FILE, json.dumps({"texts": _digest(), "least": least}))
    return least


def _own_vectors(folder: Path) -> list[list[float]]:
    """What sentence-transformers gives for TEXTS."""
    if "sentence_transformers" in sys.modules:  # nothing to be saved by a process of its own
        return library.encode(library.open_model(folder, "cpu"), list(TEXTS)).tolist()
    # -P: a folder `jobs` below the current directory must not shadow this package.
    child = subprocess.run(
        [sys.executable, "-P", "-m", __spec__.name, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | _OFFLINE,
        timeout=_SECONDS,
        check=True,
    )
    vectors: list[list[float]] = json.loads(child.stdout)
    return vectors


def _digest() -> str:
    return hashlib.sha256(json.dumps([MAX_TOKENS, *TEXTS]).encode()).hexdigest()


if __name__ == "__main__":
    import sentence_transformers  # noqa: F401  # so that the vectors are computed here

    print(json.dumps(_own_vectors(Path(sys.argv[1]))))
