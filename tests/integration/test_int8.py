"""The optional extra: single texts in int8, in a space of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run
from jobs.lib.embedding import int8, onnx_bert
from jobs.lib.embedding.numpy_bert import Bert, Unfit
from jobs.lib.matching import Matcher
from jobs.lib.results.tables import Ranking
from tests.rankers import make_ranked
from tests.tiny_embedder import make_embedder, make_transformer

pytestmark = pytest.mark.skipif(not onnx_bert.installed(), reason="the extra jarvisd[fast] is not installed")
TEXTS = ["see you soon", "movie", "ok lol yes no " * 5, "where are you", "thanks"]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


def test_its_vectors_are_near_those_in_float32_and_the_same_alone_and_together(embedder: Path, tmp_path: Path) -> None:
    model, exact = int8.open_model(embedder, "f" * 64, tmp_path), Bert(embedder, 64)
    together = model.encode_all(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        alone = model.encode(text)
        assert float(alone @ alone) == pytest.approx(1, abs=1e-5)
        assert float(alone @ exact.encode(text)) > 0.97
        assert float(alone @ vector) > 0.97


def test_the_file_is_made_once_private_and_again_where_it_is_damaged(embedder: Path, tmp_path: Path) -> None:
    before = int8.open_model(embedder, "f" * 64, tmp_path).encode("movie")
    (file,) = (tmp_path / "onnx").iterdir()
    made = file.stat()
    assert made.st_mode & 0o777 == 0o600
    int8.open_model(embedder, "f" * 64, tmp_path)
    assert file.stat().st_ino == made.st_ino
    file.write_bytes(b"junk")
    assert np.array_equal(int8.open_model(embedder, "f" * 64, tmp_path).encode("movie"), before)


def test_each_text_is_embedded_once(embedder: Path, tmp_path: Path) -> None:
    encoder = int8.Int8Encoder(embedder, "f" * 64, tmp_path)
    first = encoder.encode([*TEXTS, TEXTS[0]])
    assert (encoder.computed, first.shape) == (len(TEXTS), (len(TEXTS) + 1, 32))
    again = int8.Int8Encoder(embedder, "f" * 64, tmp_path)
    assert np.array_equal(again.encode([*TEXTS, TEXTS[0]]), first)
    assert again.computed == 0


def test_another_kind_of_model_is_left_to_float32(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlnet", "hidden_act": "gelu"}')
    for folder in (tmp_path, make_transformer(tmp_path / "models" / "mpnet", "mpnet")):
        with pytest.raises(Unfit):
            int8.open_model(folder, "f" * 64, tmp_path)


def test_a_run_with_a_ranker_in_int8_is_answered_in_it(
    make_run: Callable[..., Run], home: Home, embedder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ranker of the space is used, and without the extra that of float32."""
    rows = [("On my way", ["where are you"]), ("Sounds great", ["dinner tomorrow?"])]
    make_ranked(make_run("mine", plan="templates"), home, embedder, rows)
    (row,) = Ranking.select()
    Ranking.create(job=row.job, run=row.run, space="int8", weights=row.weights, figures={"same_first": 1.0})
    fast = Matcher.load(home)
    assert (fast.space, fast.figures) == ("int8", {"same_first": 1.0})
    assert fast.drafts("where are you")[0].reply == "On my way"
    assert (home.cache / "onnx").is_dir()
    monkeypatch.setattr(onnx_bert, "installed", lambda: False)
    slow = Matcher.load(home)
    assert slow.space == "float32"
    assert slow.drafts("where are you")[0].probability == pytest.approx(
        fast.drafts("where are you")[0].probability, abs=0.1
    )
