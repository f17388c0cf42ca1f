"""What the owner decided holds in `match` and its JSON lines: levels, wording, rejections, kinds never answered."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.matching import Matcher
from jobs.lib.results.tables import Answer, DraftReview, HeldOutDraft, Mining, Template, Verdict
from jobs.lib.reviews import verdicts
from jobs.lib.reviews.session import CardSession
from tests.rankers import make_ranked
from tests.tiny_embedder import make_embedder

ROWS = [("On my way", ["where are you"]), ("Sounds great", ["dinner tomorrow?"]), ("Bro 😭", ["lol"])]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def ranked(make_run: Callable[..., Run], home: Home, embedder: Path) -> Run:
    """A ranker, and 60 held-out turns on which it was more and more sure of its first template."""
    run = make_ranked(make_run("mine", plan="templates"), home, embedder, ROWS)
    job = Job.get(Job.run == run)
    since = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    with database.write():
        for place in range(60):
            share = 0.3 + place / 200
            HeldOutDraft.create(
                job=job,
                run=run,
                place=place,
                chat=1,
                sent_at=since + dt.timedelta(minutes=place),
                previous=None,
                incoming=f"where are you {place}",
                answer="On my way",
                drafts=[["uuid-1", share]],
                probability=share,
            )
    return run


def review(answer: Answer) -> None:
    session = CardSession(Mining.get())
    while (card := session.next()) is not None:
        session.answer(card, answer)


def match(home: Home, *words: str, **options: Any) -> Result:
    command = ["match", *words]
    return CliRunner().invoke(cli, command, obj=App(home), catch_exceptions=False, standalone_mode=False, **options)


def test_a_draft_is_what_the_owner_would_send_from_the_certified_level_on(ranked: Run, home: Home) -> None:
    assert Matcher.load(home).drafts("where are you")[0].level == "draft"
    review(Answer.SEND)
    drafts = Matcher.load(home).drafts("where are you")
    assert (drafts[0].level, drafts[0].would_send) == ("automatic", True)
    assert drafts[-1].level == "draft"
    done = match(home, "where are you")
    assert done.return_value == 0
    assert "would send" in done.output
    DraftReview.delete().execute()
    review(Answer.NOT)
    assert Matcher.load(home).drafts("where are you")[0].level == "draft"
    assert match(home, "where are you").return_value == 1


def test_a_rejected_template_is_not_drafted_and_an_edited_one_is_in_the_owners_words(ranked: Run, home: Home) -> None:
    verdicts.decide("uuid-2", "Sounds great", Verdict.EDITED, "sounds lovely")
    assert Matcher.load(home).drafts("dinner tomorrow?")[0].reply == "sounds lovely"
    verdicts.decide("uuid-2", "Sounds great", Verdict.REJECTED)
    assert "uuid-2" not in {draft.template for draft in Matcher.load(home).drafts("dinner tomorrow?")}


def test_a_kind_that_must_never_be_answered_gets_no_draft(ranked: Run, home: Home) -> None:
    session = CardSession(Mining.get())
    card = session.next()
    assert card is not None
    session.answer(card, Answer.NEVER)
    answer = Matcher.load(home).answer(f"{card.incoming.upper()}!!")
    assert answer.drafts == ()
    assert answer.about == "a message that you said never to answer, or one much like it"


def never(incoming: str) -> None:
    """The owner says of a message that nothing should answer its kind."""
    with database.write():
        DraftReview.create(
            turn="t",
            template="u",
            reply="x",
            incoming=incoming,
            answer=Answer.NEVER,
            run="r",
            created_at=database.now(),
        )


def test_a_message_much_like_one_that_must_never_be_answered_gets_no_draft(ranked: Run, home: Home) -> None:
    """It is of the same kind where the matcher's cosine says so; another message is answered as before."""
    never("you are where")
    matcher = Matcher.load(home)
    assert matcher.answer("where are you").about
    assert matcher.answer("dinner tomorrow?").about is None
    assert matcher.drafts("dinner tomorrow?")[0].reply == "Sounds great"


def test_the_words_of_a_trigger_that_must_never_be_answered_do_not_fire(ranked: Run, home: Home) -> None:
    """Not with the model, and not without it, where the very words of a trigger need none."""
    Template.update(tier="suggest").where(Template.uuid == "uuid-2").execute()
    assert match(home, "dinner tomorrow?").return_value == 0
    never("dinner tomorrow?")
    assert match(home, "dinner tomorrow?").return_value == 1
    Run.update(snapshot={}).execute()  # the model is nowhere
    done = match(home, "Dinner tomorrow?", "--json")
    assert (done.return_value, json.loads(done.output)["fires"]) == (1, False)


def test_the_example_of_the_docs_answers_json_lines(ranked: Run, home: Home) -> None:
    program = Path(__file__).parents[2] / "docs" / "examples" / "answer.py"
    assert len([line for line in program.read_text().splitlines() if line.strip()]) <= 25
    database.db.close()
    done = subprocess.run(
        [sys.executable, program],
        input='{"text": "where are you"}\n{"text": "my grandma died"}\n',
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"JARVISD_HOME": str(home.root)},
    )
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["drafts"][0]["reply"] == "On my way"
    assert second["drafts"] == []
    assert second["about"]


def test_serve_answers_json_lines_and_goes_on_after_a_broken_one(ranked: Run, home: Home) -> None:
    lines = [
        b'{"text": "where are you", "id": 1}',
        b"{broken",
        b'{"text": "' + b"a" * (1 << 20) + b'"}',
        b"\xff\x00\x01",
        b'{"text": "dinner tomorrow?", "previous": "hi", "drafts": 1, "id": "two"}',
    ]
    done = match(home, "--serve", input=b"\n".join(lines))
    assert done.return_value == 0
    first, *broken, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert (first["id"], first["reply"], len(first["drafts"])) == (1, "On my way", 3)
    assert {"probability", "tier", "level", "ms"} <= first.keys()
    assert [list(document) for document in broken] == [["error"]] * 3
    assert (last["id"], last["reply"], len(last["drafts"])) == ("two", "Sounds great", 1)
    assert done.stderr == ""
