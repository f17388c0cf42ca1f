"""The queue from outside: programs as jobs, through crashes, cancels and restarts."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import DEADLINE_S, House, until


def script(house: House, text: str) -> list[str]:
    """A Python program as the words of `enqueue command`."""
    path = house.folder / f"program{len(list(house.folder.iterdir()))}.py"
    path.write_text(text)
    return ["command", "--", sys.executable, str(path)]


SLEEPER = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("pids").write_text(f"{child.pid}")
pathlib.Path("started").open("a").write("x")
time.sleep(600)
"""


def grandchild(house: House) -> psutil.Process:
    path = house.folder / "pids"
    until(lambda: path.exists() and path.read_text(), what="the program has started")
    return psutil.Process(int(path.read_text()))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_program_enqueued_while_the_daemon_is_down_runs_when_it_starts(house: House) -> None:
    submitted = house.ctl("enqueue", "command", "--", "echo", "good night")
    run_id = submitted.stdout.strip()
    assert submitted.stdout == f"{run_id}\n"
    assert "The daemon is down" in submitted.stderr
    assert house.run(run_id)["state"] == "queued"
    house.daemon()
    assert house.settled(run_id)["command:echo"]["status"] == "succeeded"
    assert house.ctl("logs").stdout == "good night\n"


def test_a_program_runs_in_the_callers_folder_with_only_the_named_variables(house: House) -> None:
    house.environment |= {"WANTED": "yes", "SECRET": "no"}
    program = "import os; print(os.getcwd(), os.environ.get('WANTED'), os.environ.get('SECRET'), sorted(os.environ))"
    words = script(house, program)
    run_id = house.enqueue("command", "--env", "WANTED", *words[1:])
    house.daemon()
    house.settled(run_id)
    out = house.ctl("logs").stdout
    assert out.startswith(f"{house.folder} yes None ")
    assert "LD_PRELOAD" not in out


def test_exit_status_and_cause_are_on_the_row(house: House) -> None:
    failing = house.enqueue(*script(house, "raise SystemExit(3)"))
    killed = house.enqueue(*script(house, "import os; os.kill(os.getpid(), 9)"))
    missing = house.enqueue("command", "--", "no-such-program")
    house.daemon()
    for run_id, reason in ((failing, "exit status 3"), (killed, "ended by SIGKILL"), (missing, "no such program")):
        (job,) = house.settled(run_id).values()
        assert job["status"] == "failed"
        assert reason in job["reason"]
    assert house.ctl("wait", failing, code=1)


def test_cancel_ends_the_whole_process_tree(house: House) -> None:
    run_id = house.enqueue(*script(house, SLEEPER))
    house.daemon()
    below = grandchild(house)
    house.ctl("cancel", run_id)
    until(lambda: gone(below), what="the grandchild is gone")
    (job,) = house.settled(run_id).values()
    assert (job["status"], job["reason"]) == ("cancelled", "cancelled by you")


def test_cancel_ends_a_program_that_ignores_sigterm(house: House) -> None:
    text = "import signal, pathlib, time, os\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    text += "pathlib.Path('pids').write_text(str(os.getpid()))\ntime.sleep(600)\n"
    run_id = house.enqueue(*script(house, text))
    house.daemon()
    stubborn = grandchild(house)
    house.ctl("cancel", run_id)
    until(lambda: gone(stubborn), what="the program is gone")
    (job,) = house.settled(run_id).values()
    assert (job["status"], job["reason"]) == ("cancelled", "cancelled by you")


def test_a_killed_daemon_leaves_no_orphan_and_a_command_is_not_run_twice(house: House) -> None:
    run_id = house.enqueue(*script(house, SLEEPER))
    following = house.enqueue("command", "--", "echo", "next")
    daemon = house.daemon()
    below = grandchild(house)
    daemon.kill()
    daemon.wait()
    until(lambda: gone(below), what="the orphan ended itself")
    house.daemon()
    (job,) = house.settled(run_id).values()
    assert job["status"] == "failed"
    assert "a command is not run twice" in job["reason"]
    assert (house.folder / "started").read_text() == "x"
    assert house.settled(following)["command:echo"]["status"] == "succeeded"


def test_attempts_allow_a_command_to_be_run_again_after_a_crash(house: House) -> None:
    program = "import pathlib, time\np = pathlib.Path('starts')\nn = len(p.read_text()) if p.exists() else 0\n"
    program += "p.open('a').write('x')\ntime.sleep(0 if n else 600)\n"
    words = script(house, program)
    run_id = house.enqueue("command", "--attempts", "2", *words[1:])
    daemon = house.daemon()
    until(lambda: (house.folder / "starts").exists(), what="the first start")
    daemon.kill()
    daemon.wait()
    house.daemon()
    (job,) = house.settled(run_id).values()
    assert (job["status"], job["attempt"]) == ("succeeded", 2)


def test_sigterm_stops_the_daemon_cleanly_and_quickly(house: House) -> None:
    house.enqueue(*script(house, SLEEPER))
    daemon = house.daemon()
    below = grandchild(house)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=DEADLINE_S) == 0
    assert gone(below)


def test_a_program_has_its_time_and_no_more(house: House) -> None:
    words = script(house, "import time; time.sleep(600)")
    run_id = house.enqueue("command", "--timeout", "1", *words[1:])
    house.daemon()
    (job,) = house.settled(run_id).values()
    assert job["status"] == "failed"
    assert "longer than its limit of 1 s" in job["reason"]


def test_a_second_daemon_says_who_holds_the_lock(house: House) -> None:
    first = house.daemon()
    second = house.ctl("start")
    assert f"pid {first.pid}" in second.stdout
    import subprocess

    from tests.acceptance.conftest import BIN

    words = [BIN / "jarvisd", "--home", house.root]
    refused = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert refused.returncode == 1
    assert refused.stderr.startswith("jarvisd: a daemon is already running")
    assert f"pid {first.pid}" in refused.stderr


