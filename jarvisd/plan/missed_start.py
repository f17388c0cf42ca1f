"""A nightly start that came late: the Mac slept at 22:00, and launchd starts the agent when it wakes.

The newest nightly start and its run are kept in var/nightly.json, for `status` and `doctor`.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Literal

from jarvisd.host import files
from jarvisd.paths import Home

#: A start within this time is on time, whatever `late` says. launchd starts within seconds, but on the Sunday on which
#: the clock goes forward it may start at 23:00 what is due at 22:00, and when it goes back an hour early and again in
#: time.
ON_TIME = dt.timedelta(minutes=75)


@dataclass(frozen=True)
class NightlyStart:
    """A nightly start: what it was for, and when it came."""

    due: dt.datetime
    at: dt.datetime

    @property
    def is_late(self) -> bool:
        return self.at - self.due > ON_TIME

    def may_run(self, late: Literal["skip", "run"] | int) -> bool:
        """What the plan's `late` says of this start: skip, run, or a window in minutes."""
        if late == "run" or not self.is_late:
            return True
        return late != "skip" and self.at - self.due <= dt.timedelta(minutes=late)

    def __str__(self) -> str:
        minutes = int((self.at - self.due).total_seconds() // 60)
        delay = f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
        return f"due {self.due.astimezone():%a %H:%M}, {delay} late: the computer slept"


def record(home: Home, start: NightlyStart, run_id: str | None) -> None:
    """Store the newest nightly start with its run, or None where it was too late for one."""
    home.make()
    document = {"due": start.due.isoformat(), "at": start.at.isoformat(), "run": run_id}
    files.replace(home.var / "nightly.json", json.dumps(document) + "\n")


def last(home: Home) -> tuple[NightlyStart, str | None] | None:
    """The newest nightly start and its run; None where there was none, or nothing readable says so."""
    try:
        kept = json.loads((home.var / "nightly.json").read_text())
        start = NightlyStart(dt.datetime.fromisoformat(kept["due"]), dt.datetime.fromisoformat(kept["at"]))
        return start, None if kept["run"] is None else str(kept["run"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def skipped_message(home: Home) -> str:
    """A sentence that the newest nightly start was skipped; "" where it was not."""
    newest = last(home)
    if newest is None or newest[1] is not None:
        return ""
    return f"The newest nightly start was skipped ({newest[0]}); `late: run` in the plan would have run it."
