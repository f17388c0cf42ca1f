"""The machines of a shared database: their heartbeats, their states, and a queue of messages for each."""

from __future__ import annotations

import datetime as dt
import sys
import time

import pytest

from jarvisd.daemon import heartbeat
from jarvisd.daemon.heartbeat import Heartbeat
from jarvisd.operations import control, machine_facts, messages_probe, status, status_page, this_machine
from jarvisd.operations.doctor import fleet
from jarvisd.operations.machines import members
from jarvisd.paths import Home
from jarvisd.registry import JobSpec, RunsOn
from jarvisd.store import database, machines, queue, wakeup
from jarvisd.store.models import Job, Machine
from tests.fleets import SubmitSpecs, fall_silent, join, won_by


def states() -> dict[str, str]:
    return {member.name: str(member.state) for member in members(database.now())}


def messages_of(*names: str) -> dict[str, int]:
    return {name: wakeup.messages(name).huey.storage.queue_size() for name in names}


def test_each_machine_has_a_state(home: Home, shared: None, submit_specs: SubmitSpecs) -> None:
    for name in ("idle", "lost", "paused", "silent", "working"):
        join(name)
    submit_specs(JobSpec(name="mine"), on="working")
    won_by("working")
    queue.pause("paused", database.now(), None)
    fall_silent("silent", 1)
    fall_silent("lost", 10)
    assert states() == {name: name for name in ("idle", "lost", "paused", "silent", "working")}


def test_the_page_has_a_sentence_for_each_machine_and_says_where_a_job_runs(
    home: Home, shared: None, submit_specs: SubmitSpecs
) -> None:
    join("mini"), join("MacBook")
    run = submit_specs(JobSpec(name="mine"), on="mini")
    job = won_by("mini")
    fall_silent("MacBook", 5)
    since = (database.now() - dt.timedelta(minutes=5)).astimezone()
    page = status_page.of_queue()
    assert f"mini: working on {job.id} mine." in page.summaries
    assert f"MacBook: silent since {since:%H:%M}." in page.summaries
    assert page.running[0].facts.endswith(", on mini")
    document = status.of_run(run)["jobs"][0]
    assert (document["machine"], document["status"]) == ("mini", "running")


def test_one_machine_alone_is_not_mentioned(home: Home, shared: None, submit_specs: SubmitSpecs) -> None:
    join("mini")
    submit_specs(JobSpec(name="mine"), on="mini")
    won_by("mini")
    page = status_page.of_queue()
    assert not any("mini" in line for line in [*page.summaries, *(row.facts for row in page.rows)])
    assert status.document(home, None)["machines"] == []


