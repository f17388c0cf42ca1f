"""`jarvisctl vote --between`, and the key that takes the last answer back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from jarvisd.cli.common import App
from jarvisd.paths import Home
from jarvisd.plugin import UsageError
from jarvisd.store.models import Run
from jobs.lib.comparison.load import load
from jobs.lib.comparison.pipeline import compare
from jobs.lib.comparison.preference import Agreement
from jobs.lib.results.tables import Vote
from jobs.verbs.vote.challenger import Challenger
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
    assert "\n1 answer can decide this at best.\n" in output
    assert models_of_votes() == [{"a", "b"}] * 5


def scored_night(tmp_path: Path, **quality: float) -> Home:
    """A night of models with these scores at every prompt."""
    created = home(tmp_path / "scored")
    row = run()
    for key, value in quality.items():
        qualities = {name: [value] * len(prompts) for name, (_, prompts) in SCENARIOS.items()}
        model(row, key, f"Model {key.upper()}", reply=f"reply of {key}", qualities=qualities)
    job(row, "report")
    return created


def liking(here: Home, liked: str, answers: int) -> Session:
    """A session after so many answers of an owner who likes the models in this order."""
    chosen = Run.get()
    compared = compare(load(chosen.id))
    session = Session(chosen, liked, challenger=Challenger.of(compared, liked))
    for _ in range(answers):
        ballot = session.next()
        assert ballot is not None
        better = liked.index(ballot.left.model) < liked.index(ballot.right.model)
        assert session.answer(ballot, "left" if better else "right")
    return session


def test_a_session_counts_down_and_proposes_its_end_once(here: Home) -> None:
    """Equal scores, one model preferred always: the choice is soon worth less than the least gain, and the owner may
    go on all the same."""
    output = call(here, typed="1\n2\n1\n1\n2\n2\n1\n" + "1\n" * 20)
    assert re.search(r"\d+ answers? can decide this at best\.", output)
    before, _, after = output.partition("Press q to end, or go on.")
    assert "more answer" in before and "Model" not in before
    assert "Press q to end" not in after and Vote.select().count() == 27


def test_a_session_proposes_its_end_after_fifteen_answers(here: Home) -> None:
    """Answers that never agree do not decide; fifteen are enough for one sitting, also for the next one."""
    for stored in (15, 30):
        session = Session(Run.get(), "abc", challenger=Challenger.of(compare(load(Run.get().id)), "abc"))
        while session.answers_left:
            assert not session.proposes_end()
            ballot = session.next()
            assert ballot is not None
            session.answer(ballot, "tie")
        assert session.proposes_end() and not session.proposes_end()
        assert session.stored == 15 if stored == 15 else Vote.select().count() <= stored


def test_agreement_follows_the_answers_of_the_session(tmp_path: Path) -> None:
    """The score of each reply is compared with each answer as it comes, and undo takes that back too."""
    session = liking(scored_night(tmp_path, a=0.8, b=0.7, c=0.6), "abc", 4)
    assert session.agreement == Agreement(4, 4)
    assert session.undo() is not None and session.agreement == Agreement(3, 3)
    contrary = liking(Home(tmp_path / "scored", "--home"), "cba", 3)
    assert contrary.agreement == Agreement(3, 6)


def test_scores_that_disagree_with_the_ear_count_less_within_the_session(tmp_path: Path) -> None:
    """Six answers against the scores: what is left to ask is as much as if the scores said little."""
    here = scored_night(tmp_path, a=0.8, b=0.72)
    against = liking(here, "ba", 6)
    assert against.agreement == Agreement(0, 6) and against.answers_left == 0


def test_a_model_that_may_not_be_chosen_does_not_keep_a_session_open(tmp_path: Path) -> None:
    """Between two given models only these two decide, however close a third one is."""
    here = scored_night(tmp_path, a=0.9, b=0.3, c=0.9)
    assert "The scores decide this already" in call(here, "--between", "a", "b", typed="q\n")


def test_the_verdict_says_how_many_answers_decide(tmp_path: Path) -> None:
    """answers_left beside votes_wanted: the least number in a row; 0 where the choice is settled."""
    scored_night(tmp_path, a=0.9, b=0.9, c=0.9)
    assert compare(load(Run.get().id)).document.as_json()["verdict"]["answers_left"] > 0
    liking(here=Home(tmp_path / "scored", "--home"), liked="abc", answers=12)
    assert compare(load(Run.get().id)).document.as_json()["verdict"]["answers_left"] == 0