def test_pause_lets_the_running_job_finish_and_resume_goes_on(house: House) -> None:
    house.daemon()
    house.ctl("pause")
    run_id = house.enqueue("command", "--", "echo", "later")
    other = house.enqueue("command", "--", "echo", "later still")
    assert house.ctl("wait", run_id, "--timeout", "2", code=124)
    assert house.status()["daemon"]["paused"]
    house.ctl("resume")
    house.settled(run_id, 15)
    house.settled(other, 15)


def test_retry_does_a_failed_job_again(house: House) -> None:
    program = "import pathlib, sys\nsys.exit(0 if pathlib.Path('mended').exists() else 1)\n"
    run_id = house.enqueue(*script(house, program))
    house.daemon()
    (job,) = house.settled(run_id).values()
    assert job["status"] == "failed"
    (house.folder / "mended").touch()
    house.ctl("retry", str(job["id"]))
    (job,) = house.settled(run_id).values()
    assert (job["status"], job["attempt"]) == ("succeeded", 2)


def test_what_is_under_var_belongs_to_the_user_alone(house: House) -> None:
    old = os.umask(0)
    try:
        run_id = house.enqueue("command", "--", "echo", "private")
        house.daemon()
        house.settled(run_id)
    finally:
        os.umask(old)
    for path in (house.root / "var", *(house.root / "var").rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))


def test_logs_follow_waits_for_the_job_and_ends_with_it(house: House) -> None:
    import subprocess

    from tests.acceptance.conftest import BIN

    house.enqueue("command", "--", "echo", "at last")
    environment = os.environ | {"JARVISD_HOME": str(house.root)}
    follower = subprocess.Popen([BIN / "jarvisctl", "logs", "-f"], stdout=subprocess.PIPE, text=True, env=environment)
    house.daemon()
    out, _ = follower.communicate(timeout=DEADLINE_S)
    assert out == "at last\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["enqueue", "overnigt"], "no plan is called 'overnigt'. Did you mean overnight?"),
        (["enqueue", "command"], "no program given"),
        (["enqueue", "command", "--env", "NOT_SET", "--", "echo"], "--env NOT_SET: this variable is not set"),
        (["stauts"], "no verb is called 'stauts'. Did you mean status?"),
        (
            ["enqueue", "command", "--timeout", "soon", "--", "echo"],
            "'soon' is not a whole number from 1 to 100,000,000",
        ),
        (["pause", "--for", "soon"], "'soon' is not a duration"),
        (["logs", "17"], "nothing was submitted"),
        (["enqueue", "command", "--until", "never", "--", "echo"], "--until: 'never' is not a time"),
    ],
)
def test_wrong_use_is_one_line_exit_code_2_and_leaves_no_trace(house: House, words: list[str], message: str) -> None:
    refused = house.ctl(*words, code=2)
    assert message in refused.stderr
    assert refused.stderr.startswith("jarvisctl: ")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""
    assert not (house.root / "var" / "jarvis.db").exists() or words[0] == "pause"


def test_a_home_that_cannot_be_written_is_refused(house: House) -> None:
    house.root.parent.joinpath("home").write_text("a file where a folder should be")
    refused = house.ctl("enqueue", "command", "--", "echo", code=1)
    assert "cannot write to" in refused.stderr
    house.root.unlink()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(house: House) -> None:
    import sqlite3

    house.enqueue("command", "--", "echo")
    path = house.root / "var" / "jarvis.db"
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO migration VALUES ('jarvisd', 99, 'from the future', '2030-01-01')")
    database.close()
    for words in (["status"], ["enqueue", "command", "--", "echo"]):
        assert "written by a newer version" in house.ctl(*words, code=1).stderr


def test_status_json_is_one_document_with_the_promised_keys(house: House) -> None:
    assert json.loads(house.ctl("status", "--json").stdout)["runs"] == []
    run_id = house.enqueue("command", "--", "echo")
    document = house.status()
    assert set(document) == {"home", "daemon", "machines", "runs"}
    assert set(document["daemon"]) == {"running", "pid", "version", "paused", "paused_until"}
    (run,) = document["runs"]
    assert {"id", "plan", "state", "deadline", "created_at", "warnings", "jobs"} <= set(run)
    promised = {"id", "name", "kind", "round", "attempt", "reason", "status", "progress"}
    assert promised | {"started_at", "ended_at", "took_s", "peak_memory_mb"} <= set(run["jobs"][0])
    assert run["id"] == run_id


def test_status_is_thin(house: House) -> None:
    """`status` imports none of the heavy libraries, nor huey, nor rich without --watch, nor what starts programs."""
    import subprocess

    house.enqueue("command", "--", "echo")
    code = (
        "import sys\nfrom jarvisd.cli import main\n"
        "try:\n    main(['status'])\nexcept SystemExit: pass\n"
        "print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    environment = os.environ | {"JARVISD_HOME": str(house.root)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    loaded = set(out.stderr.split())
    assert {"click", "peewee"} <= loaded
    heavy = {"numpy", "torch", "mlx", "mlx_lm", "sentence_transformers", "huey", "rich", "pydantic", "yaml", "psutil"}
    unused = {"shutil", "subprocess", "tempfile", "random"} if sys.platform == "linux" else set()
    assert loaded & (heavy | unused) == set()


def test_the_default_home_is_never_the_current_folder(house: House, tmp_path: Path) -> None:
    house.environment["JARVISD_HOME"] = ""
    shown = house.ctl("config").stdout
    assert str(house.folder) not in shown