def test_a_heartbeat_says_that_the_worker_loop_turns(home: Home, shared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that writes it would live on beside a loop that hangs."""
    here = this_machine.identity(home)
    beats = Heartbeat(home, here)
    beats.start()
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 120)
    assert beats.beat_if_due()
    row = Machine.get()
    assert (row.seen_at - row.turned_at).total_seconds() == pytest.approx(120, abs=5)
    assert machines.state(row, database.now(), works=True) is machines.State.SILENT
    assert not beats.beat_if_due()
    beats.turn()
    monkeypatch.setattr(time, "monotonic", lambda: began + 120 + heartbeat.INTERVAL_S)
    assert beats.beat_if_due()
    assert machines.state(Machine.get(), database.now(), works=True) is machines.State.WORKING


def test_a_daemon_says_what_its_machine_has(home: Home, shared: None) -> None:
    (home.root / "config").mkdir()
    (home.root / "config" / "settings.yaml").write_text("machine: mini\nmemory: {margin_mb: 100}\n")
    Heartbeat(home, "1").start()
    row = Machine.get()
    assert row.name == "mini"
    assert row.facts["largest_job_mb"] == row.facts["memory_mb"] - 100
    assert (row.facts["models"], row.facts["reads_messages"]) == ([], False)


def test_a_database_of_one_machine_gets_no_heartbeat(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Heartbeat(home, "1")
    beats.start()
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 3600)
    assert not beats.beat_if_due()
    assert not Machine.select().exists()


def test_a_change_wakes_each_machine_that_may_take_the_job_in_its_transaction(
    home: Home, shared: None, submit_specs: SubmitSpecs
) -> None:
    join("here"), join("there"), join("gone", silent=20)
    with pytest.raises(ZeroDivisionError), database.write():
        submit_specs(JobSpec(name="mine"))
        raise ZeroDivisionError
    assert messages_of("here", "there", "gone") == {"here": 0, "there": 0, "gone": 0}
    submit_specs(JobSpec(name="mine"))
    assert messages_of("here", "there", "gone") == {"here": 1, "there": 0, "gone": 0}
    submit_specs(JobSpec(name="evaluate:a", runs_on=RunsOn.ANY))
    assert messages_of("here", "there", "gone") == {"here": 2, "there": 1, "gone": 0}


def test_the_start_of_a_daemon_empties_its_own_queue_alone(home: Home, shared: None, submit_specs: SubmitSpecs) -> None:
    join("here"), join("there")
    for _ in range(2):
        submit_specs(JobSpec(name="evaluate:a", runs_on=RunsOn.ANY))
    wakeup.requeue_wakeups("here")
    assert messages_of("here", "there") == {"here": 1, "there": 2}
    Job.delete().execute()
    wakeup.requeue_wakeups("there")
    assert messages_of("here", "there") == {"here": 1, "there": 0}


def test_a_pause_of_another_machine_is_not_taken_for_one_of_a_lost_id(home: Home, shared: None) -> None:
    queue.pause("there", database.now(), None)
    assert this_machine.known_identity(home) is None
    assert this_machine.identity(home) != "there"
    assert not control.resume(home).was_paused


def test_doctor_names_silent_machines_and_jobs_that_none_can_run(
    home: Home, shared: None, submit_specs: SubmitSpecs
) -> None:
    join("mini"), join("MacBook")
    submit_specs(JobSpec(name="evaluate:a", runs_on=RunsOn.ANY, models=("org/a@1",)))
    (machines_check, jobs_check) = fleet.check(home)
    assert (machines_check.state, machines_check.what) == ("ok", "MacBook: idle. mini: idle.")
    assert (jobs_check.state, jobs_check.what) == (
        "problem",
        "evaluate:a: no machine has org/a@1",
    )
    fall_silent("MacBook", 5)
    assert fleet.check(home)[0].what.startswith("MacBook silent since ")
    join("studio", models=("org/a@1",))
    assert [check.name for check in fleet.check(home)] == ["machines"]


def test_doctor_says_nothing_of_machines_where_there_is_one(home: Home) -> None:
    assert fleet.check(home) == []


def test_the_table_says_why_no_machine_starts_a_job(home: Home, shared: None, submit_specs: SubmitSpecs) -> None:
    """None has its model; those that have it are silent; its own is."""
    join("here"), join("mini", models=("org/a@1",)), join("MacBook", models=("org/a@1",))
    specs = [JobSpec(name=f"evaluate:{key}", runs_on=RunsOn.ANY, models=(f"org/{key}@1",)) for key in "ab"]
    submit_specs(*specs)
    submit_specs(JobSpec(name="mine"), on="mini")
    submit_specs(JobSpec(name="command:free", runs_on=RunsOn.ANY))
    facts = {row.name: row.facts for row in status_page.of_queue().rows}
    assert facts == {
        "evaluate:a": "next",
        "evaluate:b": "2nd, no machine has org/b@1",
        "mine": "3rd",
        "command:free": "4th",
    }
    fall_silent("mini", 5), fall_silent("MacBook", 3)
    since = {minutes: f"{(database.now() - dt.timedelta(minutes=minutes)).astimezone():%H:%M}" for minutes in (3, 5)}
    facts = {row.name: row.facts for row in status_page.of_queue().rows}
    assert facts["evaluate:a"] == f"1st, MacBook silent since {since[3]} and mini silent since {since[5]}"
    assert (facts["mine"], facts["command:free"]) == (f"3rd, mini silent since {since[5]}", "4th")


def test_a_job_comes_after_the_one_that_runs_on_its_own_machine(
    home: Home, shared: None, submit_specs: SubmitSpecs
) -> None:
    join("here"), join("there")
    submit_specs(JobSpec(name="mine"), on="there")
    running = won_by("there")
    submit_specs(JobSpec(name="command:next"), on="here")
    assert status_page.of_queue().rows[1].facts == "next"
    Job.update(pinned_to="there").where(Job.name == "command:next").execute()
    assert status_page.of_queue().rows[1].facts == f"next, after {running.id}"


def test_a_pause_names_the_job_of_this_machine(home: Home, shared: None, submit_specs: SubmitSpecs) -> None:
    here = join(this_machine.identity(home))
    join("there")
    for place in ("there", here):
        submit_specs(JobSpec(name="mine"), on=place)
    won_by("there")
    assert control.pause(home, None).running is None
    control.resume(home)
    own = won_by(here)
    assert control.pause(home, None).running == own


def test_a_machine_whose_daemon_was_stopped_is_shown_so_until_it_starts_again(
    home: Home, shared: None, submit_specs: SubmitSpecs
) -> None:
    join("other")
    beats = Heartbeat(home, "1")
    beats.start()
    (own,) = (row for row in machines.known() if row.id == "1")
    run = submit_specs(JobSpec(name="mine"), on="1")
    beats.stop()
    now = f"{database.now().astimezone():%H:%M}"
    assert f"{own.name}: stopped since {now}." in status_page.of_queue().summaries
    assert status_page.of_run(run).rows[0].facts == f"1st, {own.name} stopped since {now}"
    assert fleet.check(home)[0].what == f"{own.name} stopped since {now}"
    fall_silent("1", 11)
    assert states()[own.name] == "stopped"
    assert machines.lost(database.now()) == ["1"]
    beats.start()
    assert states()[own.name] == "idle"


def test_a_daemon_ends_where_its_end_cannot_be_stored(
    home: Home, shared: None, caplog: pytest.LogCaptureFixture
) -> None:
    database.db.drop_tables([Machine])
    Heartbeat(home, "1").stop()
    assert "could not be stored: OperationalError" in caplog.text


def test_after_its_end_a_daemon_beats_no_more(home: Home, shared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread ends with the process only, and the facts that it stores would not say that it was stopped."""
    monkeypatch.setattr(heartbeat, "INTERVAL_S", 0.0)
    beats = Heartbeat(home, "1")
    beats.start()
    assert beats.beat_if_due()
    beats.stop()
    assert not beats.beat_if_due()


def test_a_machine_that_can_start_no_program_reads_no_messages(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its heartbeat goes on."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert messages_probe.ask(home, home.root / "chat.db") == {}
    assert machine_facts.read(home)["reads_messages"] is False
