"""Several machines on one queue: whatever fails between them, nothing is lost, doubled or written too late."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import postgres
from tests.fleet import audit, rules, run
from tests.fleet.audit import Entry
from tests.fleet.rules import FleetEvidence
from tests.histories.record import Call, History
from tests.histories.rules import Evidence, Row


@pytest.mark.parametrize(
    ("seconds", "jobs", "hurry", "batch"), [(12, 0, 100, 3), pytest.param(120, 2000, 40, 20, marks=pytest.mark.slow)]
)
def test_several_machines_lose_nothing_double_nothing_and_accept_no_late_write(
    tmp_path: Path, seconds: float, jobs: int, hurry: float, batch: int, say: Callable[[str], None]
) -> None:
    postgres.skip_without_server()
    seed = random.SystemRandom().randrange(10**6)
    evidence = run.history(tmp_path, seed, seconds=seconds, jobs=jobs, hurry=hurry, batch=batch)
    broken = rules.broken(evidence)
    say(run.line(evidence, broken, seed))
    assert broken == {}
    assert len(evidence.by_job()) >= jobs


# ------------------------------------------------------------------------- the checker finds what it should find

CLAIM = Entry("job", "mac1", 1, "queued", "running", 1, machine="m1", token="x")
BEGINS = replace(CLAIM, before="running", work_began=True)
SETTLED = Entry("job", "mac1", 1, "running", "succeeded", 1, machine="m1", token="x")
ORDINARY = [
    Entry("job", "mac1", 1, None, "queued", 0),
    CLAIM,
    BEGINS,
    replace(BEGINS, what="piece", written_by=1),
    replace(BEGINS, written_by=1),
    SETTLED,
]


def call(verb: str, began: int, ended: int, **answer: Any) -> Call:
    return Call(verb, "a", began, ended, 0, json.dumps(answer), "")


ENQUEUED = call("enqueue", 0, 1, run="r", jobs=[{"id": 1}])


def evidence_of(
    tmp_path: Path,
    entries: list[Entry],
    marks: str = "S a 5 x\nE a 6 x\n",
    calls: tuple[Call, ...] = (ENQUEUED,),
    **others: Any,
) -> FleetEvidence:
    (tmp_path / "marks").write_text(marks)
    rows = others.pop("rows", [Row(1, "command:a", "succeeded", None)])
    begun = audit.begun(entries, {row.id: row.name for row in rows})
    one = Evidence.over(History(tmp_path / "marks", calls=list(calls)), rows, tmp_path, begun)
    return FleetEvidence(one, entries, **{"checkpoints": [(1, 0)], "rounds": [("r", 1, 1)], **others})


def test_an_ordinary_history_breaks_no_rule(tmp_path: Path) -> None:
    assert rules.broken(evidence_of(tmp_path, ORDINARY)) == {}


PUT_BACK = replace(SETTLED, wrote="mac2", status="queued")
AGAIN = replace(CLAIM, wrote="mac2", attempt=2, machine="m2", token="y")
LATE = replace(BEGINS, what="piece", attempt=2, machine="m2", token="y", written_by=1)
OTHER = replace(CLAIM, job=2)


@pytest.mark.parametrize(
    ("rule", "entries"),
    [
        pytest.param("no_late_write_is_accepted", [CLAIM, PUT_BACK, AGAIN, LATE], id="after another attempt began"),
        pytest.param(
            "no_late_write_is_accepted",
            [CLAIM, PUT_BACK, replace(LATE, attempt=1, before="queued", status="queued")],
            id="after it was put back",
        ),
        pytest.param(
            "no_late_write_is_accepted",
            [CLAIM, PUT_BACK, AGAIN, replace(AGAIN, before="running", written_by=1)],
            id="an outcome of the attempt before",
        ),
        pytest.param(
            "each_job_is_claimed_from_the_queue_and_its_attempts_grow",
            [CLAIM, replace(CLAIM, before="succeeded", attempt=2)],
            id="claimed though it had ended",
        ),
        pytest.param(
            "each_job_is_claimed_from_the_queue_and_its_attempts_grow",
            [CLAIM, PUT_BACK, replace(AGAIN, attempt=1)],
            id="claimed twice under one number",
        ),
        pytest.param("each_machine_runs_one_job_at_a_time", [CLAIM, OTHER], id="two jobs on one machine"),
    ],
)
def test_each_rule_about_the_database_sees_its_breach(tmp_path: Path, rule: str, entries: list[Entry]) -> None:
    assert len(rules.RULES[rule](evidence_of(tmp_path, entries))) == 1


CANCELLED = replace(BEGINS, cancelled=True)
CANCEL = call("cancel", 2, 3)
NEVER_BEGAN = replace(CLAIM, cancelled=True)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("no_stored_job_disappears", {"entries": ORDINARY[:-1]}),
        ("no_stored_job_disappears", {"rows": []}),
        ("no_acknowledged_submission_is_missing", {"marks": "", "entries": [CLAIM, SETTLED]}),
        ("no_two_ran_at_once", {"marks": "S a 5 x\nO a 6 y\nE a 7 x\n"}),
        ("attempts_are_bounded", {"marks": "S a 5 x\nS a 6 y\nE a 7 y\n"}),
        ("a_retry_starts_once_more", {"calls": (ENQUEUED, call("retry", 7, 8))}),
        ("states_agree_with_marks", {"marks": "S a 5 x\n"}),
        ("ids_are_unique", {"calls": (ENQUEUED, replace(ENQUEUED, tag="b", began=2, ended=3))}),
        ("ids_grow", {"calls": (ENQUEUED, replace(ENQUEUED, tag="b", began=2, ended=3))}),
        ("nothing_was_started_that_was_not_submitted", {"marks": "S a 5 x\nE a 6 x\nS b 7 y\n"}),
        ("nothing_begins_after_an_acknowledged_cancel", {"calls": (ENQUEUED, CANCEL), "entries": [CLAIM, NEVER_BEGAN]}),
        ("every_checkpoint_is_there_once", {"checkpoints": [(1, 0), (1, 0)]}),
        ("every_round_has_one_report", {"rounds": [("r", 1, 2)]}),
        ("every_round_has_one_report", {"rounds": [("r", 1, 0)]}),
        ("no_start_leaves_no_mark_without_a_fault", {"marks": ""}),
        ("each_start_is_stored_before_it", {"marks": "S a 5 x\nS a 6 y\nE a 7 y\n"}),
    ],
)
def test_each_rule_sees_its_breach(tmp_path: Path, rule: str, change: dict[str, Any]) -> None:
    evidence = evidence_of(tmp_path, **{"entries": ORDINARY, **change})
    assert rules.RULES[rule](evidence) != []


def test_a_program_whose_work_had_begun_before_the_cancel_breaks_no_rule(tmp_path: Path) -> None:
    entries = [CLAIM, BEGINS, CANCELLED]
    evidence = evidence_of(tmp_path, entries, calls=(ENQUEUED, CANCEL))
    assert rules.nothing_begins_after_an_acknowledged_cancel(evidence) == []


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("nothing_is_left_behind", {"leftovers": ["17 sleeping jarvisd"]}),
        ("the_daemon_stays_small", {"most_mb": 90.0}),
    ],
)
def test_each_rule_about_processes_sees_its_breach(tmp_path: Path, rule: str, change: dict[str, Any]) -> None:
    evidence = evidence_of(tmp_path, ORDINARY)
    for name, value in change.items():
        setattr(evidence.one.history, name, value)
    assert len(rules.RULES[rule](evidence)) == 1


def test_a_traceback_in_an_answer_is_seen(tmp_path: Path) -> None:
    answer = replace(call("status", 2, 3), code=1, error="Traceback (most recent call last)")
    assert len(rules.RULES["every_answer_is_one_line"](evidence_of(tmp_path, ORDINARY, calls=(ENQUEUED, answer)))) == 1


def test_every_rule_was_seen_to_fail_here() -> None:
    source = Path(__file__).read_text()
    assert [name for name in rules.RULES if f'"{name}"' not in source] == []
