"""How thin are `jarvisctl status`, completion in a shell, and the idle daemon?

python -m benchmarks thin
"""

from __future__ import annotations

import compileall
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import jarvisd
from benchmarks._measure import pairs, program, ratio_line

BIN = Path(sys.executable).parent
PAIRS = 15
IDLE_S = 20
#: peewee imports psycopg where it is installed, which takes longer than all the rest.
PEER = "import sys; sys.modules['psycopg'] = None; import click, peewee"


def main() -> None:
    # An installation has bytecode; a checkout under PYTHONDONTWRITEBYTECODE would compile each module at every start.
    compileall.compile_dir(Path(jarvisd.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as home:
        program(str(BIN / "jarvisctl"), "--home", home, "enqueue", "command", "--", "echo", "x")()
        status = program(str(BIN / "jarvisctl"), "--home", home, "status")
        peer = program(sys.executable, "-c", PEER)
        print("  " + ratio_line("`jarvisctl status`", *_flat(pairs(status, peer, PAIRS))))
        print("  " + _completion(home))
        print("  " + _idle(home))


def _completion(home: str) -> str:
    """How long a shell waits for the names of jobs: the time by the clock, and what of it is the processor's."""
    words = {"COMP_WORDS": "jarvisctl cancel ", "COMP_CWORD": "2", "_JARVISCTL_COMPLETE": "zsh_complete"}
    environment = os.environ | words | {"JARVISD_HOME": home}
    times, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(PAIRS):
        began = time.perf_counter()
        subprocess.run([BIN / "jarvisctl"], env=environment, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / PAIRS
    return f"completion of jobs: {statistics.median(times) * 1000:.0f} ms, {used * 1000:.0f} ms of a processor"


def _flat(times: tuple[list[float], list[float]]) -> tuple[list[float], str, list[float]]:
    return times[0], "`python -c 'import click, peewee'`", times[1]


def _idle(home: str) -> str:
    """Memory and processor time of a daemon that has nothing to do."""
    daemon = subprocess.Popen([BIN / "jarvisd", "--home", home], stderr=subprocess.DEVNULL)
    try:
        process = psutil.Process(daemon.pid)
        time.sleep(5)  # the one job of this home is done by then
        before = process.cpu_times()
        time.sleep(IDLE_S)
        after = process.cpu_times()
        used = (after.user + after.system - before.user - before.system) / IDLE_S
        return f"idle daemon: {process.memory_info().rss / 2**20:.0f} MB resident, {used:.2%} of a core over {IDLE_S} s"
    finally:
        daemon.terminate()
        daemon.wait()


if __name__ == "__main__":
    main()
