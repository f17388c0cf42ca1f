"""The mine job in a real ledger, on a chat.db with a tiny real model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from jarvisd.errors import JobFailed
from jarvisd.paths import Home
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker.context import JobContext
from jobs import mine
from jobs.lib.embedding import onnx_bert
from jobs.lib.embedding.onnx_bert import OnnxBert
from jobs.lib.matching import Matcher
from jobs.lib.matching.index import Index
from jobs.lib.results import templates_document
from jobs.lib.results.tables import HeldOutDraft, Mining, Ranking, Template
from jobs.mine import latency
from jobs.report import latency_estimate
from tests.chatdb import ChatDB
from tests.integration.minings import claimed_mining
from tests.tiny_embedder import make_embedder

TALK = (("how are you", "good thanks"), ("dinner tomorrow", "sounds great"), ("where are you", "On my way!"))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def chat_db(tmp_path: Path) -> Path:
    return write(tmp_path / "chat.db")


def write(path: Path, late: str = "") -> Path:
    """120 turns of TALK, and as many messages that hold a code; `late` answers every turn of the newest tenth."""
    db = ChatDB(path)
    chats = [db.direct(f"+1555000{number}") for number in range(3)]
    for turn in range(120):
        asked, answer = TALK[turn % 3]
        db.add(asked, chat=chats[turn % 2])
        db.add(None, body=late if late and turn >= 108 else answer, chat=chats[turn % 2], from_me=True)
        db.add(f"my pin is {1000 + turn // 2}", chat=chats[2], from_me=True)
    db.add("Loved “dinner”", chat=chats[0], from_me=True, associated_message_type=2000)
    return db.close()


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run], embedder: Path) -> Callable[..., JobContext]:
    """The context of a claimed mine job over a chat.db."""

    return partial(claimed_mining, home, make_run, embedder)


def test_templates_json_says_what_was_found_and_measured(start: Callable[..., JobContext], chat_db: Path) -> None:
    context = start(chat_db, templates=3)
    assert mine.run(context).ok
    document = json.loads((context.folder / "templates.json").read_text())
    stats = document["stats"]
    assert stats["total_messages"] == 240
    assert stats["left_out"] == {"tapbacks": 1}
    assert stats["refused"] == {"code": 120}
    assert stats["coverage"] == pytest.approx(0.5, abs=0.05)
    assert stats["coverage_range"][0] <= stats["coverage"] <= stats["coverage_range"][1]
    assert stats["hit_rate"] == 1.0
    assert stats["precision"] == 1.0
    assert stats["turns_held_out"] == stats["turns_right"] > 0
    templates = {row["representative"]: row for row in document["templates"]}
    assert set(templates) == {"good thanks", "sounds great", "On my way!"}
    row = templates["On my way!"]
    assert (row["uses"], row["frequency"], row["people"]) == (40, 40, 2)
    assert row["triggers"] == ["where are you"]
    # Four turns a calibration part are too few to send by itself, and always right: worth suggesting.
    assert (row["tier"], row["threshold"], row["precision"]) == ("suggest", None, 1.0)
    assert row["fired"] == row["right"] > 0
    assert 0 < row["precision_low"] < 1
    assert (context.folder / "templates.json").stat().st_mode & 0o777 == 0o600


def test_the_stored_ranker_drafts_what_the_owner_answers(
    start: Callable[..., JobContext], chat_db: Path, home: Home
) -> None:
    """For any program, and on the turns of the newest tenth, which the stored drafts were not fitted to."""
    context = start(chat_db, templates=3)
    assert mine.run(context).ok
    matcher = Matcher.of(home, Mining.get(Mining.run == context.run_id))
    for asked, answer in TALK:
        first, *others = matcher.drafts(asked)
        assert first.reply == answer
        assert first.probability > 0.5 > others[0].probability
    ids = {row.uuid: row.representative for row in Template.select()}
    held = list(HeldOutDraft.select().order_by(HeldOutDraft.place))
    assert 10 <= len(held) <= 13
    for row in held:
        assert (row.incoming, row.answer) in TALK
        assert ids[row.drafts[0][0]] == row.answer
        assert row.probability == row.drafts[0][1] > row.drafts[1][1] > 0
        assert row.previous in {answer for _, answer in TALK}
    chances = json.loads((context.folder / "templates.json").read_text())["stats"]["chances"]
    assert chances["turns"] == sum(row["right_n"] for row in chances["bins"]) > 0
    assert chances["stated"]["right"] == 1.0


@pytest.mark.skipif(not onnx_bert.installed(), reason="the extra jarvisd[fast] is not installed")
@pytest.mark.parametrize("agrees", [True, False])
def test_int8_is_used_where_the_first_drafts_stay_the_same(
    start: Callable[..., JobContext], chat_db: Path, home: Home, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    """On the newest tenth, by the ranker of float32; the report and the ranker's row say so alike."""
    if not agrees:
        monkeypatch.setattr(OnnxBert, "encode", lambda _model, text: np.eye(32, dtype=np.float32)[len(text) % 2])
    context = start(chat_db, templates=3)
    assert mine.run(context).ok
    fast = json.loads((context.folder / "templates.json").read_text())["stats"]["fast"]
    (row,) = Ranking.select()
    assert (row.space, row.figures["int8"]) == ("float32", fast)
    assert fast["used"] is agrees
    assert (fast["same_first"] == 1.0) is agrees
    assert 10 <= fast["same_first_n"] <= 13
    assert Matcher.of(home, Mining.get(Mining.run == context.run_id)).space == ("int8" if agrees else "float32")


