"""A mine job that was claimed, over any chat.db."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jarvisd.store import database, transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs.mine import plan


def claimed_mining(
    home: Home, make_run: Callable[..., Run], embedder: Path, messages: Path, **section: Any
) -> JobContext:
    """The context of the mine job of a new run; `section` of its plan."""
    chosen = plan.Section(**{"embedder": str(embedder), "matcher": str(embedder)} | section)
    setting = PlanContext(home=home, folder=messages.parent, messages=messages)
    run, resolved = make_run("mine"), {"mine": plan.resolve(chosen, setting)}
    (spec,) = plan.jobs(chosen, setting)
    Job.update(params=spec.params).where(Job.run == run).execute()
    Run.update(snapshot={"plan": resolved}).where(Run.id == run.id).execute()
    job = transitions.claim("machine", "boot", database.now())
    assert job is not None
    return JobContext(
        home=home,
        run_id=run.id,
        job_id=job.id,
        job_name="mine",
        attempt=job.attempt,
        round=1,
        params=job.params,
        plan=resolved,
        folder=home.run_folder(run.id),
        ends_by=None,
        log=logging.getLogger("test"),
    )
