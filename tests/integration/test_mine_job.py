"""The mine job in a real ledger, on a chat.db with a tiny real model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd import ledger
from jarvisd.context import JobContext
from jarvisd.errors import JobFailed
from jarvisd.home import Home
from jarvisd.kinds import Setting
from jarvisd.ledger import Job, Run
from jobs import mine, templates
from jobs.mine import plan
from jobs.results import Mining, Template
from tests.chatdb import ChatDB
from tests.tiny_embedder import make_embedder

TALK = (("how are you", "good thanks"), ("dinner tomorrow", "sounds great"), ("where are you", "On my way!"))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def chat_db(tmp_path: Path) -> Path:
    db = ChatDB(tmp_path / "chat.db")
    chats = [db.direct(f"+1555000{number}") for number in range(3)]
    for turn in range(120):
        asked, answer = TALK[turn % 3]
        db.add(asked, chat=chats[turn % 2])
        db.add(None, body=answer, chat=chats[turn % 2], from_me=True)
        db.add(f"my pin is {1000 + turn}", chat=chats[2], from_me=True)
    db.add("Loved “dinner”", chat=chats[0], from_me=True, associated_message_type=2000)
    return db.close()


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run], embedder: Path, tmp_path: Path) -> Callable[..., JobContext]:
    """The context of a claimed mine job over a chat.db."""

    def begin(messages: Path, **section: Any) -> JobContext:
        chosen = plan.Section(embedder=str(embedder), **section)
        setting = Setting(home=home, folder=tmp_path, messages=messages)
        run = make_run("mine")
        (spec,) = plan.jobs(chosen, setting)
        Job.update(params=spec.params).where(Job.run == run).execute()
        job = ledger.claim("machine", "boot", ledger.now())
        assert job is not None
        return JobContext(
            home=home,
            run_id=run.id,
            job_id=job.id,
            job_name="mine",
            attempt=job.attempt,
            round=1,
            params=job.params,
            plan={"mine": plan.resolve(chosen, setting)},
            folder=home.run_folder(run.id),
            deadline=None,
            log=logging.getLogger("test"),
        )

    return begin


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
    found = {row["representative"]: row for row in document["templates"]}
    assert set(found) == {"good thanks", "sounds great", "On my way!"}
    row = found["On my way!"]
    assert (row["uses"], row["frequency"], row["people"]) == (40, 40, 2)
    assert row["triggers"] == ["where are you"]
    assert (row["tier"], row["threshold"], row["precision"]) == ("phrase", None, None)
    assert (context.folder / "templates.json").stat().st_mode & 0o777 == 0o600


def test_mined_again_it_finds_the_same_and_stores_it_once(start: Callable[..., JobContext], chat_db: Path) -> None:
    context = start(chat_db)
    mine.run(context)
    first = templates.document(context.run_id)
    mine.run(context)
    second = templates.document(context.run_id)
    assert first is not None and second is not None
    assert second["templates"] == first["templates"]
    assert Mining.select().count() == 1
    assert Template.select().count() == first["stats"]["templates_extracted"]


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
    assert templates.document(make_run("mine").id) is None
