"""A file of embeddings by text hash, private to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jarvisd import plugin
from jobs.lib.stopping import Stopped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

#: Only so many tokens of a text are embedded; the start of a longer text says what it is about.
MAX_TOKENS = 128


_HASH = 32  # bytes of SHA-256
COMMIT = 1024  #: texts embedded between two commits to the cache


def digests(texts: Sequence[str]) -> list[bytes]:
    """Under which a text's vector is stored."""
    return [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]


class Cache:
    """Vectors of one model on disk, by hash of their text."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._rows: dict[bytes, int] | None = None

    def rows(self) -> dict[bytes, int]:
        """Hash of a text -> its row. Read once: rows that another process appends later are computed again."""
        if self._rows is None:
            count = self._count(self.size())
            data = self._keys.read_bytes()[: count * _HASH] if count else b""
            self._rows = {data[at : at + _HASH]: at // _HASH for at in range(0, len(data), _HASH)}
        return self._rows

    def size(self) -> int:
        """Length of a vector; 0 where nothing is stored."""
        try:
            return int(json.loads((self.folder / "meta.json").read_text())["size"])
        except (OSError, ValueError, LookupError, TypeError):
            return 0

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts without a vector here, each once, the short ones first."""
        rows = self.rows()
        unknown = {key: text for key, text in zip(digests(texts), texts, strict=True) if key not in rows}
        return [text for _, text in sorted(unknown.items(), key=lambda item: (len(item[1]), item[0]))]

    def known(self, texts: Sequence[str]) -> list[str]:
        """The texts with a vector here, each once."""
        rows = self.rows()
        return list({key: text for key, text in zip(digests(texts), texts, strict=True) if key in rows}.values())

    def fill(
        self,
        texts: list[str],
        compute: Callable[[list[str]], NDArray[np.float16]],
        progress: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Compute and store vectors, batch by batch. Raises Stopped; the finished batches are kept."""
        for start in range(0, len(texts), COMMIT):
            if should_stop():
                raise Stopped
            progress(start, len(texts))
            batch = texts[start : start + COMMIT]
            self.append(digests(batch), compute(batch))
        progress(len(texts), len(texts))

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), size) rows of length 1, in the order of `texts`, which are all stored."""
        return self.gather(digests(texts))

    def append(self, keys: list[bytes], vectors: NDArray[np.float16]) -> None:
        """Store a batch completely; a process that is killed before the end has stored nothing of it."""
        size = int(vectors.shape[1])
        if self.size() != size:
            self._start(size)
        rows = self.rows()
        with self._locked() as (vector_file, key_file):
            count = self._count(size)
            vector_file.truncate(count * size * 2)  # what a killed process left incomplete
            key_file.truncate(count * _HASH)
            _write(vector_file, vectors.tobytes())
            _write(key_file, b"".join(keys))
        rows.update({key: count + place for place, key in enumerate(keys)})

    def gather(self, keys: list[bytes]) -> NDArray[np.float32]:
        """The vectors of `keys`, (len(keys), size) float32, rows of length 1."""
        import numpy as np

        size, rows = self.size(), self.rows()
        if not keys:
            return np.empty((0, size), dtype=np.float32)
        stored = np.memmap(self._vectors, dtype=np.float16, mode="r", shape=(self._count(size), size))
        vectors = stored[np.fromiter((rows[key] for key in keys), np.intp, len(keys))].astype(np.float32)
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        vectors /= np.maximum(norms, 1e-12)[:, None]
        return vectors

    @property
    def _vectors(self) -> Path:
        return self.folder / "vectors.f16"

    @property
    def _keys(self) -> Path:
        return self.folder / "keys.sha256"

    def _count(self, size: int) -> int:
        """Rows that are complete in both files."""
        if not size or not self._keys.is_file() or not self._vectors.is_file():
            return 0
        return min(self._keys.stat().st_size // _HASH, self._vectors.stat().st_size // (2 * size))

    def _start(self, size: int) -> None:
        """Start an empty cache: there was none, or its meta.json is damaged."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys.unlink(missing_ok=True)
        self._vectors.unlink(missing_ok=True)
        meta = {"version": 1, "model": self.name, "size": size, "type": "float16", "max_tokens": MAX_TOKENS}
        plugin.replace_file(self.folder / "meta.json", json.dumps(meta))
        self._rows = {}

    @contextmanager
    def _locked(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Both files, open at their end, for one writer at a time."""
        with _open_private(self._keys) as key_file, _open_private(self._vectors) as vector_file:
            fcntl.flock(key_file, fcntl.LOCK_EX)  # released when the file is closed
            yield vector_file, key_file


def _open_private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0)


def _write(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    plugin.flush_file(file.fileno())
