"""Times of day and weekdays at which a nightly run is due."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from jarvisd.errors import UsageError

#: As launchd numbers them: 0 and 7 are Sunday.
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True)
class Schedule:
    """When the nightly agent starts: times of day, on these weekdays (empty: every day)."""

    times: tuple[str, ...] = ("22:00",)
    weekdays: tuple[str, ...] = ()

    @classmethod
    def of(cls, times: tuple[str, ...], weekdays: str | None = None) -> Schedule:
        """From `22:00` and `mon,tue` as people write them. Raises UsageError."""
        days = [day.strip().lower()[:3] for day in (weekdays or "").split(",") if day.strip()]
        if unknown := [day for day in days if day not in WEEKDAYS]:
            raise UsageError(f"{unknown[0]!r} is not a weekday", f"Choose from {', '.join(WEEKDAYS)}.")
        return cls(tuple(sorted({_time(text) for text in times})), tuple(day for day in WEEKDAYS if day in days))

    def last(self, moment: dt.datetime) -> dt.datetime:
        """The scheduled start at or before that moment: what a start now is for."""
        return max(at for at in self._around(moment) if at <= moment)

    def next(self, moment: dt.datetime) -> dt.datetime:
        return min(at for at in self._around(moment) if at > moment)

    def _around(self, moment: dt.datetime) -> list[dt.datetime]:
        """Every scheduled start within eight days of that moment."""
        today = moment.astimezone().date()
        starts = []
        for offset in range(-8, 9):
            day = today + dt.timedelta(days=offset)
            if not self.weekdays or WEEKDAYS[day.isoweekday() % 7] in self.weekdays:
                starts += [dt.datetime.combine(day, dt.time.fromisoformat(text)).astimezone() for text in self.times]
        return starts

    def intervals(self) -> list[dict[str, int]]:
        """StartCalendarInterval. Hour and Minute are both given: one that is missing means every one."""
        at = [{"Hour": int(text[:2]), "Minute": int(text[3:])} for text in self.times]
        if not self.weekdays:
            return at
        return [{"Weekday": WEEKDAYS.index(day), **time} for day in self.weekdays for time in at]

    def words(self) -> list[str]:
        """The hidden options of `enqueue` that say what a nightly start is for."""
        days = ["--due-on", ",".join(self.weekdays)] if self.weekdays else []
        return [word for text in self.times for word in ("--due", text)] + days

    def __str__(self) -> str:
        return f"{', '.join(self.times)}{' on ' + ', '.join(self.weekdays) if self.weekdays else ''}"


def _time(text: str) -> str:
    parts = re.fullmatch(r"(\d{1,2}):(\d{2})", text.strip())
    if parts is None or int(parts[1]) > 23 or int(parts[2]) > 59:
        raise UsageError(f"{text!r} is not a time of day", "Write it as 22:00.")
    return f"{int(parts[1]):02}:{parts[2]}"
