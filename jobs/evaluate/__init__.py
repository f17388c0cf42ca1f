"""One model writes a reply to every prompt; each reply is timed and checked. Later rounds add what they need."""

from __future__ import annotations

from jarvisd.plugin import JobContext, Outcome


def run(context: JobContext) -> Outcome:
    """What this job is for stands in its parameters: `prepare`, `judge`, `layers`, or a `model` that replies."""
    params = context.params
    if params.get("prepare"):
        from jobs.evaluate.prepare import prepare

        return prepare(context)
    if params.get("judge"):
        from jobs.evaluate.metrics.judge import compare

        return compare(context)
    if params.get("layers"):
        from jobs.evaluate.metrics.job import measure

        return measure(context)
    from jobs.evaluate.replies.job import evaluate  # not "run": a submodule of that name would hide this function

    return evaluate(context)
