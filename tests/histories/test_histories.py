"""Clients, faults and the queue at the same time: nothing is lost, doubled or run twice at once."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.histories import run
from tests.histories.record import Call, History
from tests.histories.rules import (
    Evidence,
    Row,
    a_retry_starts_once_more,
    attempts_are_bounded,
    each_start_is_stored_before_it,
    ids_grow,
    no_acknowledged_submission_is_missing,
    no_start_leaves_no_mark_without_a_fault,
    no_two_ran_at_once,
    nothing_starts_after_an_acknowledged_cancel,
    states_agree_with_marks,
)


@pytest.mark.parametrize("seconds", [15, pytest.param(600, marks=pytest.mark.slow)])
def test_nothing_is_lost_doubled_or_run_twice_at_once(tmp_path: Path, seconds: int, say: Callable[[str], None]) -> None:
    seed = random.SystemRandom().randrange(10**6)
    evidence = run.history(tmp_path, seconds, seed)
    broken = run.broken_rules(evidence)
    say(run.line(evidence, broken, seed))
    assert broken == {}


# ------------------------------------------------------------------------- the checker finds what it should find


def evidence_of(tmp_path: Path, marks: str, *calls: Call, rows: dict[str, str] | None = None) -> Evidence:
    (tmp_path / "marks").write_text(marks)
    history = History(tmp_path / "marks", calls=list(calls))
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("CREATE TABLE job (id INTEGER, name TEXT, status TEXT, reason TEXT)")
        connection.execute("CREATE TABLE begun (name TEXT)")
        for number, (tag, status) in enumerate((rows or {}).items()):
            connection.execute("INSERT INTO job VALUES (?, ?, ?, NULL)", (number, f"command:{tag}", status))
    connection.close()
    evidence = Evidence.of(history, tmp_path / "db")
    assert all(isinstance(row, Row) for row in evidence.rows.values())
    return evidence


def call(verb: str, began: int = 0, ended: int = 1, code: int | None = 0) -> Call:
    return Call(verb, "a", began, ended, code, "", "")


@pytest.mark.parametrize(
    ("rule", "marks", "calls", "status"),
    [
        (no_acknowledged_submission_is_missing, "", [call("enqueue")], "failed"),
        (each_start_is_stored_before_it, "S a 2\n", [call("enqueue")], "running"),
        (no_two_ran_at_once, "S a 2\nO a 3\n", [call("enqueue")], "succeeded"),
        (attempts_are_bounded, "S a 2\nS a 3\n", [call("enqueue")], "succeeded"),
        (nothing_starts_after_an_acknowledged_cancel, "S a 9\n", [call("enqueue"), call("cancel", 2, 3)], "cancelled"),
        (states_agree_with_marks, "S a 2\n", [call("enqueue")], "succeeded"),
        (states_agree_with_marks, "S a 2\n", [call("enqueue")], "running"),
    ],
)
def test_each_rule_sees_its_breach(
    tmp_path: Path, rule: Callable[[Evidence], list[str]], marks: str, calls: list[Call], status: str
) -> None:
    assert len(rule(evidence_of(tmp_path, marks, *calls, rows={"a": status}))) == 1


@pytest.mark.parametrize(("fault", "breaches"), [("stop worker", 1), ("kill both", 0)])
def test_a_program_that_a_fault_ends_before_its_first_mark_was_started(
    tmp_path: Path, fault: str, breaches: int
) -> None:
    """The database has seen that start; without a fault that ends it, it is a breach that the program has not."""
    evidence = evidence_of(tmp_path, "", call("enqueue"), rows={"a": "failed"})
    assert len(no_acknowledged_submission_is_missing(evidence)) == len(a_retry_starts_once_more(evidence)) == 1
    evidence.begun["a"] = 1
    evidence.history.faults[fault] = 1
    assert no_acknowledged_submission_is_missing(evidence) == a_retry_starts_once_more(evidence) == []
    assert len(no_start_leaves_no_mark_without_a_fault(evidence)) == breaches


@pytest.mark.parametrize(("ids", "breaches"), [((1, 2), 0), ((2, 1), 1), ((1, 1), 1)])
def test_an_id_that_is_given_again_after_a_prune_is_seen(tmp_path: Path, ids: tuple[int, int], breaches: int) -> None:
    answers = [json.dumps({"run": f"r{number}", "jobs": [{"id": id_}]}) for number, id_ in enumerate(ids)]
    calls = [Call("enqueue", tag, 2 * n, 2 * n + 1, 0, answers[n], "") for n, tag in enumerate("ab")]
    assert len(ids_grow(evidence_of(tmp_path, "", *calls))) == breaches


def test_an_ordinary_history_breaks_no_rule_about_its_calls(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, "S a 2\nE a 3\n", call("enqueue"), rows={"a": "succeeded"})
    for rule in (no_acknowledged_submission_is_missing, attempts_are_bounded, states_agree_with_marks):
        assert rule(evidence) == []
