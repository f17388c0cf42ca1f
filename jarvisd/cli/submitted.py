"""What `enqueue` tells a person: what was submitted, when it starts, and how to watch it."""

from __future__ import annotations

from jarvisd.operations import daemon_state, queue_order
from jarvisd.operations.moments import clock
from jarvisd.operations.queue_order import Queue
from jarvisd.operations.submit import Submitted
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jarvisd.words import counted, label, plain


def sentences(home: Home, submitted: Submitted) -> list[str]:
    """The lines that stand for the run's id on a terminal."""
    run = Run.get_by_id(submitted.run_id)
    name = "Submitted" if submitted.new else "Submitted before"
    watch = f"Follow it: jarvisctl logs -f {submitted.jobs[0]['id']}" if len(submitted.jobs) == 1 else ""
    return [
        f"{name}: {_described(run, submitted.jobs)}",
        daemon_state.obstacle(home) or start(run, queue_order.now(database.now())),
        watch or f"Watch it: jarvisctl status --watch   Cancel it: jarvisctl cancel {run.id}",
    ]


def _described(run: Run, jobs: list[dict[str, object]]) -> str:
    until = f", to end by {clock(run.deadline)}" if run.deadline else ""
    if len(jobs) == 1:
        return f"job {jobs[0]['id']}, {plain(str(jobs[0]['name']))}, in {run.id}{until}."
    report = f", report by {clock(run.deadline)}" if run.deadline else ""
    return f"{run.id}, {counted(len(jobs), 'job')}: {jobs[0]['id']} to {jobs[-1]['id']}{report}."


def start(run: Run, queue: Queue) -> str:
    """When the run's first job starts."""
    if any(job.run_id == run.id for job in queue.running):
        return "It runs."
    places = queue.of_run(run.id)
    if not places:
        behind = Job.select().where(Job.run == run.id, Job.status == "queued").exists()
        return f"It waits behind {queue.queued:,} jobs." if behind else "It has ended already."
    first = places[0]
    ahead = len(queue.running) + first.number - 1
    if first.waits_for:
        return f"It starts {first.waits_for.replace('from ', 'at ', 1)}."
    if not ahead:
        return "It starts now."
    now = f": {queue.running[0].id} {label(queue.running[0])} runs" if queue.running else ""
    return f"It starts after {counted(ahead, 'job')}{now}."
