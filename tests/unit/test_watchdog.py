"""How a running job is judged: by what was measured of it, at times that the test sets."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jarvisd.daemon.watchdog import Sample, Watchdog
from jarvisd.host import machine, processes
from jarvisd.plan.settings import Memory, Settings, Stall
from jarvisd.store.models import Job
from tests.acceptance.conftest import until


class Patient:
    """A job of this kind, watched from time 0 on."""

    def __init__(self, kind: str = "mine", declared_mb: int = 0) -> None:
        self.told: list[str] = []
        settings = Settings(memory=Memory(hard_mb=700), stall=Stall(minutes=20))
        self.watchdog = Watchdog(Job(name=kind, kind=kind, memory_mb=declared_mb), settings, self.told.append, 0)

    def at(self, minutes: float, *, done: int = 0, **measured: Any) -> str:
        sample = {"memory_mb": 100, "cpu_s": 0.0, **measured}
        return self.watchdog.take(Sample(progress=(done, 13, None), **sample), minutes * 60)


def test_a_job_that_does_nothing_for_the_whole_time_is_ended_with_that_reason() -> None:
    patient = Patient()
    assert patient.at(0) == patient.at(19.9) == ""
    assert patient.at(20) == "stalled: no progress and no CPU time for 20 min"


def test_progress_without_cpu_time_is_life() -> None:
    patient = Patient()
    assert [patient.at(minute, done=minute // 15) for minute in range(0, 120, 5)] == [""] * 24


def test_cpu_time_without_progress_is_life() -> None:
    patient = Patient()
    assert [patient.at(minute, cpu_s=minute * 60) for minute in range(0, 120, 5)] == [""] * 24


def test_a_loop_that_only_waits_is_no_life() -> None:
    patient = Patient()
    ends = [patient.at(minute, cpu_s=minute * 0.01) for minute in range(0, 120, 5)]
    assert ends.index("stalled: no progress and no CPU time for 20 min") == 4


def test_a_program_of_the_users_may_wait_as_long_as_it_likes() -> None:
    patient = Patient("command")
    assert patient.at(0) == patient.at(60 * 9) == ""


def test_a_job_over_the_limit_is_ended_with_both_numbers() -> None:
    patient = Patient()
    assert patient.at(0, memory_mb=700) == ""
    assert "it used 1,024 MB, more than the 700 MB that a job may use" in patient.at(1, memory_mb=1024)
    assert patient.watchdog.peak_mb == 1024


def test_more_than_was_declared_is_said_once() -> None:
    patient = Patient(declared_mb=400)
    for minute, used in enumerate((500, 501, 600, 400, 650)):
        assert patient.at(minute, memory_mb=used) == ""
    assert patient.told == ["mine uses 501 MB, 400 MB were declared"]


def test_a_computer_short_of_memory_is_said_once() -> None:
    patient = Patient()
    patient.at(0, pressed=True)
    patient.at(1, pressed=True)
    assert patient.told == ["the computer is short of memory; mine uses 100 MB"]


def test_the_limit_leaves_the_system_a_quarter_of_eight_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, page = "SC_PHYS_PAGES", "SC_PAGE_SIZE"
    for total_gb, most in ((8, 6144), (16, 12288), (64, 61440)):
        system = {pages: total_gb * 1024**3 // 4096, page: 4096}
        monkeypatch.setattr("os.sysconf", system.__getitem__)
        assert machine.most_mb() == most


def test_memory_and_cpu_time_of_a_whole_tree_are_measured() -> None:
    """A parent that sleeps while its child holds memory and computes."""
    below = "data = bytearray(150_000_000)\nwhile True: pass"
    words = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {below!r}])"
    before = processes.tree_use(os.getpid())[0]
    parent = subprocess.Popen([sys.executable, "-c", words], start_new_session=True)
    try:
        until(lambda: processes.tree_use(parent.pid)[0] > 150, 20, "its memory is seen")
        until(lambda: processes.tree_use(parent.pid)[1] > 0.3, 20, "its CPU time is seen")
        assert processes.tree_use(os.getpid())[0] > before + 140
    finally:
        os.killpg(parent.pid, 9)
        parent.wait()
    assert processes.tree_use(parent.pid) == (0, 0.0)


def test_memory_that_a_tree_shares_counts_once() -> None:
    """A parent that has filled 150 MB and forked: both hold the same pages."""
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this system does not say what is shared")
    words = "import os, time\ndata = bytearray(b'x') * 150_000_000\nos.fork()\ntime.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", words], start_new_session=True)
    try:
        until(lambda: len(processes.tree(parent.pid)) == 2, 20, "it has forked")
        assert 140 < processes.tree_use(parent.pid)[0] < 250
    finally:
        os.killpg(parent.pid, 9)
        parent.wait()


class RUsageInfoV0(ctypes.Structure):
    """rusage_info_v0 as <sys/resource.h> of macOS declares it."""

    _fields_ = [
        ("ri_uuid", ctypes.c_uint8 * 16),
        *((name, ctypes.c_uint64) for name in ("ri_user_time", "ri_system_time", "ri_pkg_idle_wkups")),
        *((name, ctypes.c_uint64) for name in ("ri_interrupt_wkups", "ri_pageins", "ri_wired_size")),
        *((name, ctypes.c_uint64) for name in ("ri_resident_size", "ri_phys_footprint")),
        *((name, ctypes.c_uint64) for name in ("ri_proc_start_abstime", "ri_proc_exit_abstime")),
    ]


LIBRARY = """
#include <stdint.h>
#include <string.h>
int proc_pid_rusage(int pid, int flavor, uint64_t *buffer) {
    if (flavor != 0 || pid == 1) return -1;
    for (int i = 0; i < 12; i++) buffer[i] = 1000 + i;
    return 0;
}
"""


def test_the_footprint_is_read_from_its_place_in_what_macos_returns(tmp_path: Path) -> None:
    """A library of that name stands in for the one of macOS; the place is that of its header."""
    import shutil

    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    (tmp_path / "proc.c").write_text(LIBRARY)
    library = str(tmp_path / "libproc.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, str(tmp_path / "proc.c")], check=True)
    place = RUsageInfoV0.ri_phys_footprint.offset // 8
    assert ctypes.sizeof(RUsageInfoV0) == 12 * 8
    assert processes.footprint(4242, library) == 1000 + place
    assert processes.footprint(1, library) == 0
    assert processes.footprint(4242, str(tmp_path / "missing.so")) == 0
