"""The answers of one night in a later one: they still count, on a ranker that was not trained on their turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Job, Run, Status
from jobs import mine
from jobs.lib.results.tables import Answer, HeldOutDraft, Mining
from jobs.lib.reviews import cards
from jobs.lib.reviews.session import CardSession
from tests.chatdb import ChatDB
from tests.integration.minings import claimed_mining
from tests.tiny_embedder import make_embedder

TALK = (("how are you", "good thanks"), ("dinner tomorrow", "sounds great"), ("where are you", "On my way!"))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


def history(path: Path, turns: int) -> Path:
    """The first `turns` of a conversation that goes on."""
    db = ChatDB(path)
    chats = [db.direct(f"+1555000{number}") for number in range(3)]
    for turn in range(turns):
        asked, answer = TALK[turn % 3]
        db.add(asked, chat=chats[turn % 3])
        db.add(answer, chat=chats[turn % 3], from_me=True)
    return db.close()


def night(home: Home, make_run: Callable[..., Run], embedder: Path, messages: Path) -> Mining:
    context = claimed_mining(home, make_run, embedder, messages, min_people=1)
    assert mine.run(context).ok
    Job.update(status=Status.SUCCEEDED).where(Job.id == context.job_id).execute()
    mining: Mining = Mining.get_by_id(context.job_id)
    return mining


def test_answers_of_an_earlier_night_count_when_their_turns_are_long_past(
    home: Home, make_run: Callable[..., Run], embedder: Path, tmp_path: Path
) -> None:
    first = night(home, make_run, embedder, history(tmp_path / "first.db", 150))
    session = CardSession(first)
    while (card := session.next()) is not None:
        session.answer(card, Answer.SEND)
    reviewed = cards.reviewed_turns()
    assert len(reviewed) == session.deck.answered > 0
    second = night(home, make_run, embedder, history(tmp_path / "second.db", 600))
    rows = HeldOutDraft.select().where(HeldOutDraft.job == second.job_id)
    held = {cards.turn_id(row.sent_at, row.incoming) for row in rows}
    assert reviewed <= held
    newest = {cards.turn_id(row.sent_at, row.incoming) for row in rows.order_by(HeldOutDraft.sent_at.desc()).limit(60)}
    assert not reviewed & newest
