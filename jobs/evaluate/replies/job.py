"""The job `replies`: one model writes its pending replies of this round; each is committed at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jarvisd.plugin import JobContext, Outcome
from jobs.evaluate.replies import tasks
from jobs.evaluate.replies.session import End, Session
from jobs.evaluate.replies.tasks import Task
from jobs.evaluate.scenarios import ResolvedScenarios
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import Reply

#: Asked to stop so near the end of the night, or after it, a later round ends as one that ran out of time, in s.
NEAR_S = 5.0


def evaluate(context: JobContext) -> Outcome:
    """One model of the plan. Replies that an earlier attempt or round committed are never generated again."""
    plan = context.plan["evaluate"]
    entry = _entry(plan, context.params["model"])
    resolved = ResolvedScenarios.model_validate({"guide": plan["guide"], "scenarios": plan["scenarios"]})
    wanted = tasks.of_job(context.run_id, context.params, resolved, plan["samples"])
    existing = tasks.answered(context.run_id, entry.key)
    pending = [task for task in wanted if task.key not in existing]
    if len(pending) < len(wanted):
        context.log.info("%d of %d replies exist already", len(wanted) - len(pending), len(wanted))
    if not pending:
        return _finish(context)
    end = Session(context, entry, resolved.guide, len(wanted), len(wanted) - len(pending)).answer(pending)
    done = _count(context.run_id, entry.key, wanted)
    if end is End.STOPPED and not (context.round > 1 and context.seconds_left() <= NEAR_S):
        return Outcome(ok=False, reason=f"asked to stop after {done} of {len(wanted)} replies")
    late = f"the night's time was used up after {done} of {len(wanted)} replies" if done < len(wanted) else ""
    return _finish(context, late)


def _entry(plan: dict[str, Any], key: str) -> ModelEntry:
    return next(ModelEntry.model_validate(entry) for entry in plan["models"] if entry["key"] == key)


def _count(run_id: str, model: str, wanted: Sequence[Task]) -> int:
    return len(tasks.answered(run_id, model) & {task.key for task in wanted})


def _complete_before(context: JobContext) -> bool:
    """Whether the model gave a complete reply in an earlier round. A round without one is then no failure."""
    model = context.params["model"]
    complete = (Reply.run == context.run_id) & (Reply.model == model) & (Reply.round < context.round) & Reply.success
    return bool(Reply.select().where(complete).exists())


def _finish(context: JobContext, late: str = "") -> Outcome:
    """Rewrite the comparison's file and say how the job ended."""
    from jobs.lib.comparison import pipeline

    comparison = pipeline.of_run(context.run_id).as_json()
    context.publish(
        "mlx_comparison_results.json", json.dumps(comparison, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    )
    rows = list(Reply.select().where(Reply.job == context.job_id))
    good = [row for row in rows if row.success]
    summary = {
        "replies": len(rows),
        "successes": len(good),
        "quality": round(sum(row.quality for row in rows) / len(rows), 3) if rows else None,
    }
    if rows and not good and not _complete_before(context):
        reasons = ", ".join(sorted({str(row.failure) for row in rows}))
        why = f"no complete reply: {len(rows)} of {len(rows)} failed ({reasons})"
        return Outcome(ok=False, reason=why, summary=summary)
    failed = f"{len(rows) - len(good)} of {len(rows)} replies failed" if len(good) < len(rows) else ""
    return Outcome(reason="; ".join(part for part in (late, failed) if part), summary=summary)
