"""Stores what the second reader makes of every reply to a scenario, and what the best canned reply reaches there.

One reader is fitted per run and reads all replies of all models, so that no two of them are on different scales; the
rows are written anew each time, together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import peewee

from jarvisd.plugin import JobContext
from jobs.evaluate.metrics import canned, letters, similarity
from jobs.evaluate.scenarios import ResolvedScenarios
from jobs.evaluate.scoring import Answer, ReplyScore, Scorer
from jobs.lib.results.tables import CANNED, REAL_TURNS, ReferenceScore, Reply, Score

METRIC = "reading"
#: `ReferenceScore.metric` of a canned reply by both readers, and by the checks alone, which count where not every
#: reply was read.
BY_READING, BY_CHECKS = "instructions", "checks"


def measure(context: JobContext) -> int | str:
    """Store the readings of all models and the canned reply; how many replies were read, or why none was."""
    plan = context.plan["evaluate"]
    if not plan.get("scenarios"):
        return "the plan holds no scenarios"
    sheet = ResolvedScenarios.model_validate({"guide": plan["guide"], "scenarios": plan["scenarios"]})
    answers = _answers(context.run_id, sheet)
    scorer = Scorer(sheet, similarity.encode_of(context))
    read = scorer.score([answer for _, answer in answers])
    judged = _judged(context.run_id)
    rows = [
        {"reply": reply, "metric": METRIC, "value": score.value, "parts": _parts(score, judged.get(reply))}
        for (reply, _), score in zip(answers, read, strict=True)
    ]
    bars = _canned(scorer, sheet)
    _store(context, rows, bars, sum(len(scenario.prompts) for scenario in sheet.scenarios))
    return len(rows)


def _answers(run_id: str, sheet: ResolvedScenarios) -> list[tuple[int, Answer]]:
    """Id of each successful reply to a prompt of the sheet, with what is read of it."""
    scenarios = {scenario.id: scenario for scenario in sheet.scenarios}
    columns = (Reply.id, Reply.scenario_id, Reply.prompt, Reply.reply, Reply.finish_reason)
    wanted = (Reply.run == run_id) & (Reply.scenario_id != REAL_TURNS) & Reply.success
    answers = []
    for row in Reply.select(*columns).where(wanted).order_by(Reply.id):
        scenario = scenarios.get(row.scenario_id)
        if scenario is not None and row.prompt < len(scenario.prompts):
            prompt = scenario.prompts[row.prompt]
            answer = Answer(scenario=scenario, prompt=prompt, raw=row.reply, finish_reason=row.finish_reason)
            answers.append((row.id, answer))
    return answers


def _judged(run_id: str) -> dict[int, float]:
    """What a judge made of each reply by the likelihood of letters: id of the reply -> 0..1."""
    of_run = Reply.select(Reply.id).where(Reply.run == run_id)
    rows = Score.select(Score.reply, Score.value).where(Score.metric == letters.METRIC, Score.reply.in_(of_run))
    return {row.reply_id: row.value for row in rows}


def _parts(score: ReplyScore, judged: float | None) -> dict[str, float | None]:
    """What each reader says by itself, and how far the readers lie apart: two, or three with a judge."""
    apart = score.disagreement
    if judged is not None:
        values = [score.checks_value, score.value, judged]
        apart = max(values) - min(values)
    parts = {"checks": score.checks_value, "reader": score.reader, "disagreement": apart}
    if judged is not None:
        parts["judge"] = judged
    return {name: None if value is None else round(value, 4) for name, value in parts.items()}


def _canned(scorer: Scorer, sheet: ResolvedScenarios) -> dict[str, float]:
    """The best mean over all prompts that one text reaches, by both readers and by the checks alone."""
    read = [
        scorer.score(
            [
                Answer(scenario=scenario, prompt=prompt, raw=text)
                for scenario in sheet.scenarios
                for prompt in scenario.prompts
            ]
        )
        for text in canned.TEXTS
    ]
    return {
        BY_READING: _best(read, lambda score: score.value),
        BY_CHECKS: _best(read, lambda score: score.checks_value),
    }


def _best(read: Sequence[Sequence[ReplyScore]], value: Callable[[ReplyScore], float]) -> float:
    return max(math.fsum(map(value, scores)) / len(scores) for scores in read)


def _store(context: JobContext, rows: Sequence[dict[str, object]], bars: dict[str, float], prompts: int) -> None:
    of_run = Reply.select(Reply.id).where(Reply.run == context.run_id)
    with context.checkpoint():
        Score.delete().where(Score.metric == METRIC, Score.reply.in_(of_run)).execute()
        for batch in peewee.chunked(rows, 200):
            Score.insert_many(batch).execute()
        for metric, value in bars.items():
            key = {"run": context.run_id, "metric": metric, "reference": CANNED}
            ReferenceScore.delete().where(*(getattr(ReferenceScore, name) == of for name, of in key.items())).execute()
            ReferenceScore.create(**key, value=value, low=None, high=None, n=prompts)
    context.log.info("%s: %d replies", METRIC, len(rows))
