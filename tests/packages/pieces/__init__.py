"""A kind of job of the tests' own: it commits numbered rows as checkpoints, and its first job proposes the next round.

The table has no unique key on purpose: a checkpoint that was done twice must show.
"""

from __future__ import annotations

import os
import signal
import time

from jarvisd.plugin import JobContext, Outcome, db, write
from pieces import plan

_TABLE = "CREATE TABLE IF NOT EXISTS piece (job INTEGER, number INTEGER, attempt INTEGER)"


def run(context: JobContext) -> Outcome:
    wanted = context.params["pieces"]
    for what in context.params["first"]:
        _before(context, what)
    with write():
        db.execute_sql(_TABLE)
    stored = db.execute_sql(f"SELECT number FROM piece WHERE job = {db.param}", (context.job_id,))
    done = {number for (number,) in stored.fetchall()}
    for number in sorted(set(range(wanted)) - done):
        if context.should_stop():
            return Outcome(ok=False, reason="asked to stop")
        with context.checkpoint():
            values = ", ".join([db.param] * 3)
            db.execute_sql(f"INSERT INTO piece VALUES ({values})", (context.job_id, number, context.attempt))
        context.progress(number + 1, wanted, "piece")
        time.sleep(context.params["pause_s"])
    return Outcome(summary={"pieces": wanted}, next_round=_next(context))


def _before(context: JobContext, what: str) -> None:
    """A job that goes wrong; `once ...` only at its first attempt."""
    if what.startswith("once ") and context.attempt > 1:
        return
    if what.startswith("exit "):
        os._exit(int(what.removeprefix("exit ")))
    os.kill(os.getpid(), signal.Signals[what.removeprefix("once ")])


def _next(context: JobContext) -> tuple[tuple[str, plan.JobSpec], ...]:
    if context.round >= context.params["rounds"] or context.job_name != "pieces:1":
        return ()
    own = dict(context.params)
    return tuple(("pieces", plan.job(number, own)) for number in range(1, own["jobs"] + 1))
