"""A lost, empty or foreign var/machine-id is replaced, and leaves no job that cannot be settled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from jarvisd.daemon import recovery
from jarvisd.host import machine
from jarvisd.operations import control, daemon_state, status, this_machine
from jarvisd.paths import Home
from jarvisd.store import database, queries, transitions
from jarvisd.store.models import Job, Run, Status

MakeRun = Callable[..., Run]


@pytest.mark.parametrize("content", [b"", b"\n", b"my-mac\n", b"\xff\xfe", b"0" * 31, b"0" * 33, b"G" * 32])
def test_a_file_that_holds_no_name_is_replaced_by_one(home: Home, content: bytes) -> None:
    (home.var / "machine-id").write_bytes(content)
    assert machine.known_identity(home) is None
    name = machine.identity(home)
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert machine.identity(home) == machine.known_identity(home) == name
    assert (home.var / "machine-id").read_text() == f"{name}\n"


def test_a_name_that_is_there_stays(home: Home) -> None:
    (home.var / "machine-id").write_text("0123456789abcdef" * 2 + "\n")
    assert machine.identity(home) == "0123456789abcdef" * 2


def test_processes_that_find_no_name_at_the_same_time_agree_on_one(home: Home) -> None:
    (home.var / "machine-id").write_text("")
    words = "import sys; from jarvisd.host import machine; from jarvisd.paths import Home; from pathlib import Path;"
    words += "sys.stdin.readline(); print(machine.identity(Home(Path(sys.argv[1]), '--home')))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", words, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in started}) == 1


@pytest.mark.parametrize("boot", ["this", "another"])
def test_a_job_that_ran_under_a_name_that_is_lost_is_recovered(home: Home, make_run: MakeRun, boot: str) -> None:
    """Its process is gone: the computer was restarted, or the daemon and its child were killed."""
    make_run("mine")
    job = transitions.claim("lost", machine.boot_id() if boot == "this" else boot, Job.get().run.created_at)
    assert job is not None
    with subprocess.Popen(["true"]) as ended:
        pass
    transitions.record_child(job, ended.pid, 1.0)
    recovery.recover(home)
    assert Job.get().status == Status.QUEUED
    assert not queries.is_occupied("lost")


def test_a_process_that_still_runs_for_a_job_of_a_lost_name_is_ended_first(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    job = transitions.claim("lost", machine.boot_id(), Job.get().run.created_at)
    assert job is not None
    words = [sys.executable, "-c", "import time; time.sleep(600)", "--token", job.token]
    with subprocess.Popen(words, start_new_session=True, env=os.environ | {"JARVISD_TOKEN": job.token}) as child:
        transitions.record_child(job, child.pid, 1.0)
        try:
            recovery.recover(home)
            assert child.wait(timeout=10) != 0
        finally:
            child.kill()
    assert Job.get().status == Status.QUEUED


@pytest.mark.parametrize("content", [None, "", "no name"], ids=["lost", "empty", "foreign"])
def test_a_pause_survives_a_lost_machine_id(home: Home, make_run: MakeRun, content: str | None) -> None:
    make_run("mine")
    control.pause(home, None)
    before = machine.known_identity(home)
    (home.var / "machine-id").unlink() if content is None else (home.var / "machine-id").write_text(content)
    assert "Paused" in daemon_state.sentence(home, has_database=True)
    assert status.document(home, None)["daemon"]["paused"]
    name = this_machine.identity(home)  # as the daemon's start and every verb ask
    assert name == machine.known_identity(home) == before
    assert queries.paused(name, database.now())
    assert control.resume(home).was_paused
    assert not queries.paused(name, database.now())


def test_a_pause_can_be_ended_though_the_machine_id_was_lost_in_it(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    control.pause(home, None)
    (home.var / "machine-id").unlink()
    assert control.resume(home).was_paused
    assert daemon_state.obstacle(home) == "The daemon is down. `jarvisctl start` starts it."
