"""The cache of vectors: on a real, tiny model; killed at any moment; private."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jarvisd.errors import JobFailed
from jobs.lib.embedding import agreement, library
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.numpy_bert import Bert
from jobs.lib.stopping import Stopped
from tests.tiny_embedder import make_embedder, make_transformer

TEXTS = ["ok", "see you soon", "on my way", "ok", "how are you"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


def files_of(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_rows_are_unit_vectors_and_each_text_is_embedded_once(model: Path, tmp_path: Path) -> None:
    first = Encoder(model, "tiny", tmp_path)
    vectors = first.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert first.computed == 4
    second = Encoder(model, "tiny", tmp_path)
    again = second.encode([*TEXTS, "dinner tomorrow"])
    assert second.computed == 1
    assert np.array_equal(again[:5], vectors)


def test_the_cache_is_private_and_holds_no_text(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Encoder(model, "tiny", cache).encode(["see you soon at the movie"])
    (folder,) = cache.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in files_of(cache):
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"soon" not in path.read_bytes()


@pytest.mark.parametrize(("vectors_cut", "keys_cut"), [(0, 7), (0, 32), (5, 0), (64, 0), (70, 40), (10**6, 10**6)])
def test_a_tail_torn_by_a_kill_is_ignored(model: Path, tmp_path: Path, vectors_cut: int, keys_cut: int) -> None:
    whole = Encoder(model, "tiny", tmp_path).encode(TEXTS)
    for pattern, cut in (("vectors.f16", vectors_cut), ("keys.sha256", keys_cut)):
        (path,) = tmp_path.rglob(pattern)
        data = path.read_bytes()
        path.write_bytes(data[: max(0, len(data) - cut)])
    assert np.allclose(Encoder(model, "tiny", tmp_path).encode(TEXTS), whole, atol=2e-3)
    last = Encoder(model, "tiny", tmp_path)
    assert np.allclose(last.encode(TEXTS), whole, atol=2e-3)
    assert last.computed == 0


def test_another_model_never_shares_vectors(model: Path, tmp_path: Path) -> None:
    other = make_embedder(tmp_path / "other", seed=1)
    first = Encoder(model, "tiny", tmp_path / "cache").encode(TEXTS)
    second = Encoder(other, "tiny", tmp_path / "cache").encode(TEXTS)
    assert not np.allclose(first, second)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_asked_to_stop_it_stops(model: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        Encoder(model, "tiny", tmp_path).encode(TEXTS, should_stop=lambda: True)


def test_no_texts_give_no_rows(model: Path, tmp_path: Path) -> None:
    assert len(Encoder(model, "tiny", tmp_path).encode([])) == 0


@pytest.mark.parametrize("modules", ["", "{}", '[{"type": "os.system"}]'])
def test_what_is_no_model_or_brings_code_is_refused(tmp_path: Path, modules: str) -> None:
    (tmp_path / "modules.json").write_text(modules)
    with pytest.raises(JobFailed) as caught:
        Encoder(tmp_path, "x", tmp_path / "cache")
    assert caught.value.remedy


def test_a_model_without_weights_is_refused_in_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_bytes((model / "modules.json").read_bytes())
    with pytest.raises(JobFailed, match="cannot be loaded"):
        Encoder(tmp_path, "x", tmp_path / "cache").encode(["ok"])


class Lighter:
    """Reads the same model; `wrong` turns its vectors away from the true ones."""

    def __init__(self, model: Path, wrong: bool) -> None:
        self.model, self.wrong, self.asked = Encoder(model, "tiny", model.parent / "lighter"), wrong, 0

    def __call__(self, folder: Path, max_tokens: int) -> Lighter:
        return self

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(texts)
        vectors: NDArray[np.float32] = self.model.encode(texts)
        return vectors[:, ::-1].copy() if self.wrong else vectors


@pytest.mark.parametrize(("wrong", "computed"), [(False, 4), (True, 0)])
def test_a_lighter_library_computes_if_it_agrees_and_the_answer_is_kept(
    model: Path, tmp_path: Path, wrong: bool, computed: int
) -> None:
    lighter, checked = Lighter(model, wrong), len(agreement.TEXTS)
    vectors = Encoder(model, "tiny", tmp_path / "cache", fast=lighter).encode(TEXTS)
    assert lighter.asked == checked + computed
    assert np.allclose(vectors, Encoder(model, "tiny", tmp_path / "fresh").encode(TEXTS), atol=2e-3)
    Encoder(model, "tiny", tmp_path / "cache", fast=lighter).encode([*TEXTS, "free tomorrow"])
    assert lighter.asked == checked + computed + (0 if wrong else 1)


@pytest.mark.parametrize("junk", [b"", b"[]", b'{"least": 1.0}', b'{"texts": "others", "least": 1.0}'])
def test_the_lighter_library_is_checked_again_where_the_answer_is_damaged_or_of_other_texts(
    model: Path, tmp_path: Path, junk: bytes
) -> None:
    Encoder(model, "tiny", tmp_path, fast=Lighter(model, wrong=False)).encode(TEXTS)
    (file,) = tmp_path.rglob("agreement.json")
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(junk)
    lighter = Lighter(model, wrong=True)
    Encoder(model, "tiny", tmp_path, fast=lighter).encode(["free tomorrow"])
    assert lighter.asked == len(agreement.TEXTS)


def test_a_lighter_library_that_cannot_read_the_model_is_not_needed(model: Path, tmp_path: Path) -> None:
    def refuses(folder: Path, max_tokens: int) -> Lighter:
        raise ValueError(folder)

    assert len(Encoder(model, "tiny", tmp_path, fast=refuses).encode(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_numpy_gives_the_vectors_of_the_models_own_library(kind: str, tmp_path: Path) -> None:
    """Within 1e-4, of short and long texts, beyond the model's limit of tokens, alone and together."""
    folder = make_transformer(tmp_path / kind, kind)
    expected = library.encode(library.open_model(folder, "cpu"), list(agreement.TEXTS))
    bert = Bert(folder, 128)
    assert np.allclose(bert.encode_all(agreement.TEXTS), expected, atol=1e-4)
    assert np.allclose([bert.encode(text) for text in agreement.TEXTS], expected, atol=1e-4)
    assert float((expected @ expected.T).min()) < 0.9  # texts that are all alike would prove nothing


EMBED = """
import sys
from pathlib import Path
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.numpy_bert import Bert
encoder = Encoder(Path(sys.argv[1]), "tiny", Path(sys.argv[2]), fast=Bert)
encoder.encode([f"see you at {number}" for number in range(500)])
print(encoder.computed, "torch" in sys.modules)
"""


def test_embedding_many_texts_never_loads_torch(tmp_path: Path) -> None:
    """Not even the first time: the check against the model's own library is a process of its own."""
    folder = make_transformer(tmp_path / "bert", "bert")
    command = [sys.executable, "-c", EMBED, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.split() == ["500", "False"]
    assert len(list(tmp_path.rglob("agreement.json"))) == 1
