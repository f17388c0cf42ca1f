"""Mining: which replies the owner sends repeatedly, and how many of the later messages they cover."""

from __future__ import annotations

from jarvisd.plugin import JobContext, Outcome


def run(context: JobContext) -> Outcome:
    from jobs.mine.mining import mine

    return mine(context)
