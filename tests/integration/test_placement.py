"""Where several machines share a database: which of them may run a job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jarvisd.errors import UsageError
from jarvisd.host import machine
from jarvisd.operations import submit, this_machine
from jarvisd.paths import Home
from jarvisd.registry import JobSpec, RunsOn
from jarvisd.store import database, machines, migrations, queries, queue
from jarvisd.store.models import Job, Run, Status
from tests import postgres
from tests.claiming import finish
from tests.fleets import SubmitSpecs, claimed_by, fall_silent, join, won_by

MODEL = "org/qwen3-4b@4dcb3d1"


@pytest.fixture(autouse=True)
def _shared(shared: None) -> None:
    """All of this is about several machines."""


def test_a_job_of_the_submitting_machine_is_due_only_there(submit_specs: SubmitSpecs) -> None:
    join("here"), join("there")
    submit_specs(JobSpec(name="mine", reads_messages=True), JobSpec(name="command:a", attempts=1))
    assert claimed_by("there") is None
    job = won_by("here")
    assert job.name == "mine"


def test_a_machine_that_has_the_model_and_the_memory_takes_the_job(submit_specs: SubmitSpecs) -> None:
    join("here"), join("small", models=(MODEL,), memory_mb=4096), join("large", models=(MODEL,), memory_mb=16384)
    submit_specs(JobSpec(name="evaluate:a", runs_on=RunsOn.ANY, models=(MODEL,), memory_mb=5000))
    assert claimed_by("here") is None
    assert claimed_by("small") is None
    assert claimed_by("large") is not None


def test_another_revision_of_a_model_is_another_model(submit_specs: SubmitSpecs) -> None:
    join("here", models=("org/qwen3-4b@main",))
    submit_specs(JobSpec(name="evaluate:a", runs_on=RunsOn.ANY, models=(MODEL,)))
    assert claimed_by("here") is None


def test_a_job_that_began_on_a_machine_stays_there_when_it_starts_again(submit_specs: SubmitSpecs) -> None:
    join("here", models=(MODEL,)), join("there", models=(MODEL,))
    submit_specs(JobSpec(name="evaluate:a", runs_on=RunsOn.ANY, models=(MODEL,)))
    job = won_by("there")
    queue.requeue(job, "starts again")
    assert claimed_by("here") is None
    assert claimed_by("there") is not None


def test_a_later_round_asks_a_model_where_the_first_did(submit_specs: SubmitSpecs) -> None:
    join("here", models=(MODEL,)), join("there", models=(MODEL,))
    spec = JobSpec(name="evaluate:a", runs_on=RunsOn.ANY, models=(MODEL,))
    run = submit_specs(spec, JobSpec(name="report", runs_on=RunsOn.SUBMITTER_OR_OTHER))
    job = won_by("there")
    finish(job)
    report = won_by("here")
    proposed = [{"kind": "evaluate", **spec.columns()}]
    report.outcome = {"attempt": 1, "ok": True, "reason": "", "summary": {}, "next_round": proposed}
    finish(report)
    rows = [(row.name, row.pinned_to, row.may_move) for row in queries.jobs_of(run) if row.round == 2]
    assert rows == [("evaluate:a", "there", False), ("report", "here", True)]
    assert claimed_by("here") is None


def test_a_report_is_written_elsewhere_only_while_its_machine_is_lost(submit_specs: SubmitSpecs) -> None:
    join("here"), join("there")
    submit_specs(JobSpec(name="report", runs_on=RunsOn.SUBMITTER_OR_OTHER))
    fall_silent("here", 9)
    assert claimed_by("there") is None
    fall_silent("here", 11)
    assert claimed_by("there") is not None


def test_a_job_without_a_machine_that_could_run_it_is_named_with_what_no_machine_has(home: Home) -> None:
    join("there", memory_mb=4096)
    submitted = submit.submit_command(home, ["true"], on="any", memory_mb=9000)
    assert submitted.warnings == ["command:true: no machine has 9,000 MB of memory"]
    assert submit.submit_command(home, ["true"], on="any", memory_mb=3000).warnings == []


def test_a_command_runs_where_it_was_submitted_or_on_the_machine_that_is_named(home: Home) -> None:
    here = this_machine.identity(home)
    join(here), join("MacBook")
    for on in (None, "MacBook", "any"):
        submit.submit_command(home, ["true"], on=on)
    assert [(job.pinned_to, job.may_move) for job in Job.select().order_by(Job.id)] == [
        (here, False),
        ("MacBook", False),
        (None, False),
    ]


def test_an_unknown_machine_is_refused_with_the_known_names(home: Home) -> None:
    join("MacBook"), join("mini")
    with pytest.raises(UsageError, match=r"no machine is called 'Mac'. Known are MacBook, mini, any\."):
        submit.submit_command(home, ["true"], on="Mac")
    assert not Run.select().exists()


def test_what_is_missing_here_is_no_warning_about_a_program_that_runs_elsewhere(home: Home) -> None:
    join("MacBook")
    assert submit.submit_command(home, ["no-such-program"], on="MacBook").warnings == []
    assert submit.submit_command(home, ["no-such-program"]).warnings != []


def test_a_queue_of_one_machine_refuses_a_machine_and_stores_no_place(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "is_shared", lambda: False)
    with pytest.raises(UsageError, match="--on: this queue has one machine"):
        submit.submit_command(home, ["true"], on="any")
    submit.submit_command(home, ["true"])
    job = Job.get()
    assert (job.pinned_to, job.needs, job.may_move, job.run.machine) == (None, None, False, None)
    assert claimed_by("anywhere") is not None
    assert Job.get().pinned_to is None


def test_two_machines_of_one_name_are_told_apart(home: Home) -> None:
    assert machines.register("1", "mac", "1.0", {}) == "mac"
    assert machines.register("2", "mac", "1.0", {}) == "mac-2"
    assert machines.register("1", "mac", "1.0", {}) == "mac"


def test_settled_jobs_say_where_they_ran(submit_specs: SubmitSpecs) -> None:
    join("here")
    submit_specs(JobSpec(name="mine"))
    job = won_by("here")
    finish(job)
    assert (Job.get().status, Job.get().machine) == (Status.SUCCEEDED, "here")


PLAN = """
once: nightly
messages: {messages}
{mine}
evaluate: {{models: [org/a@1234567, org/b@1234567], rounds: 1, spread: {spread}}}
report: {{}}
"""


def write_plan(home: Home, *, mine: bool, spread: bool) -> None:
    (home.root / "config" / "plans").mkdir(parents=True, exist_ok=True)
    text = PLAN.format(messages=home.root / "chat.db", mine="mine: {}" * mine, spread=str(spread).lower())
    (home.root / "config" / "plans" / "nightly.yaml").write_text(text)


@pytest.mark.parametrize(("mine", "nightly_runs"), [(True, 2), (False, 1)])
def test_once_nightly_is_once_per_machine_for_a_plan_that_reads_messages(
    home: Home, mine: bool, nightly_runs: int
) -> None:
    write_plan(home, mine=mine, spread=False)
    for machine_id in ("a" * 32, "b" * 32, "a" * 32):
        (home.var / "machine-id").write_text(machine_id)
        submit.submit_plan(home, "nightly")
    assert Run.select().count() == nightly_runs


@pytest.mark.parametrize("spread", [True, False])
def test_only_a_plan_that_says_so_lets_models_go_to_different_machines(home: Home, spread: bool) -> None:
    here = this_machine.identity(home)
    join(here), join("there", models=("org/b@1234567",))
    write_plan(home, mine=False, spread=spread)
    warnings = submit.submit_plan(home, "nightly").warnings
    pins = {job.name: job.pinned_to for job in Job.select()}
    assert pins["report"] == here
    assert {pins["evaluate:a"], pins["evaluate:b"]} == {None if spread else here}
    assert (("evaluate:a: no machine has org/a@1234567" in warnings), len(warnings)) == (spread, 1)


def test_a_program_that_submits_to_a_server_opens_it_first_and_places_the_job(
    tmp_path: Path, server_database: str
) -> None:
    home = Home(tmp_path / "home", "--home")
    postgres.name_server(home, server_database)
    words = [sys.executable, "-m", "jarvisd.cli", "--home", str(home.root), "enqueue", "command"]
    subprocess.run([*words, "--", "true"], check=True, capture_output=True)
    wrong = subprocess.run([*words, "--on", "Mac", "--", "true"], check=False, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr) == (2, "jarvisctl: no machine is called 'Mac'. Known are any.\n")
    migrations.migrate(home)
    job = Job.get()
    assert job.pinned_to == job.run.machine == machine.known_identity(home)
