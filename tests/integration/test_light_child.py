"""The child of a command keeps the promises of every other child, and imports next to nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jarvisd import logs
from jarvisd.daemon.attempt import LIGHT_CHILD
from jarvisd.host.processes import TOKEN, child_environment
from jarvisd.paths import Home
from jarvisd.registry import LIGHT
from jarvisd.store import database, fence, migrations
from jarvisd.store.models import Job, Run
from jarvisd.worker import light
from jarvisd.worker.exit_codes import LIFELINE_OTHER_VERSION, ExitCode
from tests.claiming import claimed

PYTHON = sys.executable


class Child:
    """A light child that waits for the word of its daemon."""

    def __init__(self, home: Home, *options: str) -> None:
        self.home, self.job = home, claimed()
        logs.make_folder(home, self.job.run_id)
        lifeline, self.go = (end.detach() for end in socket.socketpair())
        words = [PYTHON, "-I", "-S", *options, str(LIGHT_CHILD), "jarvisd.worker", str(self.job.id)]
        words += ["--home", str(home.root), "--attempt", "1", "--token", self.job.token]
        words += ["--lifeline", str(lifeline), "--entry", LIGHT["command"]]
        self.process = subprocess.Popen(
            words,
            pass_fds=(lifeline,),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=child_environment() | {TOKEN: self.job.token},
        )
        os.close(lifeline)

    def release(self) -> None:
        os.write(self.go, b"g")

    def end(self) -> tuple[int, str]:
        """Its exit code and what it and its program printed."""
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output.decode()

    def lose_daemon(self) -> None:
        os.close(self.go)
        self.go = -1

    def close(self) -> None:
        if self.go >= 0:
            os.close(self.go)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


Start = Callable[..., Child]


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run]) -> Iterator[Start]:
    """Store a command, claim it, and start its child."""
    children: list[Child] = []

    def begin(*program: str, options: tuple[str, ...] = (), cwd: str = "/", **env: str) -> Child:
        make_run("command:x")
        params = {"program": list(program), "cwd": cwd, "env": {"PATH": os.environ["PATH"], **env}}
        Job.update(params=params, max_attempts=1).execute()
        children.append(Child(home, *options))
        return children[-1]

    yield begin
    for child in children:
        child.close()


def _python(script: str) -> tuple[str, str, str]:
    return PYTHON, "-c", script


def test_it_does_nothing_before_its_daemon_has_stored_its_pid(start: Start, tmp_path: Path) -> None:
    child = start("touch", str(tmp_path / "touched"))
    child.lose_daemon()
    assert child.end() == (ExitCode.DAEMON_GONE, "")
    assert not (tmp_path / "touched").exists()
    assert not Job.get().work_began


def test_the_outcome_and_the_begun_work_are_committed(start: Start) -> None:
    child = start("sh", "-c", "echo out; echo err >&2; exit 3")
    child.release()
    code, output = child.end()
    assert (code, sorted(output.split())) == (ExitCode.FAILED, ["err", "out"])
    row = Job.get()
    assert row.work_began
    assert row.outcome.pop("peak_memory_mb") >= 0
    expected = {"attempt": 1, "ok": False, "reason": "exit status 3", "summary": {"exit_status": 3}, "next_round": []}
    assert row.outcome == expected


@pytest.mark.parametrize(
    ("program", "cwd", "reason"),
    [
        (["no-such-program"], "/", "no such program: no-such-program. Check its name and PATH."),
        (["true"], "/no/such", "no such folder: /no/such. Check its name and PATH."),
        (["/etc/passwd"], "/", "/etc/passwd cannot be started: Permission denied. Check that it is executable."),
        (["bell\a"], "/", "no such program: bell. Check its name and PATH."),
        (["sh", "-c", "kill -9 $$"], "/", "ended by SIGKILL"),
    ],
)
def test_why_a_command_failed(start: Start, program: list[str], cwd: str, reason: str) -> None:
    child = start(*program, cwd=cwd)
    child.release()
    assert child.end() == (ExitCode.FAILED, "")
    assert Job.get().outcome["reason"] == reason


_SEEN = """
import json, os, sys
seen = {"words": sys.argv[1:], "folder": os.getcwd(), "variables": dict(os.environ), "input": os.read(0, 1).decode()}
print(json.dumps({**seen, "group": os.getpgrp()}))
"""


def test_the_program_gets_its_own_words_folder_and_environment(start: Start, tmp_path: Path) -> None:
    words = ["é 'x'\n", "", "--home"]
    child = start(PYTHON, "-c", _SEEN, *words, cwd=str(tmp_path), GREETING="hallo")
    child.release()
    code, output = child.end()
    assert code == ExitCode.SUCCEEDED, output
    seen = json.loads(output)
    assert (seen["words"], seen["folder"], seen["input"]) == (words, str(tmp_path), "")
    assert seen["group"] == child.process.pid
    assert seen["variables"]["GREETING"] == "hallo"
    assert seen["variables"][TOKEN] == child.job.token
    assert not {"HOME", "HF_HUB_OFFLINE", "PYTHONUNBUFFERED"} & set(seen["variables"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_program_inherits_no_open_file_and_no_ignored_signal(start: Start) -> None:
    child = start("sh", "-c", "ls /proc/$$/fd; grep SigIgn /proc/$$/status")
    child.release()
    code, output = child.end()
    assert code == ExitCode.SUCCEEDED
    *descriptors, _, ignored = output.split()
    assert descriptors == ["0", "1", "2"]
    assert not int(ignored, 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_a_program_is_looked_up_in_the_path_that_was_submitted(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "mine").chmod(0o755)
    child = start("mine", PATH=f"/no/such:{tmp_path}")
    child.release()
    assert child.end() == (ExitCode.SUCCEEDED, "mine\n")


def test_a_stale_attempt_writes_nothing(start: Start, home: Home) -> None:
    child = start("true")
    with database.write():
        Job.update(attempt=2).execute()
    child.release()
    code, output = child.end()
    assert code == ExitCode.STALE_ATTEMPT
    assert "attempt 1 of job 1 is over" in output
    assert (Job.get().outcome, Job.get().work_began) == (None, False)
    assert "command:x: attempt 1" in logs.run_log(home, child.job.run_id).read_text()


def test_a_job_that_was_cancelled_before_its_program_began_does_not_start_it(start: Start, tmp_path: Path) -> None:
    child = start("touch", str(tmp_path / "touched"))
    with database.write():
        Job.update(cancel_requested=True).execute()
    child.release()
    assert child.end() == (ExitCode.CANCELLED, "")
    assert not (tmp_path / "touched").exists()


def test_an_outcome_that_cannot_be_stored_is_said_by_the_exit_code(start: Start, home: Home) -> None:
    change = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit();"
    ask = "import os, signal; os.kill(os.getppid(), signal.SIGTERM)"
    rename = "ALTER TABLE job RENAME COLUMN outcome TO lost"
    child = start(PYTHON, "-c", change + ask, str(home.database), rename)
    child.release()
    code, output = child.end()
    assert code == ExitCode.NOT_STORED
    assert "the outcome cannot be stored: OperationalError" in output


def test_an_error_that_the_code_of_the_job_did_not_foresee_is_one_line(start: Start) -> None:
    child = start("true", **{"A=B": "no name of a variable"})
    child.release()
    assert child.end() == (ExitCode.FAILED, "")
    assert Job.get().outcome["reason"] == "unexpected ValueError in jobs.command.program:run"


def test_a_damaged_database_is_said_in_one_line(start: Start, home: Home, tmp_path: Path) -> None:
    child = start("touch", str(tmp_path / "touched"))
    database.db.close()
    for name in ("-wal", "-shm"):
        home.database.with_name(f"{home.database.name}{name}").unlink(missing_ok=True)
    home.database.write_bytes(b"no database" * 1000)
    child.release()
    code, output = child.end()
    assert code == ExitCode.NOT_STORED
    assert output.endswith("the database cannot be used: file is not a database\n")
    assert output.count("\n") == 1
    assert not (tmp_path / "touched").exists()


def test_another_schema_is_refused(start: Start, tmp_path: Path) -> None:
    child = start("touch", str(tmp_path / "touched"))
    with database.write():
        migrations.Applied.create(package="jarvisd", number=999, name="later", at=database.now())
    child.release()
    assert child.end()[0] == ExitCode.OTHER_VERSION
    assert os.read(child.go, 1) == LIFELINE_OTHER_VERSION
    assert not (tmp_path / "touched").exists()


def test_the_schema_that_the_light_child_knows_is_that_of_the_migrations() -> None:
    assert fence.schema() == len(migrations.OWN)


def test_with_its_daemon_the_whole_tree_ends(start: Start, tmp_path: Path) -> None:
    """Also what left the process group: it carries the token."""
    nested = "import subprocess, sys, time; print(subprocess.Popen(sys.argv[1:], start_new_session=True).pid, flush=1)"
    child = start(PYTHON, "-c", f"{nested}; time.sleep(600)", PYTHON, "-c", "import time; time.sleep(600)")
    child.release()
    assert child.process.stdout is not None
    left_the_group = psutil.Process(int(child.process.stdout.readline()))
    program = psutil.Process(child.process.pid).children()[0]
    child.lose_daemon()
    assert child.process.wait(30) == -signal.SIGKILL
    gone, alive = psutil.wait_procs([program, left_the_group], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert len(gone) + len(alive) == 2


def test_a_request_to_stop_is_noticed_while_the_program_runs(start: Start) -> None:
    child = start(*_python("import time; print('up', flush=True); time.sleep(600)"))
    child.release()
    assert child.process.stdout is not None
    assert child.process.stdout.readline() == b"up\n"
    began = time.monotonic()
    os.killpg(child.process.pid, signal.SIGTERM)
    assert child.end()[0] == ExitCode.FAILED
    assert time.monotonic() - began < 5
    assert Job.get().outcome["reason"] == "asked to stop"


def test_it_imports_none_of_the_libraries(start: Start) -> None:
    child = start("true", options=("-X", "importtime"))
    child.release()
    code, output = child.end()
    imported = {line.rpartition("|")[2].strip() for line in output.splitlines() if line.startswith("import time:")}
    assert code == ExitCode.SUCCEEDED
    assert {"jarvisd.store.fence", "jobs.command.program"} <= imported
    heavy = {
        "peewee",
        "pydantic",
        "psutil",
        "subprocess",
        "logging",
        "typing",
        "jarvisd.plugin",
        "jarvisd.store.database",
    }
    assert not imported & heavy


@pytest.mark.parametrize(
    "value",
    [
        {"ok": True, "reason": 'a "quoted"\tname ✓', "summary": {"exit_status": -9}, "next_round": []},
        {"nested": [1, 0, False, "", {"": []}]},
    ],
)
def test_the_outcome_is_written_as_json_would_write_it(value: dict[str, object]) -> None:
    assert light.as_json(value) == json.dumps(value, ensure_ascii=False)
    with pytest.raises(TypeError):
        light.as_json(1.5)


def test_the_file_that_python_compiles_at_each_start_is_short() -> None:
    """What it imports is kept compiled; the file itself never is."""
    assert len(LIGHT_CHILD.read_text().splitlines()) < 20
