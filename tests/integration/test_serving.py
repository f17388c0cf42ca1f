"""`jarvisctl match`, on templates in a real database and a small real encoder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.matching.index import Index
from jobs.lib.results.tables import Mining, Template
from jobs.mine import answers
from tests.tiny_embedder import WORDS, make_embedder

ROWS = [
    ("On my way", ["where are you", "are you on the way?"], "automatic", 0.9),
    ("Sounds great", ["see you later tonight", "dinner tomorrow?"], "suggest", None),
    ("Bro 😭", ["lol"], "phrase", None),
]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def mined(make_run: Callable[..., Run], home: Home, embedder: Path) -> Callable[..., Run]:
    """Store a finished mining of these rows, measured with the small encoder."""

    def make(rows: list[tuple[str, list[str], str, float | None]] = ROWS, folder: Path = embedder) -> Run:
        run = make_run("mine", plan="templates")
        job = Job.get(Job.run == run)
        encoder = Encoder(folder, "tiny", home.cache / "unused")
        entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": str(folder)}
        with database.write():
            Run.update(snapshot={"plan": {"mine": {"matcher": "tiny", "model": entry}}}).where(
                Run.id == run.id
            ).execute()
            Mining.create(
                job=job,
                run=run,
                stats={},
                config={"matcher": {"name": "tiny", "fingerprint": encoder.fingerprint}},
                curve=[],
            )
            for rank, (reply, triggers, tier, threshold) in enumerate(rows, start=1):
                Template.create(
                    uuid=f"{run.number:08d}-0000-4000-8000-{rank:012d}",
                    job=job,
                    run=run,
                    rank=rank,
                    representative=reply,
                    frequency=9,
                    uses=5,
                    people=4,
                    examples=[],
                    triggers=triggers,
                    tier=tier,
                    threshold=threshold,
                )
        return Run.get_by_id(run.id)

    return make


def call(home: Home, *words: str, **options: Any) -> Result:
    return CliRunner().invoke(cli, list(words), obj=App(home), catch_exceptions=False, standalone_mode=False, **options)


def answer(home: Home, text: str) -> tuple[int, dict[str, Any]]:
    done = call(home, "match", "--json", "--", text)
    return done.return_value, json.loads(done.output)


# ------------------------------------------------------------------------------------------------------------ match


def test_the_same_words_fire_without_any_model(mined: Callable[..., Run], home: Home) -> None:
    """Spelling, case and repeats do not count; nothing is loaded or written."""
    mined()
    code, document = answer(home, "WHERE are youuu!!")
    assert code == 0
    assert document["fires"] is True
    assert (document["reply"], document["tier"], document["how"], document["similarity"]) == (
        "On my way",
        "automatic",
        "exact",
        1,
    )
    assert document["template"] == "00000001-0000-4000-8000-000000000001"
    assert document["ms"] < document["cold_ms"]
    assert not (home.cache / "index").exists()


def test_what_means_the_same_fires_from_its_own_threshold_on(mined: Callable[..., Run], home: Home) -> None:
    mined()
    code, document = answer(home, "later tonight see you")
    assert (code, document["reply"], document["how"]) == (0, "Sounds great", "encoder")
    assert 0.7 <= document["similarity"] <= 1
    code, document = answer(home, "movie")
    assert (code, document["fires"], document["reply"], document["template"], document["tier"]) == (
        1,
        False,
        None,
        None,
        None,
    )
    assert document["similarity"] < 0.9


def test_serving_fires_at_the_very_score_from_which_calibration_fires(mined: Callable[..., Run], home: Home) -> None:
    """A limit that the score misses by a hair: both take it for reached, or neither does."""
    mined()
    text = "later tonight see you"
    score = Index.of_newest(home).match(text).similarity
    for gap in (5e-7, 5e-6, 5e-5):
        Template.update(threshold=score + gap).execute()
        calibrated = answers.first_three(np.array([[score]], dtype=np.float64), score + gap)[0, 0] == 0
        assert Index.of_newest(home).match(text).fires == calibrated


def test_a_phrase_never_fires(mined: Callable[..., Run], home: Home) -> None:
    mined()
    code, document = answer(home, "lol")
    assert document["reply"] != "Bro 😭"
    assert document["how"] != "exact"
    assert code == (0 if document["fires"] else 1)


def test_where_none_fires_one_line_names_the_nearest(mined: Callable[..., Run], home: Home) -> None:
    mined()
    done = call(home, "match", "movie")
    assert done.return_value == 1
    assert len(done.output.splitlines()) == 1
    assert "No template of 2026-11-22-templates fires: the nearest trigger is" in done.output


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x00", "a" * 100_000, "ok \udcff", "'; DROP TABLE template; --", "😂" * 999]
)
def test_hostile_text_is_only_text(mined: Callable[..., Run], home: Home, text: str) -> None:
    mined()
    code, document = answer(home, text)
    assert code in (0, 1)
    assert isinstance(document["similarity"], float)
    assert "\x1b" not in call(home, "match", "--", text).output


def test_text_comes_from_standard_input_too(mined: Callable[..., Run], home: Home) -> None:
    mined()
    done = call(home, "match", "-", "--json", input=b"where are you\n\xff")
    assert json.loads(done.output)["text"] == "where are you\n\ufffd"
    with pytest.raises(UsageError, match="no text"):
        call(home, "match", "-", input="  \n")


def test_without_templates_to_send_that_is_said(mined: Callable[..., Run], home: Home) -> None:
    with pytest.raises(UsageError, match="nothing was submitted") as error:
        call(Home(home.root / "empty", "--home"), "match", "hi")
    assert error.value.exit_code == 2
    mined([ROWS[2]])
    with pytest.raises(JarvisError, match="has nothing to send: its template is not of the tier") as refused:
        call(home, "match", "lol")
    assert refused.value.exit_code == 1


def test_the_newest_run_with_templates_answers(mined: Callable[..., Run], home: Home, make_run: Any) -> None:
    mined([("Old", ["where are you"], "automatic", None)])
    mined([("New", ["where are you"], "automatic", None)])
    make_run("mine", plan="later")
    assert answer(home, "where are you")[1]["reply"] == "New"


# ------------------------------------------------------------------------------------------------------------ index


def test_the_index_is_made_once_and_again_when_templates_change(mined: Callable[..., Run], home: Home) -> None:
    run = mined()
    Index.of_newest(home).warm()
    folder = home.cache / "index" / run.id
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert {"meta.json", "reader.json"} < {file.name for file in folder.iterdir()}
    assert len(list(folder.glob("*.npy"))) == 1
    assert len(list(folder.iterdir())) == 3
    before = (folder / "meta.json").stat().st_ino
    answer(home, "movie")
    assert (folder / "meta.json").stat().st_ino == before
    Template.update(triggers=["movie tonight"]).where(Template.representative == "On my way").execute()
    assert answer(home, "tonight movie")[1]["reply"] == "On my way"
    (file,) = folder.glob("*.npy")
    assert len(np.load(file, allow_pickle=False)) == 3


def test_the_fast_encoder_answers_once_it_has_agreed_often_enough(mined: Callable[..., Run], home: Home) -> None:
    """With one template that always fires there is nothing to disagree about; with few triggers nothing is sure."""
    words = WORDS.split()
    many = [f"{one} {other} {words[0]}" for one in words[:12] for other in words[12:20]]
    mined([("Omw", many[:20], "automatic", 0.0)])
    assert Index.of_newest(home).match(f"{many[0]} now").how == "encoder"
    mined([("Omw", many, "automatic", 0.0)])
    index = Index.of_newest(home)
    assert index.match(f"{many[0]} now").how == "fast"
    assert index.match_by_encoder(f"{many[0]} now").how == "encoder"
    assert index.match(f"{many[0]} my grandma died").fires is False


def test_no_text_lies_in_the_index(mined: Callable[..., Run], home: Home) -> None:
    run = mined()
    Index.of_newest(home).warm()
    for file in (home.cache / "index" / run.id).iterdir():
        assert b"dinner" not in file.read_bytes()


@pytest.mark.parametrize("pattern", ["meta.json", "*.npy"])
@pytest.mark.parametrize("junk", [b"", b"{}", b"\x93NUMPY junk", b'{"digest": 1}'])
def test_a_damaged_index_is_made_again(mined: Callable[..., Run], home: Home, pattern: str, junk: bytes) -> None:
    run = mined()
    expected = Index.of_newest(home).match("later tonight see you")
    (file,) = (home.cache / "index" / run.id).glob(pattern)
    file.write_bytes(junk)
    assert Index.of_newest(home).match("later tonight see you") == expected


def test_another_model_is_refused(mined: Callable[..., Run], home: Home, tmp_path: Path) -> None:
    run = mined()
    Index.of_newest(home).warm()
    other = make_embedder(tmp_path / "tiny", seed=1)
    entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": str(other)}
    Run.update(snapshot={"plan": {"mine": {"model": entry}}}).where(Run.id == run.id).execute()
    with pytest.raises(JarvisError, match=r"measured with another model.*Mine them again"):
        Index.of_newest(home).match("movie")
    assert Index.of_newest(home).match("where are you").how == "exact"


def test_a_model_that_is_gone_is_named(mined: Callable[..., Run], home: Home) -> None:
    run = mined()
    entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": "/nowhere"}
    Run.update(snapshot={"plan": {"mine": {"model": entry}}}).where(Run.id == run.id).execute()
    with pytest.raises(JarvisError, match="tiny, with which the triggers were measured, is not on this disk"):
        Index.of_newest(home).match("movie")


def test_numpy_computes_what_sentence_transformers_does(mined: Callable[..., Run], home: Home, embedder: Path) -> None:
    """The quick way to a vector is only taken where it was seen to agree."""
    from jobs.lib.embedding.numpy_bert import Bert

    run = mined()
    Index.of_newest(home).warm()
    assert json.loads((home.cache / "index" / run.id / "reader.json").read_text())["reader"] == "numpy"
    texts = ["see you soon", "movie", "ok lol yes no " * 40]
    expected = Encoder(embedder, "tiny", home.cache / "embeddings").encode(texts)
    reader = Bert(embedder, 64)
    assert np.allclose([reader.encode(text) for text in texts], expected, atol=2e-3)


def test_a_text_that_was_asked_is_not_kept(mined: Callable[..., Run], home: Home) -> None:
    mined()
    Index.of_newest(home).warm()
    before = sorted((file, file.stat().st_size) for file in home.cache.rglob("*") if file.is_file())
    index = Index.of_newest(home)
    assert index.match("free to be good") == index.match("free to be good")
    assert sorted((file, file.stat().st_size) for file in home.cache.rglob("*") if file.is_file()) == before
