"""The job: each step takes the results of those before it, and `mine` lists them."""

from __future__ import annotations

import json
from typing import Any

import peewee

from jarvisd.plugin import JobContext, Outcome
from jobs.lib.results import templates_document
from jobs.lib.results.tables import HeldOutDraft, Mining, Ranking, Template
from jobs.lib.reviews import document as reviews_document
from jobs.lib.stopping import Stopped
from jobs.mine import candidates, latency, matching, rolling_origin, stored, stored_ranking, tiers
from jobs.mine.inputs import Task, read_messages
from jobs.mine.stored import Mined

_ROWS = 200  # of an INSERT


def mine(context: JobContext) -> Outcome:
    """Messages in, templates out. When asked to stop, it keeps its vectors in the cache and stores nothing."""
    task = Task.of(context)
    try:
        mined = _measured(task)
    except Stopped:
        return Outcome(ok=False, reason="asked to stop; what was embedded is kept")
    stats = _store(task, mined)
    document = templates_document.document(context.run_id)
    if document is not None:
        reviews_document.add(document, context.run_id)
    context.publish("templates.json", json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    problems = (mined.matching.problem, mined.matching.manual_problem)
    return Outcome(
        reason="; ".join(problem for problem in problems if problem),
        summary={
            "messages": stats["total_messages"],
            "templates": stats["templates_extracted"],
            "coverage": stats["coverage"],
            **{tier: stats["tiers"][tier]["templates"] for tier in tiers.TIERS},
        },
    )


def _measured(task: Task) -> Mined:
    """All that is stored, in memory. Raises Stopped and JobFailed."""
    _ = task.encoder  # fails before the messages are read where the embedder is not on disk
    messages = read_messages(task)
    compared = candidates.compare(task, messages.corpus)
    chosen = candidates.choose(task, messages.corpus, compared)
    coverage = rolling_origin.measure(messages.corpus, compared.near, chosen, task.section)
    matched = matching.match(task, messages, compared, coverage)
    return Mined(messages=messages, candidates=compared, coverage=coverage, matching=matched)


def _store(task: Task, mined: Mined) -> dict[str, Any]:
    """Replace what an earlier attempt of this job stored, in one transaction; then time matches on what is stored."""
    context = task.context
    stats = stored.stats(task, mined) | {"fast": stored_ranking.fast_figures(mined)}
    rows = stored.rows(task, mined)
    rankings, drafted = stored_ranking.rankings(task, mined), stored_ranking.drafts(task, mined)
    with context.checkpoint():
        for table in (Template, Mining, Ranking, HeldOutDraft):
            table.delete().where(table.job == context.job_id).execute()
        for table, values in ((Template, rows), (Ranking, rankings), (HeldOutDraft, drafted)):
            for batch in peewee.chunked(values, _ROWS):
                table.insert_many(batch).execute()
        Mining.insert(
            job=context.job_id,
            run=context.run_id,
            stats=stats,
            config=stored.config(task, mined),
            curve=rolling_origin.curve(mined.coverage.origins, mined.coverage.in_sample),
        ).execute()
    timed = latency.of_matches(context, stored.newest_turns(mined))
    with context.checkpoint():
        Mining.update(stats=stats | timed).where(Mining.job == context.job_id).execute()
    return stats
