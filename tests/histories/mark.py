"""The program that the jobs of a history run: `mark.py FILE TAG SECONDS EXIT`.

It appends one flushed line per event to FILE: "S TAG TIME TOKEN" when it starts, "E" in the same way when it ends, and
"O" when another one holds a lock. There are two: of the home whose worker started it, where two jobs at once would
meet, and of the tag, where one job would meet itself on two machines. TIME is the system-wide monotonic clock in ns,
for S that of the moment at which this process was made: Python needs a while until its first statement, and a cancel
that comes meanwhile did not come before the start. TOKEN is that of the attempt.
"""

import fcntl
import os
import sys
import time

path, tag, seconds, code = sys.argv[1:5]
marks = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def mark(event: str, at: int) -> None:
    os.write(marks, f"{event} {tag} {at} {os.environ.get('JARVISD_TOKEN', '-')}\n".encode())
    os.fsync(marks)


def made() -> int:
    """When this process was made, rounded down to a tick of 10 ms; outside Linux, now."""
    if sys.platform != "linux":
        return time.monotonic_ns()
    stat = os.read(os.open("/proc/self/stat", os.O_RDONLY), 4096)
    ticks = int(stat.rpartition(b")")[2].split()[19])
    asleep = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()  # ticks go on in sleep
    return ticks * 10**9 // os.sysconf("SC_CLK_TCK") - asleep


def home() -> str:
    """The home of the worker that started this program, as the name of a file; outside Linux always the same."""
    if sys.platform != "linux":
        return "home"
    words = os.read(os.open(f"/proc/{os.getppid()}/cmdline", os.O_RDONLY), 1 << 16).decode().split("\0")
    return words[words.index("--home") + 1].replace("/", "_") if "--home" in words else "home"


def take(name: str) -> bool:
    lock = os.open(f"{path}.{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if not (take(home()) & take(tag)):
    mark("O", time.monotonic_ns())
mark("S", made())
time.sleep(float(seconds))
mark("E", time.monotonic_ns())
sys.exit(int(code))
