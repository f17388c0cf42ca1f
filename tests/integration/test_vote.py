"""`jarvisctl vote` and `deploy model` on a real database: what is asked, what is stored, what follows from it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jarvisd.cli.common import App
from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jarvisd.store.models import Run, Status
from jobs.lib.comparison import pipeline
from jobs.lib.comparison.load import load
from jobs.lib.comparison.pipeline import compare
from jobs.lib.results.tables import OWNER, REAL_TURNS, Reply, Vote
from jobs.verbs.vote import keys, words
from jobs.verbs.vote.commands import vote
from jobs.verbs.vote.session import Session
from tests.integration.report_nights import SCENARIOS, home, job, model, run

KEYS = ("a", "b", "c")


def night(**replies: str) -> Run:
    """A night with a report and a model for each key, which gave that reply to every prompt."""
    models = [{"key": key, "name": f"Model {key.upper()}", "repo": f"org/{key}"} for key in replies]
    row = run(plan={"evaluate": {"models": models}})
    for key, reply in replies.items():
        model(row, key, f"Model {key.upper()}", reply=reply)
    job(row, "report")
    return row


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path / "home")


@pytest.fixture
def row(here: Home) -> Run:
    return night(a="alpha", b="beta", c="gamma")


def call(here: Home, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(vote, list(words), obj=App(here), input=typed, catch_exceptions=False)


def stored() -> list[tuple[str, str, str]]:
    """(left, right, choice) of every vote, by the reply's model."""
    return [(one.left.model, one.right.model, one.choice) for one in Vote.select().order_by(Vote.id)]


def turn(row: Run, key: str, place: int, reply: str) -> Reply:
    """A reply to a turn of the owner's history."""
    like = Reply.get(Reply.run == row, Reply.model == key)
    values = {field.name: getattr(like, field.name) for field in Reply._meta.sorted_fields if field.name != "id"}
    values |= {"scenario_id": REAL_TURNS, "prompt": place, "context": f"turn {place}", "reply": reply}
    created: Reply = Reply.create(**values)
    return created


# ------------------------------------------------------------------------------------------------- what is asked


def test_no_name_no_latency_and_no_side_is_told(here: Home, row: Run) -> None:
    """Both sides happen for the same two models, and only the ids of the replies decide which."""
    result = call(here, typed="s\n" * 13)
    for word in ("Model", "850", " ms", "org/"):
        assert word not in result.output
    sides = {(one.left.model, one.right.model) for one in Session(row, KEYS)._left}
    assert {("a", "b"), ("b", "a")} <= sides


def test_an_answer_is_stored_at_once_as_it_was_shown(here: Home, row: Run) -> None:
    result = call(here, typed="1\n2\nt\nb\nhuh\ns\nq\n")
    assert result.exit_code == 0
    assert [choice for _, _, choice in stored()] == ["left", "right", "tie", "both bad"]
    assert {one.by for one in Vote.select()} == {OWNER}
    assert result.output.count("1 or 2 is better") == 2
    assert "4 votes stored, 4 in all. Best guess: Model " in result.output
    assert "Your votes do not separate them yet: Model " in result.output


def test_what_was_typed_is_shown_again(here: Home, row: Run) -> None:
    output = call(here, typed="1\nTIE\nq\n").output
    assert re.findall(r"^> (.*)$", output, flags=re.M) == ["1", "TIE", "q"]


