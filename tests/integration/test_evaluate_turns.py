"""The turns job on a chat.db: one cut a run, turns after it alone, the same choice every time."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from jarvisd.errors import JobFailed
from jarvisd.paths import Home
from jarvisd.store import transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate import holdout
from jobs.lib.results.tables import HeldOutTurn, TrainTestSplit, TurnExample
from tests.chatdb import ChatDB
from tests.claiming import claim

DAY = dt.timedelta(days=1)
START = dt.datetime(2025, 1, 1, 12, tzinfo=dt.UTC)


def conversation(path: Path, days: int, people: int = 4) -> Path:
    """Every day one turn of each person, answered; days and people stand in the texts."""
    db = ChatDB(path)
    chats = [db.direct(f"+49151000000{person}") for person in range(people)]
    for day in range(days):
        for person, chat in enumerate(chats):
            when = START + day * DAY + person * dt.timedelta(minutes=20)
            db.add(f"question {day} from {person}", chat=chat, when=when)
            db.add(f"answer {day} to {person}", chat=chat, from_me=True, when=when + dt.timedelta(minutes=1))
    return db.close()


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run]) -> Callable[..., JobContext]:
    def begin(messages: Path, examples: int | None = None) -> JobContext:
        run = make_run("evaluate:turns")
        Job.update(params={"task": "prepare"}).where(Job.run == run.id).execute()
        plan = {"messages": str(messages)} | ({} if examples is None else {"evaluate": {"turn_examples": examples}})
        Run.update(snapshot={"plan": plan}).where(Run.id == run.id).execute()
        return claim(home)

    return begin


Row = tuple[int, int, str, str]


def chosen(run_id: str) -> list[Row]:
    rows = HeldOutTurn.select().where(HeldOutTurn.run == run_id).order_by(HeldOutTurn.place)
    return [(row.place, row.chat, row.incoming, row.answer) for row in rows]


def test_turns_are_chosen_after_the_cut_alone_and_balanced(start: Callable[[Path], JobContext], tmp_path: Path) -> None:
    context = start(conversation(tmp_path / "chat.db", days=50))
    outcome = evaluate.run(context)
    assert outcome.ok
    assert outcome.summary == {"turns": 40, "after_the_cut": 40}
    cut = TrainTestSplit.get()
    assert (cut.own_before, cut.turns_after, cut.chosen) == (160, 40, 40)
    rows = list(HeldOutTurn.select().order_by(HeldOutTurn.place))
    assert [row.place for row in rows] == list(range(40))
    assert all(row.sent_at > cut.at for row in rows)
    assert all(int(row.incoming.split()[1]) >= 40 for row in rows)
    assert [sorted(row.chat for row in rows[first : first + 4]) for first in range(0, 40, 4)] == [[0, 1, 2, 3]] * 10


def test_a_second_attempt_keeps_the_cut_and_the_turns(
    start: Callable[[Path], JobContext], home: Home, tmp_path: Path
) -> None:
    path = tmp_path / "chat.db"
    context = start(conversation(path, days=50))
    evaluate.run(context)
    before, cut = chosen(context.run_id), TrainTestSplit.get().at
    path.unlink()
    conversation(path, days=80)  # messages came in meanwhile
    transitions.requeue(Job.get_by_id(context.job_id), None, starts_without_progress=0)
    assert evaluate.run(claim(home)).ok
    assert (chosen(context.run_id), TrainTestSplit.get().at) == (before, cut)


def shown(run_id: str) -> list[tuple[int, str, str]]:
    rows = TurnExample.select().where(TurnExample.run == run_id).order_by(TurnExample.place)
    return [(row.place, row.incoming, row.answer) for row in rows]


def test_examples_are_from_before_the_cut_and_kept_by_a_second_attempt(
    start: Callable[..., JobContext], home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="test")
    path = conversation(tmp_path / "chat.db", days=50)
    context = start(path, examples=6)
    evaluate.run(context)
    first = shown(context.run_id)
    assert [place for place, _, _ in first] == list(range(6))
    for _, incoming, answer in first:
        assert incoming.startswith("question ") and answer.startswith("answer ")
        assert int(incoming.split()[1]) == int(answer.split()[1]) < 40
    assert "6 earlier turns are shown to every model" in caplog.text
    assert "question" not in caplog.text
    path.unlink()
    conversation(path, days=80)
    transitions.requeue(Job.get_by_id(context.job_id), None, starts_without_progress=0)
    evaluate.run(claim(home))
    assert shown(context.run_id) == first


@pytest.mark.parametrize("examples", [0, None])
def test_no_examples_where_the_plan_asks_for_none_or_is_of_an_earlier_version(
    start: Callable[..., JobContext], tmp_path: Path, examples: int | None
) -> None:
    context = start(conversation(tmp_path / "chat.db", days=50), examples=examples)
    evaluate.run(context)
    assert shown(context.run_id) == []


def test_two_runs_on_one_history_choose_the_same(start: Callable[[Path], JobContext], tmp_path: Path) -> None:
    path = conversation(tmp_path / "chat.db", days=50)
    rows = []
    for _ in range(2):
        context = start(path)
        evaluate.run(context)
        Job.update(status="succeeded").execute()
        rows.append(chosen(context.run_id))
    assert rows[0] == rows[1]
    assert len(rows[0]) == 40


def test_too_few_turns_are_said_and_fail_nothing(start: Callable[[Path], JobContext], tmp_path: Path) -> None:
    context = start(conversation(tmp_path / "chat.db", days=5, people=2))
    outcome = evaluate.run(context)
    assert (outcome.ok, outcome.reason) == (True, "only 2 of your turns can be asked, 8 are needed")
    assert len(chosen(context.run_id)) == 2


def test_a_history_without_an_answer_is_said(start: Callable[[Path], JobContext], tmp_path: Path) -> None:
    db = ChatDB(tmp_path / "chat.db")
    db.add("hello?", chat=db.direct("+4915112345678"), from_me=True)
    outcome = evaluate.run(start(db.close()))
    assert (outcome.ok, outcome.reason) == (True, "no turn of yours was answered in a direct chat")
    assert TrainTestSplit.select().count() == 0


def test_without_a_messages_database_the_job_fails_with_a_remedy(
    start: Callable[[Path], JobContext], tmp_path: Path
) -> None:
    with pytest.raises(JobFailed, match="there is no Messages database at"):
        evaluate.run(start(tmp_path / "nowhere.db"))


def test_the_log_holds_figures_and_no_message(
    start: Callable[[Path], JobContext], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="test")
    evaluate.run(start(conversation(tmp_path / "chat.db", days=50)))
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert "160 own messages before the cut, 40 turns after it, 40 chosen" in lines
    assert "question" not in lines
    assert "+49" not in lines


def test_no_more_than_the_limit_are_kept(start: Callable[[Path], JobContext], tmp_path: Path) -> None:
    context = start(conversation(tmp_path / "chat.db", days=600))
    evaluate.run(context)
    assert len(chosen(context.run_id)) == holdout.MOST_TURNS
    assert TrainTestSplit.get().turns_after == 480
