"""What must be true of every history of several machines. Each rule returns the sentences that break it.

The rules about calls and marks are those of one machine, see `tests/histories/rules.py`. The others are about what the
database itself has seen, see `audit.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.fleet.audit import Entry
from tests.histories import rules
from tests.histories.rules import Evidence

OPEN = ("queued", "running")


@dataclass(frozen=True)
class FleetEvidence:
    """Everything that the rules look at."""

    one: Evidence  #: what the rules of one machine look at
    entries: list[Entry]  #: every write, in order
    checkpoints: list[tuple[int, int]]  #: the job and the number of each
    rounds: list[tuple[str, int, int]]  #: run, round, and how many reports it has

    def by_job(self) -> dict[int, list[Entry]]:
        """The writes of each job's own row."""
        jobs: dict[int, list[Entry]] = {}
        for entry in self.entries:
            if entry.what == "job":
                jobs.setdefault(entry.job, []).append(entry)
        return jobs


Rule = Callable[[FleetEvidence], list[str]]


def no_late_write_is_accepted(evidence: FleetEvidence) -> list[str]:
    """A checkpoint or an outcome is stored while its attempt runs, and by no attempt that another one has replaced."""
    late = [
        entry
        for entry in evidence.entries
        if entry.written_by is not None and (entry.before != "running" or entry.written_by != entry.attempt)
    ]
    return [f"job {entry.job}: attempt {entry.written_by} wrote ({entry.what}) while {_state(entry)}" for entry in late]


def _state(entry: Entry) -> str:
    return f"attempt {entry.attempt} was {entry.before}"


def each_job_is_claimed_from_the_queue_and_its_attempts_grow(evidence: FleetEvidence) -> list[str]:
    wrong = []
    for job, entries in evidence.by_job().items():
        attempt = 0
        for entry in entries:
            if entry.is_claim and (entry.before != "queued" or entry.attempt != attempt + 1):
                wrong.append(f"job {job} was claimed as attempt {entry.attempt} by {entry.wrote} while {_state(entry)}")
            attempt = entry.attempt
    return wrong


def each_machine_runs_one_job_at_a_time(evidence: FleetEvidence) -> list[str]:
    running: dict[str, int] = {}  # machine -> the job that it runs
    wrong = []
    for entry in evidence.entries:
        if entry.what == "job" and entry.status != "running":
            running = {machine: job for machine, job in running.items() if job != entry.job}
        elif entry.is_claim and entry.machine is not None:
            other = running.get(entry.machine)
            if other is not None:
                wrong.append(f"{entry.wrote} claimed job {entry.job} while it ran job {other}")
            running[entry.machine] = entry.job
    return wrong


def no_stored_job_disappears(evidence: FleetEvidence) -> list[str]:
    """What was stored once is there in the end, and settled."""
    last = {job: entries[-1] for job, entries in evidence.by_job().items()}
    rows = {row.id for row in evidence.one.rows.values()}
    unsettled = [f"job {job} is still {entry.status}" for job, entry in last.items() if entry.status in OPEN]
    named = {int(call_job) for call_job in _acknowledged(evidence)}
    return unsettled + [f"job {job} was acknowledged and is not there" for job in sorted(named - rows)]


def _acknowledged(evidence: FleetEvidence) -> list[int]:
    import json

    calls = [call for call in evidence.one.history.calls if call.verb == "enqueue" and call.is_acknowledged]
    return [job["id"] for call in calls for job in json.loads(call.out)["jobs"]]


def nothing_begins_after_an_acknowledged_cancel(evidence: FleetEvidence) -> list[str]:
    """Its work began, as the database has it, before it was cancelled; or it was asked for again since.

    The start of a program and the answer to a client are on two machines: which of them came first by the clock
    depends on how long each answer of the server was on its way.
    """
    began = {entry.token: number for number, entry in enumerate(evidence.entries) if _begins(entry)}
    late = []
    for tag, calls in evidence.one.calls.items():
        row = evidence.one.rows.get(tag)
        cancelled = _last_cancel(evidence, row.id) if row is not None else -1
        for cancel in calls:
            if cancel.verb == "cancel" and cancel.is_acknowledged:
                starts = _starts_after(evidence.one, tag, cancel.began, cancel.ended)
                late += [f"{tag} at {at}" for at, token in starts if began.get(token, cancelled) >= cancelled]
    return late


def _begins(entry: Entry) -> bool:
    return entry.what == "job" and entry.work_began and not entry.cancelled and entry.status == "running"


def _last_cancel(evidence: FleetEvidence, job: int) -> int:
    numbers = [number for number, entry in enumerate(evidence.entries) if entry.job == job and entry.cancelled]
    return max(numbers, default=-1)


def _starts_after(one: Evidence, tag: str, began: int, ended: int) -> list[tuple[int, str]]:
    again = [call.began for call in one.of_verb(tag, "retry") if call.ended > began]
    return [
        (mark.at, mark.token)
        for mark in one.starts(tag)
        if mark.at > ended and not any(moment < mark.at for moment in again)
    ]


def every_checkpoint_is_there_once(evidence: FleetEvidence) -> list[str]:
    numbers = Counter(evidence.checkpoints)
    return [f"checkpoint {number} of job {job} is there {n} times" for (job, number), n in numbers.items() if n > 1]


def every_round_has_one_report(evidence: FleetEvidence) -> list[str]:
    return [f"round {round_} of {run} has {n} reports" for run, round_, n in evidence.rounds if n != 1]


def _of_one(rule: Callable[[Evidence], list[str]]) -> Rule:
    return lambda evidence: rule(evidence.one)


#: Those that hold for several machines as they are.
OF_ONE = (
    rules.no_acknowledged_submission_is_missing,
    rules.nothing_was_started_that_was_not_submitted,
    rules.no_two_ran_at_once,
    rules.attempts_are_bounded,
    rules.a_retry_starts_once_more,
    rules.no_start_leaves_no_mark_without_a_fault,
    rules.each_start_is_stored_before_it,
    rules.states_agree_with_marks,
    rules.ids_are_unique,
    rules.ids_grow,
    rules.nothing_is_left_behind,
    rules.the_daemon_stays_small,
    rules.every_answer_is_one_line,
)
OF_SEVERAL: tuple[Rule, ...] = (
    no_late_write_is_accepted,
    each_job_is_claimed_from_the_queue_and_its_attempts_grow,
    each_machine_runs_one_job_at_a_time,
    no_stored_job_disappears,
    nothing_begins_after_an_acknowledged_cancel,
    every_checkpoint_is_there_once,
    every_round_has_one_report,
)
RULES: dict[str, Rule] = {rule.__name__: _of_one(rule) for rule in OF_ONE}
RULES |= {rule.__name__: rule for rule in OF_SEVERAL}


def broken(evidence: FleetEvidence) -> dict[str, list[str]]:
    checked = {name: rule(evidence) for name, rule in RULES.items()}
    return {name: breaches for name, breaches in checked.items() if breaches}
