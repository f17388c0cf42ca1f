"""How a job ends early: an exception leaves the step in hand, and the job's `run` turns it into an outcome."""

from __future__ import annotations

from jarvisd.plugin import JobContext


class Stopped(Exception):
    """The job was asked to stop. What it committed stays."""


class OutOfTime(Exception):
    """The run's deadline is too near for another step. What the job committed stays."""


def check(context: JobContext, least_s: float = 0.0) -> None:
    """Raise where no further step may begin: fewer than `least_s` seconds before the deadline, or asked to stop.

    The deadline is tested first, because reaching it is no failure and a stop is one.
    """
    if context.seconds_left() < least_s:
        raise OutOfTime
    if context.should_stop():
        raise Stopped
