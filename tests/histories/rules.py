"""What must be true of every history. Each rule returns the sentences that break it; an empty list is a pass."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.histories import trigger
from tests.histories.record import Call, History, Mark

#: Faults that may end a program before its first line: they end its worker or daemon, or part them from the database.
ENDS = {
    *("kill worker", "kill both", "kill daemon", "terminate daemon"),
    *("sleep past lost", "unplug", "drop connections", "hold up", "restart server", "kill server"),
}


@dataclass(frozen=True)
class Row:
    """One job as the database has it at the end."""

    id: int
    name: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Evidence:
    """Everything that the rules look at."""

    history: History
    calls: dict[str, list[Call]]  #: tag -> the calls about its job, in order
    marks: dict[str, list[Mark]]  #: tag -> its marks, in order
    rows: dict[str, Row]  #: tag -> its job; pruned ones are missing
    database: Path
    begun: Counter[str]  #: tag -> the starts of its program that the database has seen, before the program itself ran

    @classmethod
    def of(cls, history: History, database: Path) -> Evidence:
        with closing(sqlite3.connect(database)) as connection:
            rows = [Row(*row) for row in connection.execute("SELECT id, name, status, reason FROM job")]
            return cls.over(history, rows, database, trigger.read(connection))

    @classmethod
    def over(cls, history: History, rows: list[Row], database: Path, begun: Counter[str]) -> Evidence:
        calls: dict[str, list[Call]] = defaultdict(list)
        marks: dict[str, list[Mark]] = defaultdict(list)
        for call in sorted(history.calls, key=lambda call: call.began):
            if call.tag:
                calls[call.tag].append(call)
        for mark in history.marks():
            marks[mark.tag].append(mark)
        return cls(history, calls, marks, {row.name.rpartition(":")[2]: row for row in rows}, database, begun)

    def submission(self, tag: str) -> Call:
        return next(call for call in self.calls[tag] if call.verb == "enqueue")

    def starts(self, tag: str) -> list[Mark]:
        return [mark for mark in self.marks[tag] if mark.event == "S"]

    def of_verb(self, tag: str, verb: str) -> list[Call]:
        return [call for call in self.calls[tag] if call.verb == verb and call.may_have_happened]

    def started(self, tag: str) -> int:
        """The starts of its program, with those that were killed before its first mark."""
        return max(len(self.starts(tag)), self.begun[tag])

    def is_cancelled(self, tag: str) -> bool:
        return any(call.verb == "cancel" for call in self.calls[tag])

    @property
    def was_pruned(self) -> bool:
        return any(call.verb == "prune" and call.may_have_happened for call in self.history.calls)


def no_acknowledged_submission_is_missing(evidence: Evidence) -> list[str]:
    """A submitted job has a row, unless it was pruned, and its program was started, unless it was cancelled."""
    lost = []
    for tag in evidence.calls:
        if not evidence.submission(tag).is_acknowledged:
            continue
        if tag not in evidence.rows and not evidence.was_pruned:
            lost.append(f"{tag} has no row")
        if not evidence.started(tag) and not evidence.is_cancelled(tag):
            lost.append(f"{tag} was never started: {evidence.rows.get(tag)}")
    return lost


def nothing_was_started_that_was_not_submitted(evidence: Evidence) -> list[str]:
    return [tag for tag in evidence.marks if not any(call.verb == "enqueue" for call in evidence.calls.get(tag, []))]


def no_two_ran_at_once(evidence: Evidence) -> list[str]:
    return [f"{mark.tag} at {mark.at}" for marks in evidence.marks.values() for mark in marks if mark.event == "O"]


def nothing_starts_after_an_acknowledged_cancel(evidence: Evidence) -> list[str]:
    """Unless it was asked for again since."""
    late = []
    for tag in evidence.calls:
        for cancel in evidence.of_verb(tag, "cancel"):
            if not cancel.is_acknowledged:
                continue
            again = [call.began for call in evidence.of_verb(tag, "retry") if call.ended > cancel.began]
            late += [
                f"{tag} at {mark.at}"
                for mark in evidence.starts(tag)
                if mark.at > cancel.ended and not any(began < mark.at for began in again)
            ]
    return late


def attempts_are_bounded(evidence: Evidence) -> list[str]:
    """`--attempts N` is the most starts of the program per submission or retry."""
    doubled = []
    for tag in evidence.calls:
        lives = 1 + len(evidence.of_verb(tag, "retry"))
        most = evidence.submission(tag).attempts * lives
        if evidence.started(tag) > most:
            doubled.append(f"{tag} was started {evidence.started(tag)} times, {most} at most were asked for")
    return doubled


def a_retry_starts_once_more(evidence: Evidence) -> list[str]:
    """Where it was not cancelled: at least one start for the submission and one for each acknowledged retry."""
    missing = []
    for tag, calls in evidence.calls.items():
        if not evidence.submission(tag).is_acknowledged or evidence.is_cancelled(tag):
            continue
        least = 1 + sum(call.is_acknowledged for call in calls if call.verb == "retry")
        if evidence.started(tag) < least:
            missing.append(f"{tag} was started {evidence.started(tag)} times, {least} were asked for")
    return missing


def no_start_leaves_no_mark_without_a_fault(evidence: Evidence) -> list[str]:
    """Only what a fault or a cancel ends before its first line: there were at least as many faults of that kind."""
    unseen = [
        f"{tag} was begun {evidence.begun[tag]} times, with {len(evidence.starts(tag))} marks"
        for tag in evidence.calls
        if not evidence.is_cancelled(tag) and evidence.begun[tag] > len(evidence.starts(tag))
    ]
    return unseen[sum(times for fault, times in evidence.history.faults.items() if fault in ENDS) :]


def each_start_is_stored_before_it(evidence: Evidence) -> list[str]:
    """What the database does not know of could be started once more after a crash."""
    starts = {tag: len(evidence.starts(tag)) for tag in evidence.marks}
    return [
        f"{tag} was started {times} times, the database knows {evidence.begun[tag]}"
        for tag, times in starts.items()
        if times > evidence.begun[tag]
    ]


def states_agree_with_marks(evidence: Evidence) -> list[str]:
    """What succeeded has run to its end, with exit status 0; every job is settled."""
    wrong = []
    for tag, row in evidence.rows.items():
        if row.status in ("queued", "running"):
            wrong.append(f"{tag} is still {row.status}")
        if tag not in evidence.calls or not any(call.verb == "enqueue" for call in evidence.calls[tag]):
            continue
        ended = any(mark.event == "E" for mark in evidence.marks[tag])
        if row.status == "succeeded" and (not ended or evidence.submission(tag).exit_status != 0):
            wrong.append(f"{tag} succeeded, and its program did not")
    return wrong


def ids_are_unique(evidence: Evidence) -> list[str]:
    """No id of a run or of a job was ever given twice, whatever was pruned in between."""
    runs, jobs = Counter[str](), Counter[int]()
    for call in evidence.history.calls:
        if call.verb in ("enqueue", "rounds") and call.is_acknowledged:
            answer = json.loads(call.out)
            runs[answer["run"]] += 1
            jobs.update(job["id"] for job in answer["jobs"])
    return [f"{name} was given {times} times" for name, times in [*runs.items(), *jobs.items()] if times > 1]


def ids_grow(evidence: Evidence) -> list[str]:
    """A job that was submitted after another submission was acknowledged has a higher id, whatever was pruned."""
    calls = [call for call in evidence.history.calls if call.verb in ("enqueue", "rounds") and call.is_acknowledged]
    given = [(call, [job["id"] for job in json.loads(call.out)["jobs"]]) for call in calls]
    return [
        f"job {min(later)} was given after job {max(earlier)}"
        for before, earlier in given
        for after, later in given
        if before.ended < after.began and max(earlier) >= min(later)
    ]


def the_database_is_whole(evidence: Evidence) -> list[str]:
    with closing(sqlite3.connect(evidence.database)) as connection:
        rows = [str(row) for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
        return rows + [str(row) for row in connection.execute("PRAGMA foreign_key_check")]


def each_round_has_each_checkpoint_and_one_report(evidence: Evidence) -> list[str]:
    with closing(sqlite3.connect(evidence.database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "piece" not in tables:
            return []
        twice = connection.execute(
            "SELECT job, number, count(*) FROM piece WHERE job IN (SELECT id FROM job) GROUP BY job, number "
            "HAVING count(*) > 1"
        ).fetchall()
        reports = connection.execute(
            "SELECT run_id, round, sum(kind = 'report') FROM job WHERE run_id IN "
            "(SELECT run_id FROM job WHERE kind = 'pieces') GROUP BY run_id, round"
        ).fetchall()
    wrong = [f"checkpoint {number} of job {job} is there {times} times" for job, number, times in twice]
    return wrong + [f"round {round_} of {run} has {n} reports" for run, round_, n in reports if n != 1]


def nothing_is_left_behind(evidence: Evidence) -> list[str]:
    return evidence.history.leftovers


def the_daemon_stays_small(evidence: Evidence) -> list[str]:
    history = evidence.history
    large = [f"the daemon used {history.most_mb:.0f} MB"] if history.most_mb > 60 else []
    return large + ([f"the daemon had {history.most_files} open files"] if history.most_files > 40 else [])


def every_answer_is_one_line(evidence: Evidence) -> list[str]:
    """A call that did not go well says why in a line, and none shows a traceback."""
    bad = []
    for call in evidence.history.calls:
        silent = call.code and not call.error.strip() and call.verb != "wait"  # the exit code of `wait` is its answer
        if silent or "Traceback" in call.error or "bug in jarvisd" in call.error:
            bad.append(f"{call.verb}: {call.code} {call.error.strip()[-200:]!r}")
    return bad


RULES: tuple[Callable[[Evidence], list[str]], ...] = (
    no_acknowledged_submission_is_missing,
    nothing_was_started_that_was_not_submitted,
    no_two_ran_at_once,
    nothing_starts_after_an_acknowledged_cancel,
    attempts_are_bounded,
    a_retry_starts_once_more,
    no_start_leaves_no_mark_without_a_fault,
    each_start_is_stored_before_it,
    states_agree_with_marks,
    ids_are_unique,
    ids_grow,
    the_database_is_whole,
    each_round_has_each_checkpoint_and_one_report,
    nothing_is_left_behind,
    the_daemon_stays_small,
    every_answer_is_one_line,
)
