"""The queue under attack: two deaths at once, signals twice, a home that is pulled away, foreign files."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing

import psutil
import pytest

from tests.acceptance.conftest import BIN, DEADLINE_S, House, until
from tests.acceptance.test_queue import SLEEPER, gone, grandchild, script

POLITE = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
pathlib.Path("pids").write_text(str(__import__("os").getpid()))
pathlib.Path("starts").open("a").write("x")
time.sleep(600)
"""
#: Takes its time to end when it is asked to, and notes how often it was asked.
SLOW_TO_STOP = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path("asked").open("a").write("x")
    time.sleep(3)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("pids").write_text(str(__import__("os").getpid()))
time.sleep(600)
"""


def only(house: House, run_id: str) -> dict:
    (job,) = house.jobs(run_id).values()
    return job


def test_a_program_that_outlived_daemon_and_child_is_ended_before_it_is_started_again(house: House) -> None:
    words = script(house, SLEEPER)
    run_id = house.enqueue("command", "--attempts", "2", *words[1:])
    daemon = house.daemon()
    below = grandchild(house)
    program = below.parent()
    child = house.child_of(run_id)
    assert program is not None
    daemon.send_signal(signal.SIGSTOP)  # so that it cannot see the child's end first
    child.kill()
    daemon.kill()
    daemon.wait()
    (house.folder / "pids").unlink()
    house.daemon()
    until(lambda: gone(program) and gone(below), what="what was left over is gone")
    grandchild(house)
    assert (house.folder / "started").read_text() == "xx"
    house.ctl("cancel", run_id)
    house.settled(run_id)


def test_a_program_that_ends_with_0_when_cancelled_is_cancelled(house: House) -> None:
    run_id = house.enqueue(*script(house, POLITE))
    house.daemon()
    grandchild(house)
    house.ctl("cancel", run_id)
    house.settled(run_id)
    assert only(house, run_id)["status"] == "cancelled"
    assert house.ctl("wait", run_id, code=1)


def test_a_run_once_command_stays_run_once_after_a_retry(house: House) -> None:
    program = "import pathlib, sys, time\np = pathlib.Path('starts')\np.open('a').write('x')\n"
    program += "n = len(p.read_text())\ntime.sleep(600) if n > 2 else sys.exit(1)\n"
    run_id = house.enqueue(*script(house, program))
    daemon = house.daemon()
    house.settled(run_id)
    house.ctl("retry", run_id)
    house.settled(run_id)
    house.ctl("retry", run_id)
    until(lambda: (house.folder / "starts").read_text() == "xxx", what="the third start")
    daemon.kill()
    daemon.wait()
    house.daemon()
    house.settled(run_id)
    assert only(house, run_id)["status"] == "failed"
    assert (house.folder / "starts").read_text() == "xxx"


def test_a_cancel_that_comes_while_the_daemon_stops_is_kept(house: House) -> None:
    words = script(house, SLOW_TO_STOP)
    run_id = house.enqueue("command", "--attempts", "3", *words[1:])
    daemon = house.daemon()
    grandchild(house)
    daemon.send_signal(signal.SIGTERM)
    until(lambda: (house.folder / "asked").exists(), what="the program is asked to stop")
    house.ctl("cancel", run_id)
    assert daemon.wait(timeout=DEADLINE_S) == 0
    assert only(house, run_id)["status"] == "cancelled"


def test_a_second_sigterm_is_not_worse_than_the_first(house: House) -> None:
    words = script(house, SLOW_TO_STOP)
    run_id = house.enqueue("command", "--attempts", "3", *words[1:])
    daemon = house.daemon()
    grandchild(house)
    daemon.send_signal(signal.SIGTERM)
    until(lambda: (house.folder / "asked").exists(), what="the program is asked to stop")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=DEADLINE_S) == 0
    assert (house.folder / "asked").read_text() == "x"
    assert only(house, run_id)["status"] == "queued"


def test_a_daemon_whose_var_was_removed_ends_its_job_and_itself(house: House) -> None:
    house.enqueue(*script(house, SLEEPER))
    daemon = house.daemon()
    below = grandchild(house)
    shutil.rmtree(house.root / "var")
    assert daemon.wait(timeout=DEADLINE_S) == 1
    assert gone(below)


def test_start_says_why_a_daemon_did_not_come_up(house: House) -> None:
    folder = house.root / "config"
    folder.mkdir(parents=True)
    (folder / "settings.yaml").write_text("memory: {margin: 5}\n")
    refused = house.ctl("start", code=2)
    assert "memory.margin: unknown key" in refused.stderr
    assert not house.status()["daemon"]["running"]


def test_a_results_folder_called_latest_costs_the_link_and_not_the_night(house: House) -> None:
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True)
    (plans / "short.yaml").write_text("command:\n  - run: [echo, hello]\nreport: {}\n")
    (house.root / "var" / "results" / "latest").mkdir(parents=True, mode=0o700)
    run_id = house.enqueue("short")
    house.daemon()
    assert [job["status"] for job in house.settled(run_id).values()] == ["succeeded", "succeeded"]


def test_a_lock_file_with_garbage_stops_no_daemon(house: House) -> None:
    var = house.root / "var"
    var.mkdir(mode=0o700, parents=True)
    (var / "jarvisd.lock").write_text("garbage")
    assert not house.status()["daemon"]["running"]
    house.daemon()
    assert house.status()["daemon"]["running"]


def test_planted_messages_are_dropped_and_run_nothing(house: House) -> None:
    import sqlite3

    run_id = house.enqueue("command", "--", "echo", "fine")
    pickled = b"cos\nsystem\n(S'touch " + str(house.folder / "owned").encode() + b"'\ntR."
    with sqlite3.connect(house.root / "var" / "jarvis.db") as database:
        for data in (pickled, b"{", b"[]", b'{"name": "os.system"}'):
            database.execute("INSERT INTO task (queue, data, priority) VALUES ('jarvisd', ?, 9)", (data,))
    database.close()
    house.daemon()
    with sqlite3.connect(house.root / "var" / "jarvis.db") as database:
        database.execute("INSERT INTO task (queue, data, priority) VALUES ('jarvisd', ?, 9)", (pickled,))
    database.close()
    assert only(house, run_id) is not None
    house.settled(run_id)
    assert only(house, run_id)["status"] == "succeeded"
    assert not (house.folder / "owned").exists()


def test_a_damaged_database_is_set_aside_and_said(house: House) -> None:
    var = house.root / "var"
    var.mkdir(mode=0o700, parents=True)
    (var / "jarvis.db").write_bytes(b"this is no database, but somebody's file" * 50)
    assert "is damaged or is not a database" in house.ctl("status", code=1).stderr
    house.ctl("start")
    (kept,) = var.glob("jarvis-damaged-*.db")
    assert kept.read_bytes().startswith(b"this is no database")
    house.settled(house.enqueue("command", "--", "echo", "goes on"))


def test_eight_queued_jobs_survive_a_damaged_index_and_status_says_so(house: House) -> None:
    """Before the restart every verb prints one line with the remedy; then `start` and `status` say what was saved."""
    for _ in range(8):
        house.enqueue("command", "--", "true")
    path = house.root / "var" / "jarvis.db"
    with closing(sqlite3.connect(path)) as database:
        pages = [page for (page,) in database.execute("SELECT pageno FROM dbstat WHERE name = 'job_status'")]
    content = bytearray(path.read_bytes())
    for page in pages:
        content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(content)
    for words in (("status",), ("enqueue", "command", "--", "true")):
        refused = house.ctl(*words, code=1).stderr
        assert "is damaged or is not a database. `jarvisctl restart`" in refused
        assert refused.count("\n") == 1
    saved = "Saved: 8 of 8 runs, 8 of 8 jobs."
    assert saved in house.ctl("restart").stderr
    assert saved in house.ctl("status").stdout
    assert saved in (house.root / "var" / "logs" / "jarvisd.log").read_text()
    until(lambda: house.ctl("runs").stdout.count("1 succeeded") == 8, what="the saved jobs run")


def test_stop_names_the_program_that_it_has_ended(house: House) -> None:
    """A job that goes on at the next start is not worth a word; a program that is run once does not."""
    house.daemon()
    run_id = house.enqueue(*script(house, SLEEPER))
    grandchild(house)  # a start whose program has not begun yet is given back
    message = house.ctl("stop").stderr
    (job,) = house.jobs(run_id).values()
    assert message.startswith(f"{job['id']} {job['name']} has ended: interrupted")
    assert message.rstrip().endswith(f"`jarvisctl retry {job['id']}`")


def test_a_daemon_that_only_waits_for_another_one_ends_cleanly_too(house: House) -> None:
    """launchd starts nothing again that ended with 0."""
    house.daemon()
    waiting = subprocess.Popen([BIN / "jarvisd", "--home", house.root, "--wait"], stderr=subprocess.PIPE, text=True)
    house.daemons.append(waiting)
    lock = str(house.root / "var" / "jarvisd.lock")
    until(lambda: lock in {file.path for file in psutil.Process(waiting.pid).open_files()}, what="it waits")
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(timeout=DEADLINE_S) == 0


@pytest.mark.parametrize("content", [b"no database at all", b""], ids=["foreign", "empty"])
def test_a_daemon_can_be_stopped_whatever_became_of_its_database(house: House, content: bytes) -> None:
    daemon = house.daemon()
    path = house.root / "var" / "jarvis.db"
    path.unlink()
    path.write_bytes(content)
    assert house.ctl("stop").stdout == "Stopped.\n"
    daemon.wait(timeout=DEADLINE_S)
