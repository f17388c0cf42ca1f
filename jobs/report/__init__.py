"""The report of a run: REPORT.md, report.html, charts and the two JSON documents, from the database alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jarvisd import plugin
from jarvisd.plugin import JobContext, JobSpec, Outcome

if TYPE_CHECKING:
    from jobs.lib.comparison.next_round import Proposal


def run(context: JobContext) -> Outcome:
    """Write the files of the run's report, REPORT.md last, and propose the next round of the comparison.

    Neither prevents the other: a report that cannot be written still begins the next round, and a round that cannot
    be planned leaves the report as it is.
    """
    from jobs.report.attempt import attempt, place

    context.progress(0, 1, "writing")
    written = attempt("the report", lambda: _write(context), lambda error: error)
    jobs = attempt("the next round", lambda: _next_round(context), lambda error: _not_planned(context, place(error)))
    if isinstance(written, Exception):
        if not jobs:
            raise written
        what = plugin.disk_error(written) or f"the report could not be written: {place(written)}"
        return Outcome(ok=False, reason=f"{what}. Write it again: `jarvisctl retry {context.job_id}`", next_round=jobs)
    context.progress(1, 1, "written")
    problems, verdict = written
    remark = f"{len(problems)} parts could not be rendered" if problems else ""
    return Outcome(reason=remark, summary={"problems": len(problems), "verdict": verdict}, next_round=jobs)


def _write(context: JobContext) -> tuple[list[str], str] | Exception:
    """Returns what could not be rendered, and the verdict in a few words."""
    from jobs.report.gather import gather
    from jobs.report.render import write
    from jobs.report.rows import sentences

    report = gather(context.run_id, context.home)
    problems = write(report, context.publish)
    verdict = sentences.headline(report)  # names of models and counts, no text of a message
    context.log.info("verdict: %s", verdict)
    for problem in problems:
        context.log.warning("%s", problem)
    return problems, verdict


def _next_round(context: JobContext) -> tuple[tuple[str, JobSpec], ...]:
    """The jobs of the next round; which models it leaves out is stored."""
    from jobs.lib.comparison.load import load
    from jobs.lib.comparison.next_round import NoNextRound, next_round

    proposal = next_round(load(context.run_id), context.round, context.seconds_left())
    context.log.info("%s", proposal)
    if isinstance(proposal, NoNextRound):
        return ()
    _store_left_out(context, proposal)
    return proposal.jobs


def _store_left_out(context: JobContext, proposal: Proposal) -> None:
    """These rows count from the moment in which the round's jobs are stored."""
    from jobs.lib.results.tables import LeftOut

    with context.checkpoint():
        LeftOut.delete().where(LeftOut.run == context.run_id, LeftOut.round == proposal.round).execute()
        for model, row in proposal.left_out.items():
            LeftOut.create(
                run=context.run_id, round=proposal.round, model=model, cause=row.cause, details=dict(row.details)
            )


def _not_planned(context: JobContext, where: str) -> tuple[tuple[str, JobSpec], ...]:
    context.log.warning("the next round could not be planned: %s", where)
    return ()
