"""`Matcher`, the call for other programs: drafts with a probability, from a ranker in a real database."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import Home
from jarvisd.store.models import Run
from jobs.lib.matching import Matcher, levels
from jobs.lib.matching.levels import Levels
from jobs.lib.matching.ranker import Ranker, Unreadable
from jobs.lib.results.tables import Ranking, Template
from tests.rankers import make_ranked
from tests.tiny_embedder import make_embedder

ROWS = [("On my way", ["where are you"]), ("Sounds great", ["dinner tomorrow?"]), ("Bro 😭", ["lol"])]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def ranked(make_run: Callable[..., Run], home: Home, embedder: Path) -> Run:
    return make_ranked(make_run("mine", plan="templates"), home, embedder, ROWS)


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


def test_a_ranker_of_a_newer_version_is_refused_in_one_line(ranked: Run, home: Home) -> None:
    with np.load(io.BytesIO(bytes(Ranking.get().weights)), allow_pickle=False) as stored:
        parts = {**stored, "version": np.array(9)}
    raw = io.BytesIO()
    np.savez_compressed(raw, **parts)
    Ranking.update(weights=raw.getvalue()).execute()
    with pytest.raises(JarvisError, match=r"is of version 9, and this jarvisd reads version \d.*Mine again") as error:
        Matcher.load(home)
    assert "\n" not in str(error.value)


def test_what_a_newer_version_says_of_the_matcher_is_passed_over(ranked: Run, home: Home, embedder: Path) -> None:
    """Further keys of the run's model cost nothing; values that cannot be read are one line."""
    entry = {"key": "tiny", "name": "tiny", "kind": "embedder", "path": str(embedder)}
    plan = {"plan": {"mine": {"model": entry | {"of_later": {"x": 1}}}}}
    Run.update(snapshot=plan).where(Run.id == ranked.id).execute()
    assert Matcher.load(home).drafts("where are you")[0].reply == "On my way"
    plan["plan"]["mine"]["model"] = entry | {"kind": "of a later version"}
    Run.update(snapshot=plan).where(Run.id == ranked.id).execute()
    with pytest.raises(JarvisError, match=r"the run says of its model tiny what this version does not understand"):
        Matcher.load(home).drafts("dinner")


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


# ------------------------------------------------------------------------------------------------------------- match


def asked(home: Home, *words: str) -> tuple[int, str]:
    command = ["match", *words]
    done = CliRunner().invoke(cli, command, obj=App(home), catch_exceptions=False, standalone_mode=False)
    return done.return_value, done.output


def test_match_answers_with_a_chance_tier_and_time(ranked: Run, home: Home) -> None:
    """No template of this run may fire, so it is a draft and exit code 1; what it was measured on is said."""
    bins = [
        {"from": 0.0, "to": 0.5, "right": 0.1, "right_n": 90},
        {"from": 0.5, "to": 1.0, "right": 0.7, "right_n": 10},
    ]
    Ranking.update(figures={"turns": 100, "origins": 4, "bins": bins}).execute()
    code, output = asked(home, "where are you")
    lines = output.splitlines()
    assert code == 1
    assert lines[0] == "On my way"
    assert re.fullmatch(
        r"  draft, \d+ % likely, tier phrase, [\d.]+ ms after a start of \d+ ms, template uuid-1", lines[1]
    )
    assert lines[2] == (
        "  measured on 100 later messages: first drafts of 50 % to 100 % were your real reply in 70 % (n = 10)"
    )
    assert len(lines) == 3


def test_match_shows_as_many_drafts_as_are_asked_for(ranked: Run, home: Home) -> None:
    _, output = asked(home, "where are you", "--drafts", "3")
    assert all(line.startswith("  or: ") for line in output.splitlines()[2:])
    assert "or: Bro 😭 (" in output and "or: Sounds great (" in output
    document = json.loads(asked(home, "where are you", "--json")[1])
    assert document["drafts"][0]["reply"] == document["reply"] == "On my way"
    assert document["probability"] == document["drafts"][0]["probability"] > 0.5
    assert (document["tier"], document["level"], document["fires"], len(document["drafts"])) == (
        "phrase",
        "draft",
        False,
        3,
    )
    assert document["ms"] > 0


def test_above_the_certified_level_match_would_send(ranked: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "certified", lambda _run: Levels(automatic=0.5))
    code, output = asked(home, "where are you")
    assert code == 0
    assert "  would send, " in output
    monkeypatch.setattr(levels, "certified", lambda _run: Levels(automatic=0.999))
    assert asked(home, "where are you")[0] == 1


def test_match_drafts_nothing_on_a_death(ranked: Run, home: Home) -> None:
    code, output = asked(home, "my grandma died where are you")
    assert (code, output) == (1, "No template answers a text like this one: grief or loss.\n")
    document = json.loads(asked(home, "my grandma died where are you", "--json")[1])
    assert (document["reply"], document["drafts"], document["about"]) == (None, [], "grief or loss")


def test_the_owners_message_before_changes_the_answer(ranked: Run, home: Home, embedder: Path) -> None:
    """A ranker that follows the message before: the same text is answered differently."""
    ranker = Ranker.from_bytes(bytes(Ranking.get().weights))
    size = (len(ranker.weights) - 10) // 3
    weights = np.zeros_like(ranker.weights)
    weights[2 * size : 3 * size] = 2 * ranker.weights[:size]
    Ranking.update(weights=Ranker(weights, ranker.prior, ranker.templates).to_bytes()).execute()
    for before, reply in (("where are you", "On my way"), ("dinner tomorrow?", "Sounds great")):
        assert asked(home, "ok", "--context", before)[1].splitlines()[0] == reply


def test_what_a_trigger_fires_comes_first_and_its_chance_beside_it(ranked: Run, home: Home) -> None:
    Template.update(tier="suggest").where(Template.uuid == "uuid-2").execute()
    code, output = asked(home, "dinner tomorrow?", "--json")
    document = json.loads(output)
    assert (code, document["fires"], document["reply"], document["how"]) == (0, True, "Sounds great", "exact")
    assert document["probability"] > 0.5
