"""Instants as people write them, by the local clock."""

from __future__ import annotations

import datetime as dt

from jarvisd.store import database

#: From this age on a time is written with its date.
NEAR = dt.timedelta(days=6)


def clock(moment: dt.datetime, at: dt.datetime | None = None) -> str:
    """An instant by the local clock: "Mon 07:00", with its date from six days away on. `at` is now if not given."""
    near = abs(moment - (at or database.now())) < NEAR
    return f"{moment.astimezone():{'%a %H:%M' if near else '%Y-%m-%d %H:%M'}}"


def clock_time(moment: dt.datetime, at: dt.datetime | None = None) -> str:
    """The same, without the weekday within twelve hours: "07:00"."""
    if abs(moment - (at or database.now())) < dt.timedelta(hours=12):
        return f"{moment.astimezone():%H:%M}"
    return clock(moment, at)


def day_and_time(moment: dt.datetime, at: dt.datetime) -> str:
    """When something happened: "today 10:45 (5 min ago)", "yesterday 22:00", "Mon 22:00", "2026-11-02 22:00"."""
    days = (at.astimezone().date() - moment.astimezone().date()).days
    time = f"{moment.astimezone():%H:%M}"
    if days == 0 and moment <= at:
        return f"today {time} ({ago((at - moment).total_seconds())})"
    return f"yesterday {time}" if days == 1 else clock(moment, at)


def ago(seconds: float) -> str:
    """just now, 5 min ago, 3 h ago."""
    if seconds < 60:
        return "just now"
    return f"{seconds / 60:.0f} min ago" if seconds < 90 * 60 else f"{seconds / 3600:.0f} h ago"


def stamp(moment: dt.datetime | None) -> str | None:
    """An instant as ISO 8601 with the local zone, for programs."""
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


def yesterday(at: dt.datetime) -> dt.datetime:
    """The begin of yesterday, by the local clock."""
    midnight = at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return (midnight - dt.timedelta(days=1)).astimezone()
