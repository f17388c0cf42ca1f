"""Times as people write them in plans and on the command line: deadlines, and which night a moment belongs to."""

from __future__ import annotations

import datetime as dt
import re

from jarvisd.errors import UsageError


def deadline(until: str, moment: dt.datetime) -> dt.datetime:
    """`07:00` as its next occurrence after `moment`, or a full timestamp, as an instant with zone.

    Raises ValueError when it is no time, or a full timestamp in the past.
    """
    if re.fullmatch(r"\d{1,2}:\d{2}", until):
        hour, minute = (int(part) for part in until.split(":"))
        if hour > 23 or minute > 59:
            raise ValueError(f"{until} is not a time of day; write it as 07:00")
        local = moment.astimezone().replace(tzinfo=None)
        at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if at <= local:
            at += dt.timedelta(days=1)
        return at.astimezone()
    try:
        full = dt.datetime.fromisoformat(until)
    except ValueError:
        raise ValueError(f"{until!r} is not a time; write it as 07:00, or as 2026-11-23T07:00") from None
    try:
        full = full.astimezone()
    except OverflowError:
        raise ValueError(f"{until} is outside the calendar") from None
    if full <= moment:
        raise ValueError(f"{until} is in the past")
    return full


def requested_deadline(until: str, moment: dt.datetime) -> dt.datetime:
    """The deadline that `--until` asks for. Raises UsageError."""
    try:
        return deadline(until, moment)
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None


def requested_start(at: str, moment: dt.datetime) -> dt.datetime:
    """The start that `--at` asks for: 22:30 is its next occurrence. Raises UsageError."""
    try:
        return deadline(at, moment)
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None


#: A run that starts before this hour belongs to the evening before.
_DAY_BEGINS_H = 6


def date_of(moment: dt.datetime) -> str:
    """The date in the name of a run that starts then: by day that day, before six in the morning the day before."""
    return (moment.astimezone().replace(tzinfo=None) - dt.timedelta(hours=_DAY_BEGINS_H)).date().isoformat()


def night_of(moment: dt.datetime) -> str:
    """The local date twelve hours before: 22:00 and the 06:00 that follows belong to one night."""
    return (moment - dt.timedelta(hours=12)).astimezone().date().isoformat()