@pytest.mark.skipif(not onnx_bert.installed(), reason="the extra jarvisd[fast] is not installed")
def test_asked_to_stop_while_it_compares_int8_it_embeds_no_further_text(
    start: Callable[..., JobContext], chat_db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each text is embedded alone there, so thousands of them take many seconds."""
    context, texts = start(chat_db, templates=3), []

    def encode(_model: OnnxBert, text: str) -> object:
        texts.append(text)
        if len(texts) == 3:  # the first is of the check that it computes here
            context.stop.set()
        return np.ones(32, dtype=np.float32)

    monkeypatch.setattr(OnnxBert, "encode", encode)
    outcome = mine.run(context)
    assert not outcome.ok and "asked to stop" in outcome.reason
    assert len(texts) == 3


def test_mining_again_replaces_ranker_and_drafts(start: Callable[..., JobContext], chat_db: Path) -> None:
    context = start(chat_db, templates=3)
    mine.run(context)
    before = (Ranking.select().count(), HeldOutDraft.select().count())
    mine.run(context)
    assert (Ranking.select().count(), HeldOutDraft.select().count()) == before


def test_every_share_has_its_n_and_an_interval_that_holds_it(start: Callable[..., JobContext], chat_db: Path) -> None:
    """Wilson beside what was counted once, the range beside a median over parts."""
    context = start(chat_db)
    mine.run(context)
    stats = (templates_document.document(context.run_id) or {})["stats"]
    for name in ("coverage_in_sample", "precision"):
        low, high = stats[f"{name}_ci"]
        assert 0 <= low <= stats[name] <= high <= 1 and low < high
    for name in ("coverage", "hit_rate", "answered", "top3", "chat_out"):
        for value, ends in ((name, f"{name}_range"), (f"{name}_mean", f"{name}_mean_ci")):
            low, high = stats[ends]
            assert 0 <= low <= stats[value] <= high <= 1
        assert f"{name}_ci" not in stats
    assert stats["tiers"]["suggest"]["n"] == stats["turns_fired"]
    assert stats["tiers"]["suggest"]["precision_ci"][0] < 1 == stats["tiers"]["suggest"]["precision"]
    rows = stats["baselines"]
    assert rows["deployed"]["right"] > rows["most frequent"]["right"]
    assert (
        rows["ranked"]["turns"] == rows["exact"]["turns"] == rows["most frequent"]["turns"] == stats["turns_held_out"]
    )
    assert stats["drift"]["differs"] is False
    assert stats["manual"]["templates"] == 0 and stats["manual"]["unused"] is None


def test_the_time_of_a_match_is_measured_through_the_index(
    start: Callable[..., JobContext], chat_db: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns of the newest tenth, by the code of `jarvisctl match`; the index is made for the morning."""
    asked, real = [], Index.match
    monkeypatch.setattr(Index, "match", lambda index, text: asked.append(text) or real(index, text))
    context = start(chat_db)
    mine.run(context)
    stats = json.loads((context.folder / "templates.json").read_text())["stats"]
    assert (stats["match_n"], stats["match_problem"]) == (len(asked), None)
    assert stats["match_mean_ms"] > 0 and stats["match_p50_ms"] > 0
    assert 10 <= len(asked) <= 13 and set(asked) == {asked for asked, _ in TALK}
    assert (home.cache / "index" / context.run_id / "meta.json").exists()
    assert latency_estimate.estimate({"stats": stats}, None).match_ms == stats["match_mean_ms"]


def test_a_match_that_cannot_be_timed_costs_nothing_else(
    start: Callable[..., JobContext], chat_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a matcher nothing may be sent; an index that cannot be made is named; the templates are there."""
    context = start(chat_db, matcher=str(tmp_path / "absent"))
    mine.run(context)
    stats = (templates_document.document(context.run_id) or {})["stats"]
    assert (stats["match_mean_ms"], stats["match_problem"]) == (None, "no template of this run may be sent")
    Job.update(status=Status.SUCCEEDED).where(Job.id == context.job_id).execute()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Index, "warm", full)
    context = start(chat_db)
    assert mine.run(context).ok
    stats = (templates_document.document(context.run_id) or {})["stats"]
    assert (stats["match_n"], stats["match_problem"]) == (0, "OSError")


def test_at_most_a_hundred_turns_are_timed_from_the_whole_part() -> None:
    texts = [str(number) for number in range(1000)]
    assert latency.evenly(texts) == texts[::10]
    assert latency.evenly(texts[:7]) == texts[:7]


def test_present_templates_are_measured_on_the_same_messages(
    start: Callable[..., JobContext], chat_db: Path, tmp_path: Path
) -> None:
    """One that fires rightly, one that never fires, and the mined ones that would take their place."""
    (tmp_path / "own.yaml").write_text(
        "templates:\n  - {name: omw, reply: on my way, triggers: [where are you]}\n"
        "  - {name: film, reply: sounds great, triggers: [movie]}\n"
    )
    context = start(chat_db, manual="own.yaml")
    mine.run(context)
    stats = (templates_document.document(context.run_id) or {})["stats"]
    manual = stats["manual"]
    assert (manual["templates"], manual["unused"], manual["unused_n"], manual["precision"]) == (2, 0.5, 2, 1.0)
    assert [(row["fired"], row["template"]) for row in manual["replaced_by"]] == [
        (True, "On my way!"),
        (False, "sounds great"),
    ]
    assert manual["coverage"] == pytest.approx(1 / 3, abs=0.05)
    assert stats["baselines"]["manual"]["answered"] == pytest.approx(1 / 3, abs=0.05)


def test_a_file_of_present_templates_that_is_broken_costs_that_comparison_alone(
    start: Callable[..., JobContext], chat_db: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("templates: 3\n")
    outcome = mine.run(start(chat_db, manual="own.yaml"))
    assert outcome.ok
    assert "your present templates were not measured" in outcome.reason


def test_without_the_matcher_every_template_is_a_phrase(
    start: Callable[..., JobContext], chat_db: Path, tmp_path: Path
) -> None:
    """The templates are there all the same, and the reason is said in three places."""
    absent = tmp_path / "absent"
    context = start(chat_db, matcher=str(absent))
    outcome = mine.run(context)
    assert outcome.ok and "no tiers were measured" in outcome.reason
    document = templates_document.document(context.run_id)
    assert document is not None
    assert {row["tier"] for row in document["templates"]} == {"phrase"}
    assert "no tiers were measured" in document["config"]["tiers"]
    assert document["config"]["matcher"]["fingerprint"] is None
    assert document["stats"]["hit_rate"] is None
    assert "hey" not in outcome.reason


def test_what_was_reported_on_decides_nothing(start: Callable[..., JobContext], tmp_path: Path) -> None:
    """Other replies in the newest tenth change nothing that was mined, calibrated or measured before it."""
    documents = []
    for name, late in (("same", "sounds great"), ("other", "maybe later")):
        context = start(write(tmp_path / f"{name}.db", late=late))
        mine.run(context)
        Job.update(status=Status.SUCCEEDED).where(Job.id == context.job_id).execute()
        documents.append((templates_document.document(context.run_id) or {})["stats"])
    same, other = documents
    assert other["coverage_origins"][:4] == same["coverage_origins"][:4]
    for tier in ("automatic", "suggest", "phrase"):
        assert other["tiers"][tier]["templates_at_origins"] == same["tiers"][tier]["templates_at_origins"]
    assert other["turns_fired"] == same["turns_fired"]
    assert other["turns_right"] < same["turns_right"]


def test_mined_again_it_finds_the_same_and_stores_it_once(start: Callable[..., JobContext], chat_db: Path) -> None:
    context = start(chat_db)
    mine.run(context)
    first = templates_document.document(context.run_id)
    mine.run(context)
    second = templates_document.document(context.run_id)
    assert first is not None and second is not None
    assert second["templates"] == first["templates"]
    Job.update(status=Status.SUCCEEDED).where(Job.id == context.job_id).execute()
    other = start(chat_db)
    mine.run(other)
    third = templates_document.document(other.run_id)
    assert third is not None
    assert [row["id"] for row in third["templates"]] == [row["id"] for row in first["templates"]]
    assert Mining.select().count() == 2
    assert Template.select().count() == 2 * first["stats"]["templates_extracted"]


def test_the_curve_rises_to_the_coverage(start: Callable[..., JobContext], chat_db: Path) -> None:
    context = start(chat_db)
    mine.run(context)
    (mining,) = Mining.select()
    shares = [point["in_sample"] for point in mining.curve]
    assert shares == sorted(shares)
    assert mining.curve[-1]["held_out"] == mining.stats["coverage"]


def test_asked_to_stop_it_stores_nothing(start: Callable[..., JobContext], chat_db: Path) -> None:
    context = start(chat_db)
    context.stop.set()
    outcome = mine.run(context)
    assert not outcome.ok
    assert "asked to stop" in outcome.reason
    assert Mining.select().count() == 0


def test_too_few_messages_are_a_clear_failure(start: Callable[..., JobContext], tmp_path: Path) -> None:
    db = ChatDB(tmp_path / "small.db")
    db.add("ok", chat=db.direct("+15550001"), from_me=True)
    with pytest.raises(JobFailed, match=r"1 messages? of yours (is|are) too few"):
        mine.run(start(db.close()))


def test_no_message_of_the_owner_is_logged(
    start: Callable[..., JobContext], chat_db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):  # below it peewee logs its statements, which the worker never does
        mine.run(start(chat_db))
    assert "sounds great" not in caplog.text


def test_a_run_without_mining_has_no_document(make_run: Callable[..., Run]) -> None:
    assert templates_document.document(make_run("mine").id) is None
