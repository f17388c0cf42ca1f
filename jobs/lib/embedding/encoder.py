"""sentence-transformers behind a cache: a text is embedded once in the life of an installation.

The cache of one model is a folder of three files, 0600 in 0700, without any text and without pickle:

    meta.json       the model, the size of a vector
    vectors.f16     one row a text, float16, unit length, memory-mapped
    keys.sha256     one row a text, the hash of the text; a row of vectors counts only once its key is here

Both files only grow, the vectors before their keys, so that killing the process at any moment leaves whole rows and
perhaps a tail that the next start cuts off.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jarvisd.plugin import JobFailed
from jobs.lib.embedding.cache import MAX_TOKENS, Cache
from jobs.lib.stopping import Stopped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

_COMMIT = 1024  # texts embedded between two commits to the cache
#: Texts in one forward pass on a CPU: more of them take memory (0.9 GB at 64 long ones, 0.6 at 16).
_BATCH, _BATCH_SHORT, _BATCH_MPS = 16, 64, 64
_SHORT = 120  # characters of the longest text of a batch that counts as short
_SELF_TEST = (
    "ok",
    "see you soon",
    "how are you?",
    "that was so funny lol",
    "can you pick up milk on your way home?",
)
_AGREEMENT = 0.999  # cosine between cpu and mps


#: So few new texts are computed by a light reader of the model, if there is one: importing torch and
#: sentence-transformers takes longer than they do.
_FEW = 400
_PROBES = 8  # texts of the cache on which the light reader must agree


class FastEncoder(Protocol):
    """What opens faster than sentence-transformers and computes a few texts, as float32 rows of length 1."""

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


LightLoader = Callable[[Path, int], FastEncoder]


class Encoder:
    """A sentence-transformers model in a local folder.

    encoder = Encoder(folder, "all-mpnet-base-v2", cache_folder)
    vectors = encoder.encode(texts)     # (len(texts), encoder.size) float32, rows of length 1
    encoder.computed                    # how many of them were not in the cache
    """

    def __init__(
        self, folder: Path, name: str, cache: Path, device: str = "auto", light: LightLoader | None = None
    ) -> None:
        """`cache` holds one folder a model, named after the contents of its files, so that none is mixed up.

        `light(folder, MAX_TOKENS)` opens the same model in something that starts faster than sentence-transformers;
        it computes a few new texts, after it agreed with vectors of the cache, and nothing where it raises or differs.
        """
        _check(folder)
        self._light = light
        self.folder, self.name, self.device = folder, name, device
        self.fingerprint = _fingerprint(folder)
        slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "model"
        self._cache = Cache(cache / f"{slug}-{self.fingerprint[:16]}", name)
        self._model: SentenceTransformer | None = None
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
            vectors = self._lightly(chunk, keys, texts) if len(pending) <= _FEW else None
            if vectors is None:
                vectors = self._compute([text for _, text in chunk])
            self._cache.append([key for key, _ in chunk], vectors)
        progress(len(pending), len(pending))
        return self._cache.gather(keys)

    def _lightly(
        self, chunk: list[tuple[bytes, str]], keys: list[bytes], texts: Sequence[str]
    ) -> NDArray[np.float16] | None:
        """The vectors of a few texts without sentence-transformers; None where that cannot be, or would not agree."""
        import numpy as np

        rows = self._cache.rows()
        known = list({key: text for key, text in zip(keys, texts, strict=True) if key in rows}.items())
        probes = known[:: max(1, len(known) // _PROBES)][:_PROBES]
        if self._light is None or self._model is not None or len(probes) < _PROBES:
            return None
        try:
            model = self._light(self.folder, MAX_TOKENS)
            ours = model.encode_all([text for _, text in probes])
            if float((ours * self._cache.gather([key for key, _ in probes])).sum(axis=1).min()) < _AGREEMENT:
                return None
            return model.encode_all([text for _, text in chunk]).astype(np.float16)
        except Exception:  # whatever it lacks, sentence-transformers has
            return None

    def _compute(self, texts: list[str]) -> NDArray[np.float16]:
        import numpy as np

        self._model = self._model or _load(self.folder, self.device)
        vectors = encode(self._model, texts)
        if not np.isfinite(vectors).all():
            raise JobFailed(f"{self.name} returned vectors that are not numbers", "Its files may be damaged.")
        return vectors.astype(np.float16)


# ---------------------------------------------------------------------------------------------------- the model itself


def _check(folder: Path) -> None:
    """Refuse what sentence-transformers would refuse at length, and classes from outside it."""
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
    """A hash of everything that decides what the vectors are."""
    digest = hashlib.sha256(f"{MAX_TOKENS} tokens".encode())
    names = ("modules.json", "config.json", "tokenizer.json", "vocab.txt", "1_Pooling/config.json")
    for file in [folder / name for name in names] + sorted(folder.glob("*.safetensors")):
        if file.is_file():
            digest.update(file.name.encode())
            with file.open("rb") as source:
                digest.update(hashlib.file_digest(source, "sha256").digest())
    return digest.hexdigest()


def _load(folder: Path, device: str) -> SentenceTransformer:
    """The model on the best device that computes rightly. Nothing is fetched, no code of the model's runs."""
    chosen = _device(folder) if device == "auto" else device
    return open_model(folder, chosen)


def open_model(folder: Path, device: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would draw its bar into the job's log
    try:
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        # Only the kind of error: its text may go on for pages.
        raise JobFailed(
            f"{folder} cannot be loaded as a model of sentence-transformers ({type(error).__name__})",
            "Fetch it again while online; only weights as .safetensors are loaded.",
        ) from error
    model.max_seq_length = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
    return model


def _device(folder: Path) -> str:
    """mps where it agrees with cpu on fixed sentences (torch 2.8.0 did not, and said nothing), else cpu."""
    if sys.platform != "darwin":
        return "cpu"
    import torch

    if not torch.backends.mps.is_available():
        return "cpu"
    try:
        on_gpu = encode(open_model(folder, "mps"), list(_SELF_TEST))
    except RuntimeError:
        return "cpu"
    agreement = (on_gpu * encode(open_model(folder, "cpu"), list(_SELF_TEST))).sum(axis=1)
    return "mps" if float(agreement.min()) >= _AGREEMENT else "cpu"


def encode(model: SentenceTransformer, texts: list[str]) -> NDArray[np.float32]:
    import numpy as np

    with _precision(model.device.type):
        vectors: Any = model.encode(
            texts,
            batch_size=_batch(model.device.type, max(map(len, texts), default=0)),
            show_progress_bar=False,
            convert_to_tensor=True,
            normalize_embeddings=True,
        )
    vectors = vectors.float().cpu().numpy()
    vectors /= np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-12)[:, None]
    return np.asarray(vectors, dtype=np.float32)


def _batch(device: str, longest: int) -> int:
    if device != "cpu":
        return _BATCH_MPS
    return _BATCH_SHORT if longest <= _SHORT else _BATCH


def _precision(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where the processor computes with it: half again as fast, and 0.9999 like float32 by cosine."""
    import torch

    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.autocast("cpu", torch.bfloat16) if device == "cpu" and supported() else nullcontext()


# ----------------------------------------------------------------------------------------------------------- the cache
