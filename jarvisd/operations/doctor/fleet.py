"""Whether the machines that share a queue are heard of, and whether each queued job has one that can run it."""

from __future__ import annotations

from jarvisd.operations import machines
from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home
from jarvisd.store import database, migrations, placement
from jarvisd.store.models import Job, Status

#: Jobs that are named.
MOST = 3


def check(home: Home) -> list[Check]:
    """Nothing where the database is of one machine."""
    if not migrations.open_existing(home) or not database.is_shared():
        return []
    return [*_machines(), *_jobs()]


def _machines() -> list[Check]:
    at = database.now()
    members = machines.members(at)
    silent = [reason for member in members if (reason := member.unheard(at))]
    if silent:
        return [warning("machines", ", ".join(silent), "Wake it, or start its daemon: what only it may run waits.")]
    return [ok("machines", " ".join(member.sentence(at) for member in members))] if members else []


def _jobs() -> list[Check]:
    queued = list(Job.select().where(Job.status == Status.QUEUED, Job.pinned_to.is_null()).order_by(Job.id))
    reasons = [f"{name}: {reason}" for name, reason in placement.impossible(queued).items()]
    if not reasons:
        return []
    more = f" and {len(reasons) - MOST} more" if len(reasons) > MOST else ""
    return [
        problem("placement", f"{'; '.join(reasons[:MOST])}{more}", "Fetch the model on one of them, or cancel the job.")
    ]
