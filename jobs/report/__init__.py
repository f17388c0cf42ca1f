"""The report of a run: REPORT.md, report.html, charts and the two JSON documents, from the database alone."""

from __future__ import annotations

from jarvisd.context import JobContext
from jarvisd.kinds import Outcome


def run(context: JobContext) -> Outcome:
    """Write the files of the run's report, REPORT.md last, and propose the next round of the comparison."""
    from jobs import racing
    from jobs.report.render import render

    context.progress(0, 1, "writing")
    problems = render(context.run_id, context.home, context.publish)
    context.log.info("verdict: %s", _verdict(context.run_id))
    context.progress(1, 1, "written")
    for problem in problems:
        context.log.warning("%s", problem)
    remark = f"{len(problems)} parts could not be rendered" if problems else ""
    proposal = racing.propose(context.run_id, context.round, context.seconds_left())
    context.log.info("%s", proposal.why)
    return Outcome(reason=remark, summary={"problems": len(problems)}, next_round=proposal.jobs)


def _verdict(run_id: str) -> str:
    """The verdict of the comparison in the names of models: it holds no text of a message."""
    from jobs import comparison

    found = comparison.document(run_id)["verdict"]
    tied = f"no clear winner among {', '.join(found['tied'])}" if found["tied"] else "no choice of a model"
    return f"use {found['winner']}" if found["winner"] else tied
