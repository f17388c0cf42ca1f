"""The program that the jobs of a history run: `mark.py FILE TAG SECONDS EXIT`.

It appends one flushed line per event to FILE: "S TAG TIME" when it starts, "E TAG TIME" when it ends, and "O TAG TIME"
when another one holds the lock, which two jobs at once would do. TIME is the system-wide monotonic clock in ns, for S
that of the moment at which this process was made: Python needs a while until its first statement, and a cancel that
comes meanwhile did not come before the start.
"""

import fcntl
import os
import sys
import time

path, tag, seconds, code = sys.argv[1:5]
marks = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def mark(event: str, at: int) -> None:
    os.write(marks, f"{event} {tag} {at}\n".encode())
    os.fsync(marks)


def made() -> int:
    """When this process was made, rounded down to a tick of 10 ms; outside Linux, now."""
    if sys.platform != "linux":
        return time.monotonic_ns()
    stat = os.read(os.open("/proc/self/stat", os.O_RDONLY), 4096)
    ticks = int(stat.rpartition(b")")[2].split()[19])
    asleep = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()  # ticks go on in sleep
    return ticks * 10**9 // os.sysconf("SC_CLK_TCK") - asleep


lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    mark("O", time.monotonic_ns())
mark("S", made())
time.sleep(float(seconds))
mark("E", time.monotonic_ns())
sys.exit(int(code))
