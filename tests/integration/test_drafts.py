"""`Matcher`, the call for other programs: drafts with a probability, from a ranker in a real database."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.matching import Matcher
from jobs.lib.matching.ranker import Ranker, Unreadable
from jobs.lib.results.tables import Mining, Ranking, Template
from tests.rankers import store_ranker
from tests.tiny_embedder import make_embedder

ROWS = [("On my way", ["where are you"]), ("Sounds great", ["dinner tomorrow?"]), ("Bro 😭", ["lol"])]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def ranked(make_run: Callable[..., Run], home: Home, embedder: Path) -> Run:
    """A run whose templates follow ROWS."""
    run = make_run("mine", plan="templates")
    job = Job.get(Job.run == run)
    fingerprint = Encoder(embedder, "tiny", home.cache / "unused").fingerprint
    entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": str(embedder)}
    with database.write():
        Run.update(snapshot={"plan": {"mine": {"matcher": "tiny", "model": entry}}}).where(Run.id == run.id).execute()
        config = {"matcher": {"name": "tiny", "fingerprint": fingerprint}}
        Mining.create(job=job, run=run, stats={}, config=config, curve=[])
        for rank, (reply, triggers) in enumerate(ROWS, start=1):
            texts = {"representative": reply, "triggers": triggers, "examples": [], "tier": "phrase"}
            Template.create(uuid=f"uuid-{rank}", job=job, run=run, rank=rank, frequency=9, uses=5, people=4, **texts)
    store_ranker(run, home, embedder)
    return Run.get_by_id(run.id)


def test_drafts_come_with_their_probabilities_the_likeliest_first(ranked: Run, home: Home) -> None:
    drafts = Matcher.load(home).drafts("WHERE are youuu!!")
    assert (drafts[0].template, drafts[0].reply) == ("uuid-1", "On my way")
    assert drafts[0].tier == "phrase"
    chances = [draft.probability for draft in drafts]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.5 and 0 < sum(chances) < 1
    assert (drafts[0].level, drafts[0].would_send) == ("draft", False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        drafts[0].reply = "x"  # type: ignore[misc]


def test_the_limit_is_how_many_drafts_come_at_most(ranked: Run, home: Home) -> None:
    matcher = Matcher.load(home)
    assert [len(matcher.drafts("dinner tomorrow", limit=limit)) for limit in (0, 1, 2, 9)] == [0, 1, 2, 3]
    assert matcher.drafts("  \n ") == ()


def test_what_must_not_be_answered_gets_no_draft_and_the_reason(ranked: Run, home: Home) -> None:
    answer = Matcher.load(home).answer("my grandma died, where are you")
    assert answer.drafts == ()
    assert answer.about == "grief or loss"


def test_a_reply_that_must_not_be_sent_is_no_draft(ranked: Run, home: Home) -> None:
    """Rules become stricter from version to version; an older run's templates follow the newer ones."""
    Template.update(representative="call me at 555 123 4567").where(Template.uuid == "uuid-1").execute()
    assert [draft.template for draft in Matcher.load(home).drafts("where are you")][:1] != ["uuid-1"]


def test_threads_get_the_answers_that_one_caller_gets(ranked: Run, home: Home) -> None:
    texts = [f"{first} {second}" for first in ("where", "dinner", "lol", "movie") for second in ("you", "tomorrow", "")]
    alone = Matcher.load(home)
    expected = [alone.drafts(text) for text in texts]
    shared = Matcher.load(home)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(shared.drafts, texts * 5)) == expected * 5


def test_a_run_without_a_ranker_is_refused_in_one_line(ranked: Run, home: Home) -> None:
    Ranking.delete().execute()
    with pytest.raises(JarvisError, match=r"has no ranker: it is of an earlier version.*Mine again") as error:
        Matcher.load(home)
    assert "\n" not in str(error.value)


def test_a_home_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was submitted"):
        Matcher.load(Home(tmp_path / "empty", "--home"))


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04junk", b"\x93NUMPY junk"])
def test_a_damaged_ranker_is_refused_in_one_line(ranked: Run, home: Home, junk: bytes) -> None:
    Ranking.update(weights=junk).execute()
    with pytest.raises(JarvisError, match="cannot be read"):
        Matcher.load(home)


def test_a_model_that_changed_since_is_refused(ranked: Run, home: Home, tmp_path: Path) -> None:
    other = make_embedder(tmp_path / "tiny", seed=1)
    entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": str(other)}
    Run.update(snapshot={"plan": {"mine": {"model": entry}}}).where(Run.id == ranked.id).execute()
    with pytest.raises(JarvisError, match=r"measured with another model.*Mine them again"):
        Matcher.load(home).drafts("movie")


def test_weights_are_stored_without_pickle_and_read_back() -> None:
    ranker = Ranker(np.eye(4, 3, dtype=np.float32), np.zeros(3, dtype=np.float32), ("a", "b"))
    again = Ranker.from_bytes(ranker.to_bytes())
    assert np.array_equal(again.weights, ranker.weights) and again.templates == ("a", "b")
    assert again.probabilities(np.zeros((2, 4), dtype=np.float32)).tolist() == [pytest.approx([1 / 3, 1 / 3])] * 2
    with pytest.raises(Unreadable):
        Ranker.from_bytes(ranker.to_bytes()[:-30])


def test_asking_imports_no_library_that_only_training_needs(ranked: Run, home: Home) -> None:
    """The reader is known from the first call on; from then on neither torch nor scikit-learn is imported."""
    Matcher.load(home).warm()
    program = (
        "import sys; from jarvisd.paths import find; from jobs.lib.matching import Matcher\n"
        "print(Matcher.load(find()).drafts('where are you')[0].reply)\n"
        "print([name for name in ('torch', 'sklearn', 'sentence_transformers', 'onnx') if name in sys.modules])"
    )
    environment: dict[str, Any] = {"JARVISD_HOME": str(home.root), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines() == ["On my way", "[]"]
