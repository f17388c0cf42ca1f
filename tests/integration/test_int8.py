"""The optional extra: single texts in int8, for a ranker and triggers in float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from jarvisd.paths import Home
from jarvisd.store.models import Run
from jobs.lib.embedding import int8, onnx_bert, onnx_graph
from jobs.lib.embedding.numpy_bert import Bert, Unfit
from jobs.lib.embedding.onnx_bert import OnnxBert
from jobs.lib.matching import Matcher
from jobs.lib.matching.index import Index
from jobs.lib.results.tables import Ranking, Template
from tests.rankers import make_ranked
from tests.tiny_embedder import make_embedder, make_transformer

pytestmark = pytest.mark.skipif(not onnx_bert.installed(), reason="the extra jarvisd[fast] is not installed")
TEXTS = ["see you soon", "movie", "ok lol yes no " * 5, "where are you", "thanks"]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


def test_its_vectors_are_near_those_in_float32(embedder: Path, tmp_path: Path) -> None:
    model, exact = int8.open_model(embedder, "f" * 64, tmp_path), Bert(embedder, 64)
    for text in TEXTS:
        vector = model.encode(text)
        assert float(vector @ vector) == pytest.approx(1, abs=1e-5)
        assert float(vector @ exact.encode(text)) > 0.97


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT in which one channel of each feed-forward part is far larger than the others, and its weights small."""
    folder = make_transformer(tmp_path_factory.mktemp("models") / "uneven", "bert", inner=256)
    weights = load_file(folder / "model.safetensors")
    for name, values in weights.items():
        if name.endswith("intermediate.dense.bias"):
            values[7] = 300
        elif name.endswith("output.dense.weight") and "attention" not in name:
            values[:, 7] /= 300
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_channel_that_is_far_larger_does_not_cost_the_others_their_steps(
    uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As prepared for int8 the vectors are nearer to float32 than as they are."""
    exact = Bert(uneven, 64)

    def lost(name: str) -> float:
        model = int8.open_model(uneven, name * 64, tmp_path)
        return float(np.mean([1 - model.encode(text) @ exact.encode(text) for text in TEXTS]))

    prepared = lost("a")
    monkeypatch.setattr(onnx_graph, "smoothed", lambda bert, _tokenizer: onnx_graph._Graph(bert).model())
    assert prepared < lost("b") / 3


def test_the_file_is_made_once_private_and_again_where_it_is_damaged(embedder: Path, tmp_path: Path) -> None:
    before = int8.open_model(embedder, "f" * 64, tmp_path).encode("movie")
    (file,) = (tmp_path / "onnx").iterdir()
    made = file.stat()
    assert made.st_mode & 0o777 == 0o600
    int8.open_model(embedder, "f" * 64, tmp_path)
    assert file.stat().st_ino == made.st_ino
    file.write_bytes(b"junk")
    assert np.array_equal(int8.open_model(embedder, "f" * 64, tmp_path).encode("movie"), before)


def test_what_an_earlier_version_made_is_taken_away(embedder: Path, tmp_path: Path) -> None:
    earlier, of_another = (tmp_path / "onnx" / f"{letter * 16}-int8.onnx" for letter in "fe")
    earlier.parent.mkdir()
    earlier.write_bytes(b"junk")
    of_another.write_bytes(b"junk")
    vectors = [tmp_path / "embeddings" / name for name in (f"int8-{'f' * 16}", f"tiny-{'f' * 16}")]
    for folder in vectors:
        folder.mkdir(parents=True)
    int8.open_model(embedder, "f" * 64, tmp_path)
    assert not earlier.exists()
    assert of_another.exists()
    assert [folder.is_dir() for folder in vectors] == [False, True]
    assert len(list(earlier.parent.iterdir())) == 2


def test_a_model_that_loads_and_does_not_compute_here_is_left_to_float32(
    embedder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_model: OnnxBert, _text: str) -> NDArray[np.float32]:
        raise RuntimeError("this processor has no such kernel")

    monkeypatch.setattr(OnnxBert, "encode", refuses)
    with pytest.raises(Unfit):
        int8.open_model(embedder, "f" * 64, tmp_path)


def test_another_kind_of_model_is_left_to_float32(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlnet", "hidden_act": "gelu"}')
    for folder in (tmp_path, make_transformer(tmp_path / "models" / "mpnet", "mpnet")):
        with pytest.raises(Unfit):
            int8.open_model(folder, "f" * 64, tmp_path)


@pytest.fixture
def answered(make_run: Callable[..., Run], home: Home, embedder: Path) -> Run:
    """A run whose ranker had the same first drafts in int8."""
    rows = [("On my way", ["where are you"]), ("Sounds great", ["dinner tomorrow?"])]
    run = make_ranked(make_run("mine", plan="templates"), home, embedder, rows)
    Ranking.update(figures={"int8": {"used": True, "same_first": 1.0}}).execute()
    return run


def test_a_run_that_measured_it_is_answered_in_int8_with_the_ranker_of_float32(
    answered: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the same ranker is given vectors in float32, and the chance is nearly the same."""
    fast = Matcher.load(home)
    assert fast.drafts("where are you")[0].reply == "On my way"
    assert (home.cache / "onnx").is_dir()
    monkeypatch.setattr(onnx_bert, "installed", lambda: False)
    slow = Matcher.load(home)
    assert (fast.space, slow.space) == ("int8", "float32")
    assert slow.drafts("where are you")[0].probability == pytest.approx(
        fast.drafts("where are you")[0].probability, abs=0.05
    )


def test_the_triggers_of_such_a_run_are_in_float32_and_fire_in_int8(answered: Run, home: Home) -> None:
    """What the thresholds were measured with stays as it is; only the text that comes in is embedded in int8."""
    Template.update(tier="automatic", threshold=0.9).execute()
    index = Index.of_newest(home)
    assert index.matcher is not None
    assert index.matcher.space == "int8"
    match = index.match_by_encoder("where are you")
    assert (match.fires, match.trigger.form) == (True, "where are you")
    exact = Index(home, index.mining, index.triggers)
    assert exact.digest == index.digest
    assert exact.match_by_encoder("where are you").similarity == pytest.approx(match.similarity, abs=0.05)


@pytest.mark.parametrize("figures", [{}, {"int8": None}, {"int8": {"used": False, "same_first": 0.9}}])
def test_a_run_that_did_not_is_answered_in_float32(answered: Run, home: Home, figures: dict[str, Any]) -> None:
    """Also one of an earlier version, whose second ranker was for vectors that are no longer computed."""
    Ranking.update(figures=figures).execute()
    (row,) = Ranking.select()
    Ranking.create(job=row.job, run=row.run, space="int8", weights=b"of vectors of that time", figures={})
    assert Matcher.load(home).space == "float32"
    assert Matcher.load(home).drafts("where are you")[0].reply == "On my way"


def test_where_this_machine_cannot_compute_it_float32_answers(
    answered: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_folder: Path, _fingerprint: str, _cache: Path) -> OnnxBert:
        raise Unfit("no such kernel")

    monkeypatch.setattr(int8, "open_model", refuses)
    assert Matcher.load(home).drafts("where are you")[0].reply == "On my way"
