"""What stands between a night and a bad job: its memory, its silence, its crashes, and whose process a pid is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jarvisd.host import processes
from jarvisd.worker.exit_codes import ExitCode
from tests.acceptance.conftest import DEADLINE_S, House, until
from tests.acceptance.nights import Night
from tests.acceptance.test_night import night
from tests.acceptance.test_queue import gone, grandchild, script

GLUTTON = """
import pathlib, os, time
pathlib.Path("pids").write_text(str(os.getpid()))
held = []
for _ in range(16):
    held.append(bytearray(os.urandom(1)) * (256 * 1024 * 1024))
    time.sleep(0.5)
time.sleep(600)
"""
#: Everything below it is in a session of its own, two deep.
FAR_AWAY = """
import pathlib, subprocess, sys, time
deep = "import os, pathlib, time; pathlib.Path('pids').write_text(str(os.getpid())); time.sleep(600)"
middle = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {deep!r}], start_new_session=True)"
subprocess.run([sys.executable, "-c", middle], start_new_session=True)
"""


def settings(house: House, text: str) -> None:
    folder = house.root / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yaml").write_text(text)


def run_log(house: House, run_id: str) -> str:
    return (house.root / "var" / "results" / run_id / "experiment.log").read_text()


def test_a_job_that_takes_too_much_memory_is_ended_with_its_whole_tree_and_both_numbers(house: House) -> None:
    settings(house, "memory: {hard_mb: 700}\n")
    words = script(house, GLUTTON)
    run_id = house.enqueue("command", "--memory", "200", *words[1:])
    house.daemon()
    program = grandchild(house)
    (job,) = house.settled(run_id).values()
    assert job["status"] == "failed"
    assert "more than the 700 MB that a job may use" in job["reason"]
    assert 700 < job["peak_memory_mb"] < 1600
    assert gone(program)
    assert run_log(house, run_id).count("200 MB were declared") == 1


def test_a_stopped_child_is_found_stalled_and_the_night_goes_on(house: House) -> None:
    night = Night(house, jobs=1, pieces=200, pause_s=0.1, settings="stall: {minutes: 0.05}\n")
    run_id = night.submit()
    house.daemon()
    until(lambda: night.stored() > 2, what="it works")
    house.child_of(run_id).send_signal(signal.SIGSTOP)
    jobs = house.settled(run_id)
    assert jobs["pieces:1"]["status"] == "failed"
    assert jobs["pieces:1"]["reason"] == "stalled: no progress and no CPU time for 0.05 min"
    assert jobs["report"]["status"] == "succeeded"
    assert night.children() == []


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("SIGKILL", "most likely by the system because memory ran out"),
        ("SIGSEGV", "in native code"),
        ("SIGABRT", "the GPU ran out of memory"),
    ],
)
def test_a_job_that_kills_its_own_process_is_given_up_after_three_starts_with_the_likeliest_cause(
    house: House, name: str, cause: str
) -> None:
    night = Night(house, jobs=1, pieces=1, first=[name])
    run_id = night.submit()
    house.daemon()
    jobs = house.settled(run_id)
    assert (jobs["pieces:1"]["status"], jobs["pieces:1"]["attempt"]) == ("failed", 3)
    assert cause in jobs["pieces:1"]["reason"]
    assert jobs["report"]["status"] == "succeeded"


def test_a_foreign_process_with_the_recorded_pid_survives_the_recovery(house: House) -> None:
    """The child is gone and its pid was given to another process, which even started at the recorded time."""
    night = Night(house, jobs=1, pieces=100, pause_s=0.05)
    run_id = night.submit()
    daemon = house.daemon()
    until(lambda: night.stored() > 2, what="it works")
    daemon.kill()
    daemon.wait()
    until(lambda: not night.children(), what="the orphan ended itself")
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        started = psutil.Process(stranger.pid).create_time()
        night.change("UPDATE job SET pid = ?, pid_started = ? WHERE status = 'running'", stranger.pid, started)
        house.daemon()
        house.settled(run_id)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    night.check()


def test_grandchildren_in_sessions_of_their_own_are_gone_two_seconds_after_their_daemon(house: House) -> None:
    house.enqueue(*script(house, FAR_AWAY))
    daemon = house.daemon()
    below = grandchild(house)
    assert os.getsid(below.pid) == below.pid
    daemon.kill()
    daemon.wait()
    until(lambda: gone(below), 2, "the grandchild is gone")


@pytest.mark.slow
def test_thirty_jobs_leave_the_daemon_as_small_as_it_was(house: House) -> None:
    night = Night(house, jobs=10, pieces=1)
    warm = night.submit()
    daemon = house.daemon()
    house.settled(warm, 120)
    before = psutil.Process(daemon.pid).memory_full_info().uss
    for _ in range(3):
        house.settled(night.submit(), 120)
    grown = psutil.Process(daemon.pid).memory_full_info().uss - before
    assert grown < 5 * 1024 * 1024, f"{grown / 1024 / 1024:.1f} MB more"
    night.check()


def test_a_crashed_job_starts_again_soon_and_not_only_at_the_daemons_next_look(house: House) -> None:
    night = Night(house, jobs=1, pieces=3, first=["once SIGKILL"], settings="restart: {first_pause_s: 1}\n")
    warm = night.submit()
    house.daemon()
    began = time.monotonic()
    assert house.settled(warm)["pieces:1"]["attempt"] == 2
    assert time.monotonic() - began < 15  # the daemon looks by itself every 30 s


def test_a_job_that_ends_its_own_process_has_failed_whatever_its_exit_code(house: House) -> None:
    """Also with the code of a child that finds jarvisd upgraded, after which the job would start again."""
    night = Night(house, jobs=1, pieces=1, first=[f"exit {ExitCode.OTHER_VERSION}"])
    run_id = night.submit()
    house.daemon()
    job = house.settled(run_id)["pieces:1"]
    assert (job["status"], job["attempt"]) == ("failed", 1)


def test_a_child_is_kept_offline_and_is_given_nothing_of_the_daemons_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    given = processes.child_environment()
    assert {name: given[name] for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")} == {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    assert "HF_TOKEN" not in given


def test_a_stopped_program_is_woken_to_end_as_it_would_have(tmp_path: Path) -> None:
    """It gets its time to finish; without being woken it would only be killed when that is over."""
    program = "import pathlib, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    program += f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\ntime.sleep(600)\n"
    child = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    until((tmp_path / "ready").exists, what="it runs")
    child.send_signal(signal.SIGSTOP)
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED, what="it is stopped")
    processes.end_tree(child.pid, "no token", grace_s=5.0)
    assert child.wait(DEADLINE_S) == 7


def test_what_ignores_the_request_to_end_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    program = "import pathlib, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    program += f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\ntime.sleep(600)\n"
    child = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        until((tmp_path / "ready").exists, what="it runs")
        processes.end_tree(child.pid, "no token", grace_s=0.5)
        assert child.wait(DEADLINE_S) == -signal.SIGKILL
    finally:
        child.kill()


BUDGET_MB = 2048


@pytest.fixture
def narrow() -> Iterator[Path]:
    """A memory group of BUDGET_MB; what is put into it may use no more, its children included."""
    group = Path("/sys/fs/cgroup/memory") / f"jarvisd-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(BUDGET_MB << 20))
    except OSError:
        pytest.skip("no memory group (cgroup v1) can be made here")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text().strip(), 20, "the group is empty")
    group.rmdir()


@pytest.mark.slow
def test_a_whole_night_with_a_real_model_fits_into_two_gigabytes(
    house: House, small_models: Path, narrow: Path
) -> None:
    daemon = house.daemon()
    (narrow / "cgroup.procs").write_text(str(daemon.pid))
    jobs = house.settled(night(house, small_models), 400)
    assert {name: job["status"] for name, job in jobs.items() if job["status"] != "succeeded"} == {}
    peak_mb = int((narrow / "memory.max_usage_in_bytes").read_text()) >> 20
    assert 500 < peak_mb <= BUDGET_MB, "a model was in that group"
    house.ctl("stop")
    daemon.wait(timeout=30)
