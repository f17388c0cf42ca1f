"""On PYTHONPATH this makes any Python of the tests believe that it runs on a Mac, and changes nothing else.

The platform is decided in one place, machine.MACOS. The shipped code must have no switch for that: a variable that
turned a Linux computer into a Mac, or a Mac into none, would only be a way to break one.

A Mac whose clock was set (FakeMac.set_clock) has a file `clock` beside its programs: the seconds that its wall clock
is ahead of the real one, read at each look. The clocks that only count seconds are left alone: on a Mac they do not
run while it sleeps. It is found by this file's own place, since a job is given PYTHONPATH and no variable of a test.
"""

import datetime as dt
import time
from pathlib import Path

from jarvisd.host import machine
from jarvisd.store import database

machine.MACOS = True

CLOCK = Path(__file__).parent.with_name("clock")  # beside the link through which this file was found, not behind it
if CLOCK.exists():
    from jarvisd.store import database

    real = time.time

    def ahead() -> float:
        return real() + float(CLOCK.read_text())

    time.time = ahead  # what the lines of a log are stamped with
    database.now = lambda: dt.datetime.fromtimestamp(ahead(), dt.UTC)
