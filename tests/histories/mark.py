"""The program that the jobs of a history run: `mark.py FILE TAG SECONDS EXIT`.

It appends one flushed line per event to FILE: "S TAG TIME" when it starts, "E TAG TIME" when it ends, and "O TAG TIME"
when another one holds the lock, which two jobs at once would do. TIME is the system-wide monotonic clock in ns.
"""

import fcntl
import os
import sys
import time

path, tag, seconds, code = sys.argv[1:5]
marks = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def mark(event: str) -> None:
    os.write(marks, f"{event} {tag} {time.monotonic_ns()}\n".encode())
    os.fsync(marks)


lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    mark("O")
mark("S")
time.sleep(float(seconds))
mark("E")
sys.exit(int(code))
