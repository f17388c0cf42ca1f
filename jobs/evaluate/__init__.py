"""One model writes a reply to every prompt; each reply is timed and checked. Later rounds add what they need."""

from __future__ import annotations

from jarvisd.plugin import JobContext, Outcome
from jobs.lib.evaluate_task import EvaluateTask, task_of


def run(context: JobContext) -> Outcome:
    """Do the task that the job's params name."""
    match task_of(context.params):
        case EvaluateTask.PREPARE:
            from jobs.evaluate.prepare import prepare

            return prepare(context)
        case EvaluateTask.JUDGE:
            from jobs.evaluate.metrics.judge import compare

            return compare(context)
        case EvaluateTask.METRICS:
            from jobs.evaluate.metrics.job import measure

            return measure(context)
        case EvaluateTask.REPLIES:
            from jobs.evaluate.replies.job import evaluate  # not "run": a submodule would hide this function

            return evaluate(context)
