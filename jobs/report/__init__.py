"""The report of a run: REPORT.md, report.html, charts and the two JSON documents, from the database alone."""

from __future__ import annotations

from jarvisd.plugin import JobContext, Outcome


def run(context: JobContext) -> Outcome:
    """Write the files of the run's report, REPORT.md last, and propose the next round of the comparison."""
    from jobs.lib.comparison import next_round
    from jobs.report.gather import gather
    from jobs.report.render import write
    from jobs.report.rows import sentences

    context.progress(0, 1, "writing")
    report = gather(context.run_id, context.home)
    problems = write(report, context.publish)
    context.log.info("verdict: %s", sentences.headline(report))  # names of models and counts, no text of a message
    context.progress(1, 1, "written")
    for problem in problems:
        context.log.warning("%s", problem)
    remark = f"{len(problems)} parts could not be rendered" if problems else ""
    proposal = next_round.propose(context.run_id, context.round, context.seconds_left())
    context.log.info("%s", proposal.why)
    return Outcome(reason=remark, summary={"problems": len(problems)}, next_round=proposal.jobs)
