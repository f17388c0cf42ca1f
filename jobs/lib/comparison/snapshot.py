"""What a run planned to compare, from its snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jarvisd.plugin import Job, Status


def left_out(run_id: str) -> dict[str, str]:
    """Models that later rounds no longer ask, and why, as the newest round has it."""
    newest = Job.select().where(Job.run == run_id, Job.name == "layers").order_by(Job.round.desc()).first()
    found = newest.params.get("left_out") if newest is not None else None
    return dict(found) if isinstance(found, dict) else {}


def broken(run_id: str, last: int | None = None) -> dict[str, str]:
    """Models whose job failed or was cancelled in a round up to `last`: "its job failed in round 2"."""
    ended = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled"}
    jobs = Job.select().where(Job.run == run_id, Job.kind == "evaluate", Job.status.in_(list(ended)))
    return {
        str(job.params["model"]): f"its job {ended[job.status]} in round {job.round}"
        for job in jobs.order_by(Job.round, Job.place)
        if isinstance(job.params, dict) and "model" in job.params and (last is None or job.round <= last)
    }


def section(snapshot: Any) -> dict[str, Any]:
    """The `evaluate` section of a run's snapshot; empty where it compares nothing."""
    plan = snapshot.get("plan") if isinstance(snapshot, dict) else None
    found = plan.get("evaluate") if isinstance(plan, dict) else None
    return found if isinstance(found, dict) else {}


def planned_scenarios(snapshot: Any) -> list[dict[str, Any]]:
    """The scenarios of the run's resolved plan; empty where the plan compares nothing."""
    found = section(snapshot).get("scenarios")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def planned_models(snapshot: Any) -> list[dict[str, Any]]:
    """The model entries of the run's resolved plan, each with a `key`."""
    found = section(snapshot).get("models")
    if isinstance(found, dict):
        found = [{"key": key, **(entry if isinstance(entry, dict) else {})} for key, entry in found.items()]
    entries = found if isinstance(found, list) else []
    named = [entry if isinstance(entry, dict) else {"key": str(entry)} for entry in entries]
    return [{**entry, "key": str(entry["key"])} for entry in named if entry.get("key")]


def _scenario(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A planned scenario as readers need it: without the patterns of its checks."""
    prompts = [prompt for prompt in entry.get("prompts") or [] if isinstance(prompt, dict)]
    return {
        "id": str(entry.get("id")),
        "title": entry.get("title", ""),
        "context": entry.get("context", ""),
        "prompts": [{"instruction": prompt.get("instruction", "")} for prompt in prompts],
    }
