"""The measure own_turns as the metrics job stores it, with a real (tiny) embedder and an invented history."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run
from jarvisd.worker.context import JobContext
from jobs.evaluate.metrics import job
from jobs.lib.comparison import pipeline
from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, ReferenceScore, Reply, Score
from tests.chatdb import ChatDB
from tests.integration.metric_runs import CUT, add, starter
from tests.tiny_embedder import make_embedder
from tests.unit.test_style_set import DRY, FORMAL, LOUD, OWNER, WARM

THINGS = ["dinner", "movie", "night", "time", "way"]
WHEN = ["tomorrow", "later", "today", "monday", "friday", "at 6", "soon"]
KITCHEN_SINK = "Haha yes! Saw it, thanks, no worries, see you soon! What time works?"
CANNED = {"rude": "fuck off", "haha": "haha yeah", "cool": "That's cool, what about you?", "sink": KITCHEN_SINK}
PEOPLE, TURNS = 8, 60


def exchange(forms: list[str], chance: random.Random) -> tuple[str, str]:
    """A message in one person's manner, and the owner's answer about the same thing."""
    thing = chance.choice(THINGS)
    return tuple(chance.choice(of).format(thing, chance.choice(WHEN)) for of in (forms, OWNER))  # type: ignore[return-value]


def forms_of(person: int) -> list[str]:
    return [FORMAL, LOUD, DRY, WARM][person % 4]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people, each of whom the owner has answered 60 times before the split."""
    db = ChatDB(tmp_path_factory.mktemp("messages") / "chat.db")
    for person in range(PEOPLE):
        chat, chance = db.direct(f"+1555000{person}"), random.Random(person)
        for place in range(60):
            incoming, answer = exchange(forms_of(person), chance)
            when = CUT - dt.timedelta(days=1, minutes=10 * (60 - place))
            db.add(incoming, chat=chat, when=when)
            db.add(answer, chat=chat, from_me=True, when=when + dt.timedelta(minutes=1))
    return db.close()


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("embedder") / "tiny")


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run], embedder: Path, history: Path) -> Callable[..., JobContext]:
    begin = starter(home, make_run, embedder, history)

    def with_turns(**options: Any) -> JobContext:
        context = begin(**options)
        HeldOutTurn.delete().execute()
        chance = random.Random(99)
        for place in range(TURNS):
            incoming, answer = exchange(forms_of(place % 10), chance)
            HeldOutTurn.create(
                run=context.run_id, place=place, chat=place % 10, incoming=incoming, answer=answer, sent_at=CUT
            )
        return context

    return with_turns


def answer_all(context: JobContext, model: str, text: str | None = None) -> None:
    """The same text to every held-out turn; without one the owner's own answers."""
    for turn in list(HeldOutTurn.select()):
        add(context, text or turn.answer, model=model, place=turn.place)


def own_turns(context: JobContext) -> dict[str, float]:
    models = pipeline.of_run(context.run_id).as_json()["models"]
    return {key: model["stats"]["own_turns"]["value"] for key, model in models.items()}


def test_a_rude_reply_to_everything_is_last_and_no_canned_one_is_recommended(start: Callable[..., JobContext]) -> None:
    """The owner's own answers, measured in a later round, come out on top."""
    context = start()
    for model, text in CANNED.items():
        answer_all(context, model, text)
    outcome = job.measure(context)
    assert "own_turns" not in outcome.reason and outcome.summary["own_turns"] == 4 * TURNS
    values = own_turns(context)
    assert min(values, key=values.__getitem__) == "rude"
    assert values["rude"] == pytest.approx(0, abs=0.01) and max(values.values()) < 0.3
    verdict = pipeline.of_run(context.run_id).as_json()["verdict"]
    assert (verdict["recommended"], verdict["action"] == "switch") == (False, False)

    answer_all(context, "me")
    job.measure(context)
    later = own_turns(context)
    assert later["me"] > 0.8 and max(values.values()) < later["me"] - 0.4
    assert {model: later[model] for model in CANNED} == pytest.approx(values)
    verdict = pipeline.of_run(context.run_id).as_json()["verdict"]
    assert (verdict["recommended"], verdict["pick"]) == (True, "me")


def test_each_reply_has_its_contribution_its_fit_and_its_marks(start: Callable[..., JobContext]) -> None:
    context = start()
    answer_all(context, "me")
    answer_all(context, "rude", "fuck off")
    job.measure(context)
    job.measure(context)
    rows = list(Score.select().where(Score.metric == "own_turns"))
    assert len(rows) == 2 * TURNS
    assert all(isinstance(row.parts["fit"], float) for row in rows)
    assert {tuple(row.parts["marks"]) for row in rows if row.reply.model == "rude"} == {("hostile", "repeated")}
    references = {row.reference: row for row in ReferenceScore.select().where(ReferenceScore.metric == "own_turns")}
    assert references["canned"].value < references["another"].value < references["real"].value
    assert references["real"].n == TURNS


def test_without_an_embedder_own_turns_is_how_the_replies_sound(start: Callable[..., JobContext]) -> None:
    context = start(meaning_folder=None)
    answer_all(context, "me")
    job.measure(context)
    row = Score.get(Score.metric == "own_turns")
    assert row.parts["fit"] is None
    assert own_turns(context)["me"] > 0.8


def test_too_few_replies_leave_own_turns_out_with_a_remark(start: Callable[..., JobContext]) -> None:
    """Nineteen of them; a model with twenty is measured beside it."""
    context = start()
    answer_all(context, "me")
    Reply.delete().where(Reply.prompt >= 19, Reply.scenario_id == REAL_TURNS).execute()
    assert "own_turns left out: it needs 20 replies" in job.measure(context).reason
    answer_all(context, "two")
    job.measure(context)
    values = own_turns(context)
    assert (values["me"], values["two"] > 0.8) == (None, True)


def test_too_short_a_history_leaves_own_turns_out(start: Callable[..., JobContext], tmp_path: Path) -> None:
    context = start()
    db = ChatDB(tmp_path / "short.db")
    chat = db.direct("+15550001")
    db.add("hey", chat=chat, when=CUT - dt.timedelta(hours=2))
    db.add("hi", chat=chat, from_me=True, when=CUT - dt.timedelta(hours=1))
    context.plan["messages"] = str(db.close())
    answer_all(context, "me")
    assert "own_turns left out: it needs 200 answers of yours" in job.measure(context).reason
    assert own_turns(context) == {"me": None}