def test_an_interrupt_writes_the_report_too(here: Home, row: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers() -> Iterator[keys.Ask]:
        typed = iter([keys.Answer("1", "left")])

        def ask() -> keys.Answer:
            if (answer := next(typed, None)) is None:
                raise KeyboardInterrupt
            return answer

        yield ask

    monkeypatch.setattr(keys, "answers", contextmanager(answers))
    result = CliRunner().invoke(vote, obj=App(here), standalone_mode=False)
    assert result.return_value == 130
    assert "1 vote stored, 1 in all." in result.output
    written = json.loads((here.run_folder(row.id) / "mlx_comparison_results.json").read_text())
    assert written["votes"]["by_owner"] == 1


def test_a_line_break_of_a_reply_is_shown_as_one(here: Home) -> None:
    night(a="one\n\ntwo", b="beta")
    assert "one ⏎ two" in call(here, typed="q\n").output


def test_the_end_of_the_input_is_the_end_of_the_session(here: Home, row: Run) -> None:
    assert "No vote was stored" in call(here).output
    assert "1 vote stored, 1 in all" in call(here, typed="1\n").output


def test_no_pair_is_asked_twice_in_a_session_or_in_two(here: Home, row: Run) -> None:
    """13 prompts and three models are 39 pairs; what was skipped comes again in the next session."""
    call(here, typed="1\n" * 10 + "q\n")
    call(here, typed="s\n" * 3 + "2\n" * 100)
    assert len(stored()) == 36
    call(here, typed="t\n" * 100)
    pairs = [frozenset((one.left_id, one.right_id)) for one in Vote.select()]
    assert len(pairs) == len(set(pairs)) == 39
    assert "Nothing is left to compare in" in call(here, typed="1\n").output


def test_two_sessions_at_once_store_one_answer(here: Home, row: Run) -> None:
    one, other = Session(row, KEYS), Session(row, KEYS)
    first, second = one.next(), other.next()
    assert first == second is not None
    assert one.answer(first, "left")
    assert not other.answer(second, "right")
    assert [choice for _, _, choice in stored()] == ["left"]


def test_the_same_state_asks_the_same(here: Home, row: Run) -> None:
    call(here, typed="1\n2\n1\n")
    assert Session(row, KEYS).next() == Session(row, KEYS).next()


def test_prompts_not_shown_yet_come_first_and_real_turns_before_them(here: Home) -> None:
    row = night(a="alpha", b="beta")
    for key in ("a", "b"):
        for place in range(2):
            turn(row, key, place, f"{key} {place}")
    session, places = Session(row, KEYS), []
    while (ballot := session.next()) is not None:
        places.append(ballot.place)
        session.answer(ballot, "tie")
    assert places[:2] == [(REAL_TURNS, 0), (REAL_TURNS, 1)]
    assert len(set(places)) == len(places) == 15


def test_models_that_were_compared_least_come_next(here: Home, row: Run) -> None:
    session = Session(row, KEYS)
    shown = []
    for _ in range(3):
        ballot = session.next()
        assert ballot is not None
        shown.append(ballot.models)
        session.answer(ballot, "tie")
    assert set(shown) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_what_looks_the_same_or_failed_is_not_asked(here: Home) -> None:
    row = night(a="alpha", b="al\u200bpha")
    model(row, "f", "Model F", failure="TimeoutError", reply="never shown")
    assert Session(row, ("a", "b", "f"), words.shown).remaining == 0
    assert "no two models gave different replies" in call(here, typed="1\n").output
    assert stored() == []


def test_a_model_that_missed_a_gate_is_not_asked_about(here: Home) -> None:
    row = night(a="alpha", b="beta")
    some = list(Reply.select().where(Reply.model == "b").limit(6))
    Reply.update(success=False, quality=0.0).where(Reply.id.in_(some)).execute()
    assert Session(row, KEYS).remaining == 7
    output = call(here, typed="1\n").output
    assert "1 model has replies to choose from; Model B did not pass the gates" in output
    assert stored() == []


def test_the_same_two_texts_are_asked_about_once(here: Home) -> None:
    """Five samples of a prompt are often the same reply five times."""
    row = night(a="alpha", b="beta")
    like = list(Reply.select().where(Reply.run == row))
    for reply in like:
        values = {field.name: getattr(reply, field.name) for field in Reply._meta.sorted_fields if field.name != "id"}
        Reply.create(**(values | {"sample": 2}))
    session = Session(row, KEYS)
    while (ballot := session.next()) is not None:
        session.answer(ballot, "left")
    assert len(stored()) == sum(len(prompts) for _, prompts in SCENARIOS.values())


def test_hostile_text_appears_as_text(here: Home) -> None:
    night(a="\x1b[2J\u202eevil {{ 7*7 }} <script>", b="long " * 2000)
    output = call(here, typed="q\n").output
    assert "{{ 7*7 }} <script>" in output
    assert "more characters)" in output
    assert not set("\x1b\u202e") & set(output)
    assert max(map(len, output.splitlines())) <= 100


def test_a_hostile_name_is_escaped_in_json_and_still_the_same_name(here: Home) -> None:
    hostile = "\x1b[2J\u202eevil\u2066 \x9b31m 😊"
    row = run()
    for key, name in (("a", hostile), ("b", "Model B")):
        model(row, key, name, reply=f"reply {key}")
    output = call(here, "--json").output
    assert output.rstrip("\n").isascii() and output.rstrip("\n").isprintable()
    assert json.loads(output)["models"] == {"a": hostile, "b": "Model B"}


def test_nothing_to_vote_on_is_one_line(here: Home) -> None:
    with pytest.raises(JarvisError, match="no run has replies to compare yet"):
        call(here)
    row = run()
    with pytest.raises(JarvisError, match=f"{row.id} has no replies to compare yet"):
        call(here, row.id)
    model(row, "a", reply="alpha")
    assert call(here).output.startswith("Nothing to compare in")
    assert call(here, "--stats").output.startswith("Nothing to compare in")


# -------------------------------------------------------------------------------------------- what follows from it


def prefer(row: Run, order: str, count: int) -> None:
    """Answer as a person who likes the models in this order."""
    session = Session(row, KEYS)
    for _ in range(count):
        ballot = session.next()
        assert ballot is not None
        better_left = order.index(ballot.left.model) < order.index(ballot.right.model)
        session.answer(ballot, "left" if better_left else "right")


def test_without_scores_every_pair_of_models_is_asked_about_as_often(row: Run) -> None:
    prefer(row, "cab", 18)
    models = {reply.id: reply.model for reply in Reply.select()}
    asked = Counter(frozenset((models[vote.left_id], models[vote.right_id])) for vote in Vote.select())
    assert asked == {frozenset("ab"): 6, frozenset("ac"): 6, frozenset("bc"): 6}


def test_the_ranking_follows_the_answers(here: Home, row: Run) -> None:
    prefer(row, "cab", 20)
    assert list(pipeline.of_run(row.id).as_json()["votes"]["ratings"]) == ["c", "a", "b"]
    output = call(here, "--stats").output
    assert "20 votes of yours" in output
    assert output.index("1. Model C") < output.index("2. Model A") < output.index("3. Model B")
    assert "won 13 of 13; preferred to another one in " in output and "log odds" not in output
    assert "You prefer Model " in output or "do not separate them yet" in output
    document = json.loads(call(here, "--json").output)
    assert document["votes"]["by_owner"] == 20
    assert document["left"] == 19
    assert document["models"] == {"a": "Model A", "b": "Model B", "c": "Model C"}


def test_the_order_of_the_answers_changes_nothing(here: Home, row: Run) -> None:
    prefer(row, "bca", 20)
    before = compare(load(row.id)).document.votes
    rows: list[dict[str, Any]] = list(Vote.select().order_by(Vote.id.desc()).dicts())
    Vote.delete().execute()
    for values in rows:
        Vote.create(**{name: value for name, value in values.items() if name != "id"})
    assert compare(load(row.id)).document.votes == before


def test_the_report_is_written_again(here: Home, row: Run) -> None:
    output = call(here, typed="1\n" * 6 + "q\n").output
    folder = here.run_folder(row.id)
    assert f"The report: {folder / 'report.html'}" in output
    written = json.loads((folder / "mlx_comparison_results.json").read_text())
    assert written["votes"]["by_owner"] == 6


def test_a_run_without_a_report_can_be_voted_on(here: Home) -> None:
    """Its page says what still runs, and stays."""
    row = run()
    for key, reply in (("a", "alpha"), ("b", "beta")):
        model(row, key, reply=reply)
    job(row, "evaluate:c", Status.RUNNING)
    job(row, "report", Status.QUEUED)
    assert f"The report of {row.id} will count them" in call(here, typed="1\nq\n").output
    assert not here.run_folder(row.id).exists()
