"""A judge's votes in a real database, with a scripted judge."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import JobFailed
from jarvisd.paths import Home
from jarvisd.registry import Outcome
from jarvisd.store import database
from jarvisd.store.models import Run
from jarvisd.worker.context import JobContext
from jobs.evaluate.metrics import judge, quoting
from jobs.evaluate.replies import generate
from jobs.evaluate.replies.generate import Generation
from jobs.lib.comparison.load import load
from jobs.lib.comparison.votes import Agreement, agreement
from jobs.lib.results.tables import (
    OWNER,
    REAL_TURNS,
    Reply,
    Vote,
)
from tests.integration.metric_runs import (
    HOSTILE,
    SECRET,
    add,
    again,
    make_messages,
    starter,
)
from tests.tiny_embedder import make_embedder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("embedder") / "tiny")


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    return make_messages(tmp_path)


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run], embedder: Path, messages: Path) -> Callable[..., JobContext]:
    return starter(home, make_run, embedder, messages)


@pytest.fixture
def judging(start: Callable[..., JobContext]) -> JobContext:
    return start(params={"task": "judge", "judge": "tiny"})


def longer(words: str) -> str:
    """A judge with an opinion: the longer reply is better."""
    a, b = (words.split(f"Reply {name}:\n{quoting.FENCE}\n")[1].split("\n")[0] for name in "AB")
    return "A" if len(a) > len(b) else "B"


def by_model() -> list[tuple[str, str, str]]:
    """Winner first, where there is one."""
    pairs = []
    for vote in Vote.select().order_by(Vote.id):
        names = (vote.left.model, vote.right.model)
        pairs.append((*(names[::-1] if vote.choice == "right" else names), vote.choice.replace("right", "left")))
    return pairs


def compared(context: JobContext, ask: Callable[[str], str | None] = longer) -> Outcome:
    return judge.judge(context, judge.pairs(context.run_id, "judge:tiny", 60), "judge:tiny", ask)


def test_each_pair_is_one_vote_for_the_reply_that_wins_in_both_orders(judging: JobContext) -> None:
    for place in range(4):
        add(judging, "a much longer reply", "one", place)
        add(judging, "short", "two", place)
    outcome = compared(judging)
    assert by_model() == [("one", "two", "left")] * 4
    assert {vote.choice for vote in Vote.select()} == {"left", "right"}  # whoever is asked about first changes
    assert {vote.by for vote in Vote.select()} == {"judge:tiny"}
    assert outcome == Outcome(summary={"pairs": 4, "ties": 0, "invalid": 0})


def test_a_judge_that_always_says_a_makes_ties(judging: JobContext) -> None:
    add(judging, HOSTILE, "one")
    add(judging, "sure", "two")
    compared(judging, lambda words: "A")
    assert [vote.choice for vote in Vote.select()] == ["tie"]


def test_an_answer_of_another_form_is_kept_as_invalid(judging: JobContext) -> None:
    add(judging, "yes", "one")
    add(judging, "no", "two")
    outcome = compared(judging, lambda words: "I think A")
    assert [vote.choice for vote in Vote.select()] == ["invalid"]
    assert outcome.reason == "1 of 1 answers were neither A nor B"


def test_identical_failed_and_repeated_replies_are_not_compared(judging: JobContext) -> None:
    add(judging, "ok", "one", 0)
    add(judging, " ok ", "two", 0)
    add(judging, "yes", "one", 1)
    add(judging, "", "two", 1, success=False)
    add(judging, "yes", "one", 2, sample=2)
    add(judging, "no", "two", 2, sample=2)
    add(judging, "maybe", "two", 3)
    assert judge.pairs(judging.run_id, "judge:tiny", 60) == []


def test_real_turns_come_first_and_pairs_of_models_take_turns(judging: JobContext) -> None:
    for model in ("one", "two", "three"):
        add(judging, f"{model} says so", model, 0, scenario_id="dinner")
        for place in range(2):
            add(judging, f"{model} says {place}", model, place)
    pairs = judge.pairs(judging.run_id, "judge:tiny", 6)
    assert [frozenset((pair.left.model, pair.right.model)) for pair in pairs[:3]] == [
        frozenset(names) for names in (("one", "three"), ("one", "two"), ("three", "two"))
    ]
    assert {pair.left.scenario_id for pair in pairs} == {REAL_TURNS}
    assert len(judge.pairs(judging.run_id, "judge:tiny", 60)) == 9


def test_a_judge_that_was_stopped_goes_on_with_the_next_pair(judging: JobContext) -> None:
    for place in range(3):
        add(judging, "a longer reply", "one", place)
        add(judging, "short", "two", place)
    asked = []

    def stopping(words: str) -> str | None:
        asked.append(words)
        if len(asked) == 4:  # in the middle of the second pair
            judging.stop.set()
            return None
        return longer(words)

    outcome = compared(judging, stopping)
    assert (outcome.ok, outcome.reason) == (False, "asked to stop after 1 of 3 pairs")
    judging.stop.clear()
    compared(judging)
    assert by_model() == [("one", "two", "left")] * 3


def test_the_deadline_ends_judging_well(judging: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    add(judging, "yes", "one")
    add(judging, "no", "two")
    monkeypatch.setattr(JobContext, "seconds_left", lambda _: 4.0)
    assert compared(judging) == Outcome(reason="out of time after 0 of 1 pairs")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, home: Home) -> list[dict[str, Any]]:
    """The job with a model that always says A at its edge; returns what each generation was asked for."""
    asked: list[dict[str, Any]] = []

    def answer(loaded: Any, words: str, **options: Any) -> Generation:
        asked.append({"words": words} | options)
        return Generation(text="A.")

    (home.root / "none").mkdir()
    monkeypatch.setattr(judge.catalogue, "problem", lambda entry, home: None)
    monkeypatch.setattr(generate, "load", lambda entry, folder, date: type("Loaded", (), {"load_time_s": 0.1}))
    monkeypatch.setattr(generate, "generate", answer)
    return asked


def test_the_job_asks_the_plans_judge_greedily_and_in_few_tokens(
    judging: JobContext, scripted: list[dict[str, Any]]
) -> None:
    add(judging, SECRET, "one")
    add(judging, "no", "two")
    assert judge.compare(judging) == Outcome(summary={"pairs": 1, "ties": 1, "invalid": 0})
    assert [(one["temperature"], one["max_tokens"]) for one in scripted] == [(0.0, 4)] * 2
    assert judge.compare(judging).reason == "nothing new to compare"
    assert len(scripted) == 2


def test_a_restart_does_not_raise_the_number_of_pairs(
    judging: JobContext, scripted: list[dict[str, Any]], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "MOST_PAIRS", 2)
    for place in range(5):
        add(judging, "yes", "one", place)
        add(judging, "no", "two", place)
    judge.compare(judging)
    judge.compare(again(home, judging))
    assert Vote.select().count() == 2


def test_a_judge_that_breaks_off_is_invalid_and_says_nothing_of_the_text(
    judging: JobContext,
    scripted: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(loaded: Any, words: str, **options: Any) -> Generation:
        raise ValueError(words)

    monkeypatch.setattr(generate, "generate", broken)
    add(judging, SECRET, "one")
    add(judging, "no", "two")
    with caplog.at_level(logging.DEBUG):
        outcome = judge.compare(judging)
    assert outcome.summary["invalid"] == 1
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text + str(outcome)


def test_a_judge_that_is_not_on_this_disk_fails_the_job_with_its_remedy(judging: JobContext) -> None:
    add(judging, "yes", "one")
    add(judging, "no", "two")
    with pytest.raises(JobFailed, match="tiny is not on this disk"):
        judge.compare(judging)


# ------------------------------------------------------------------------------------------------------- the agreement


def test_the_judge_is_held_against_the_owner_on_the_pairs_that_both_saw(judging: JobContext) -> None:
    """Which reply stood left does not matter; "both bad" is a tie; what only one compared does not count."""
    one = [add(judging, "yes", "one", place) for place in range(5)]
    two = [add(judging, "no", "two", place) for place in range(5)]

    def vote(by: str, left: Reply, right: Reply, choice: str) -> None:
        Vote.create(run=judging.run_id, by=by, left=left, right=right, choice=choice, created_at=database.now())

    vote("judge:tiny", one[0], two[0], "left")
    vote(OWNER, two[0], one[0], "right")  # the same reply won
    vote("judge:tiny", one[1], two[1], "right")
    vote(OWNER, one[1], two[1], "right")
    vote("judge:tiny", one[2], two[2], "tie")
    vote(OWNER, two[2], one[2], "both bad")
    vote("judge:tiny", one[3], two[3], "invalid")
    vote(OWNER, one[3], two[3], "left")
    vote(OWNER, one[4], two[4], "left")
    assert agreement(load(judging.run_id).votes) == Agreement(judge=1.0, n=3, same=3)


def test_without_votes_of_both_there_is_no_agreement(judging: JobContext) -> None:
    assert agreement(load(judging.run_id).votes) is None
