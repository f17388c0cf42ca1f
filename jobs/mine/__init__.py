"""Mining: which replies of the owner's come again and again, and how much of what follows they cover."""

from __future__ import annotations

from jarvisd.plugin import JobContext, Outcome


def run(context: JobContext) -> Outcome:
    from jobs.mine.mining import mine

    return mine(context)
