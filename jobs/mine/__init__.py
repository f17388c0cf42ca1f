"""Mining: which replies of the owner's come again and again, and how much of what follows they cover."""

from __future__ import annotations

from jarvisd.registry import Outcome
from jarvisd.worker.context import JobContext


def run(context: JobContext) -> Outcome:
    from jobs.mine.mining import mine

    return mine(context)
