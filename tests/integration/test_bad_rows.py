"""A proposal or a row that cannot be stored, settled or read ends with a reason and keeps no other job back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import peewee
import pytest

from jarvisd.daemon import outcome as outcomes
from jarvisd.daemon import recovery
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.registry import JobSpec, Outcome
from jarvisd.store import database, queries
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker import main as worker
from jarvisd.worker import proposal
from tests import claiming
from tests.claiming import claimed, due, finish

MakeRun = Callable[..., Run]


def spec(**fields: Any) -> JobSpec:
    return JobSpec(**{"name": "evaluate:a", **fields})


# ----------------------------------------------------------------------------------------- checked before the commit


@pytest.mark.parametrize(
    ("proposed", "word"),
    [
        ([("evaluate", spec()), ("evaluate", spec())], "two of its jobs are called evaluate:a"),
        ([("evaluate", spec(name=None))], "name"),
        ([("evaluate", spec(name=""))], "name"),
        ([("evaluate", spec(name="report"))], "name"),
        ([("evaluate", spec(name="\ud800"))], "name"),
        ([("report", spec())], "kind"),
        ([(None, spec())], "kind"),
        ([("evaluate", spec(memory_mb=10**30))], "memory_mb"),
        ([("evaluate", spec(memory_mb=-1))], "memory_mb"),
        ([("evaluate", spec(memory_mb=True))], "memory_mb"),
        ([("evaluate", spec(timeout_s="60"))], "timeout_s"),
        ([("evaluate", spec(timeout_s=0))], "timeout_s"),
        ([("evaluate", spec(attempts=0))], "max_attempts"),
        ([("evaluate", spec(attempts=10**20))], "max_attempts"),
        ([("evaluate", spec(params={"x": object()}))], "params"),
        ([("evaluate", spec(params={1: 2}))], "params"),
        ([("evaluate", spec(params=[]))], "params"),
        ([("evaluate", spec(params={"x": "\ud800"}))], "params"),
        ([("evaluate", spec(env={"A": 1}))], "env"),
        ([("evaluate", spec(env={"A=B": "1"}))], "env"),
        ([("evaluate", spec(env={"A": "\0"}))], "env"),
        ([("evaluate", spec(env=None))], "env"),
        ([("evaluate", "evaluate:a")], "pairs"),
        ([spec()], "pairs"),
        (7, "pairs"),
    ],
)
def test_a_faulty_proposal_is_refused_in_words(proposed: Any, word: str) -> None:
    with pytest.raises(proposal.FaultyProposal, match=word):
        proposal.columns_of(proposed)


def test_a_sound_proposal_is_passed_on_with_every_column() -> None:
    sound = spec(params={"n": [1.5, None, "é"]}, memory_mb=7, timeout_s=9, attempts=2, env={"A": "1"})
    assert proposal.columns_of([("evaluate", sound)]) == [{"kind": "evaluate", **sound.columns()}]


def test_a_job_with_a_faulty_proposal_succeeds_without_a_next_round_and_says_why(home: Home, make_run: MakeRun) -> None:
    run = make_run("report")
    context = claiming.claim(home)
    worker._commit(context, Outcome(reason="3 of 4 models", next_round=(("evaluate", spec(name=None)),)))
    job = Job.get_by_id(context.job_id)
    assert outcomes.settle_as_committed(home, job)
    assert (job.status, len(queries.jobs_of(run))) == (Status.SUCCEEDED, 1)
    assert job.reason is not None
    assert job.reason.startswith("3 of 4 models; no next round: the proposal is faulty: name of its job None")


# ------------------------------------------------------------------------------------------ what comes through anyway

DUPLICATE = [{"kind": "evaluate", "name": "a", "params": {}}, {"kind": "evaluate", "name": "a", "params": {}}]
UNSTORABLE = {
    "two of one name": DUPLICATE,
    "no name": [{"kind": "evaluate", "name": None, "params": {}}],
    "too large a number": [{"kind": "evaluate", "name": "a", "params": {}, "memory_mb": 10**30}],
    "not a mapping": [7],
}


def proposing(job: Job, proposed: list[Any], *, ok: bool = True) -> Job:
    """The running job, whose child has committed this proposal, unchecked, as an earlier version could."""
    outcome = {"attempt": job.attempt, "ok": ok, "reason": "", "peak_memory_mb": 1, "next_round": proposed}
    Job.update(outcome=outcome).where(Job.id == job.id).execute()
    return Job.get_by_id(job.id)


@pytest.mark.parametrize("proposed", UNSTORABLE.values(), ids=UNSTORABLE)
def test_a_job_whose_next_round_cannot_be_stored_is_settled_without_one(
    home: Home, make_run: MakeRun, proposed: list[Any]
) -> None:
    run = make_run("mine", "report")
    job = proposing(claimed(), proposed)
    outcomes.end_job(home, job, Status.SUCCEEDED, None)
    stored = Job.get_by_id(job.id)
    assert (stored.status, stored.reason.partition(":")[0]) == (Status.SUCCEEDED, "no next round")
    assert "no next round" in (home.run_folder(run.id) / "experiment.log").read_text()
    assert len(queries.jobs_of(run)) == 2
    assert claimed().name == "report"


def test_a_daemon_starts_and_goes_on_whatever_a_job_had_committed_before_it_died(home: Home, make_run: MakeRun) -> None:
    make_run("mine", "evaluate:after")
    job = proposing(claimed(), DUPLICATE)
    recovery.recover(home)
    assert Job.get_by_id(job.id).status == Status.SUCCEEDED
    assert claimed().name == "evaluate:after"


# ------------------------------------------------------------------------------------------- rows that cannot be read


def test_a_running_row_that_cannot_be_read_fails_at_the_next_start_and_the_others_are_recovered(
    home: Home, make_run: MakeRun
) -> None:
    make_run("mine", "evaluate:a", "evaluate:b")
    bad, good = claimed(), Job.get(name="evaluate:a")
    Job.update(status=Status.RUNNING, machine="here", boot_id="another", attempt=1).where(Job.id == good.id).execute()
    Job.update(outcome=peewee.SQL("'{'")).where(Job.id == bad.id).execute()
    recovery.recover(home)
    status, reason = Job.select(Job.status, Job.reason).where(Job.id == bad.id).tuples().get()
    assert (status, "could not recover it (JSONDecodeError)" in reason) == (Status.FAILED, True)
    assert Job.get_by_id(good.id).status == Status.QUEUED
    assert claimed().name == "evaluate:a"


def test_a_queued_row_that_cannot_be_read_fails_and_the_next_job_is_due(home: Home, make_run: MakeRun) -> None:
    make_run("mine", "evaluate:a")
    database.db.execute_sql("UPDATE job SET params = '{' WHERE name = 'mine'")
    next_job = Supervisor(home, "here", Settings(), threading.Event())._next_due(database.now())
    assert next_job is not None
    assert next_job.name == "evaluate:a"
    assert Job.select(Job.reason).where(Job.name == "mine").scalar() == "its row in the database cannot be read"
    finish(claimed())
    assert due() is None


def test_a_row_that_can_never_be_settled_is_ended_without_reading_it(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that cannot pass must not be tried again for ever, while everything behind it waits."""
    make_run("mine", "evaluate:a")
    job = claimed()

    def unsettled(*_words: Any, **_fields: Any) -> None:
        raise LookupError

    monkeypatch.setattr(outcomes, "end_job", unsettled)
    Supervisor(home, "here", Settings(), threading.Event())._rescue(job, "KeyError")
    assert (Job.get_by_id(job.id).status, claimed().name) == (Status.FAILED, "evaluate:a")
