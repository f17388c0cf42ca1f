"""One model writes a reply to every prompt; each reply is timed and checked."""

from __future__ import annotations

from jarvisd.context import JobContext
from jarvisd.kinds import Outcome


def run(context: JobContext) -> Outcome:
    from jobs.evaluate.job import evaluate  # not "run": a submodule of that name would hide this function

    return evaluate(context)
