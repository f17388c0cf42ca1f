"""`jarvisctl vote --between`, and the key that takes the last answer back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from jarvisd.cli.common import App
from jarvisd.paths import Home
from jarvisd.plugin import UsageError
from jobs.lib.results.tables import Vote
from jobs.verbs.vote.commands import vote
from jobs.verbs.vote.session import Session
from tests.integration.report_nights import SCENARIOS, home, job, model, run


@pytest.fixture
def here(tmp_path: Path) -> Home:
    """A night of three models with different replies."""
    created = home(tmp_path / "home")
    row = run()
    for key in "abc":
        model(row, key, f"Model {key.upper()}", reply=f"reply of {key}")
    job(row, "report")
    return created


def call(here: Home, *words: str, typed: str = "") -> str:
    return CliRunner().invoke(vote, list(words), obj=App(here), input=typed, catch_exceptions=False).output


def models_of_votes() -> list[set[str]]:
    return [{row.left.model, row.right.model} for row in Vote.select().order_by(Vote.id)]


def test_between_asks_about_two_models_alone(here: Home) -> None:
    """By key or by name, in any case."""
    call(here, "--between", "c", "model a", typed="1\n2\n1\nt\nq\n")
    assert models_of_votes() == [{"a", "c"}] * 4


@pytest.mark.parametrize("words", [("a", "nobody"), ("a", "Model A")])
def test_between_refuses_an_unknown_model_and_the_same_one_twice(here: Home, words: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        call(here, "--between", *words)


def test_undo_takes_the_last_answer_back_and_asks_again(here: Home) -> None:
    """The page of the answer is shown once more under its number, and only the new answer is stored."""
    output = call(here, typed="1\n2\nu\n1\nq\n")
    assert output.count("\n2.\n") == 2 and "Taken back." in output
    assert "2 votes stored, 2 in all." in output
    assert Vote.select().count() == 2


def test_undo_without_an_answer_changes_nothing(here: Home) -> None:
    output = call(here, typed="u\nq\n")
    assert "no answer of this session to take back" in output and Vote.select().count() == 0


def test_after_undo_as_much_is_left_as_before(here: Home) -> None:
    row = run("2026-11-23-overnight")
    for key in "ab":
        model(row, key, reply=f"reply of {key}")
    session = Session(row, ("a", "b"))
    left, ballot = session.remaining, session.next()
    assert ballot is not None and session.answer(ballot, "left") and session.remaining < left
    assert session.undo() == ballot
    assert (session.remaining, session.stored, session.next()) == (left, 0, ballot)
    assert session.undo() is None


def test_the_challenger_of_the_leader_is_asked_about_and_a_hopeless_model_is_not(tmp_path: Path) -> None:
    """Two are equally good, the third is worth nothing: every question is about the two."""
    here = home(tmp_path / "other")
    row = run()
    for key, value in (("a", 0.8), ("b", 0.8), ("c", 0.05)):
        qualities = {name: [value] * len(prompts) for name, (_, prompts) in SCENARIOS.items()}
        model(row, key, f"Model {key.upper()}", reply=f"reply of {key}", qualities=qualities)
    job(row, "report")
    output = call(here, typed="1\n2\n1\n2\n1\nq\n")
    assert "\nAt best 1 more answer can decide.\n" in output
    assert models_of_votes() == [{"a", "b"}] * 5
