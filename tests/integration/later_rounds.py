"""Later rounds of a run whose first round is done, with a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate import plan
from jobs.evaluate.plan import Section
from jobs.lib.results.tables import HeldOutTurn, Reply
from tests.claiming import claim

SCENARIOS = """\
opening: Help with a text message.
turn_instruction: Answer as I would
scenarios:
  - id: one
    context: "Ann: Hi?"
    prompts:
      - {instruction: Say yes, checks: {says yes: {says: ['yes']}}}
      - {instruction: Say no}
  - id: two
    context: "Bob: Late"
    prompts:
      - {instruction: Say fine}
"""

PROMPTS = (("one", 0), ("one", 1), ("two", 0))
Rounds = Callable[..., JobContext]


def starter(home: Home, make_run: Callable[..., Run], tiny: Path) -> Rounds:
    """rounds(samples=[2, 3]): that job of round 2, whose run had its first round; model= for another folder."""
    (home.root / "scenarios.yaml").write_text(SCENARIOS)
    setting = PlanContext(home=home, folder=home.root, messages=home.root / "chat.db")

    def begin(model: Path = tiny, **params: Any) -> JobContext:
        Job.update(status="succeeded").execute()
        section = Section.model_validate({"models": [str(model)], "max_tokens": 8, "rounds": "auto", "meaning": None})
        run = make_run(plan.jobs(section, setting)[0].name)
        Run.update(snapshot={"plan": {"evaluate": plan.resolve(section, setting)}}).where(Run.id == run.id).execute()
        Job.update(params={"model": model.name}).where(Job.run == run.id).execute()
        evaluate.run(claim(home))
        for place, text in enumerate(("are you there?", "movie tomorrow?", "ok")):
            row = {"incoming": text, "answer": f"sure {place}", "sent_at": database.now()}
            HeldOutTurn.create(run=run.id, place=place, chat=place % 2, **row)
        return further(home, run, model.name, **params)

    return begin


def further(home: Home, run: Run, model: str, round_: int = 2, **params: Any) -> JobContext:
    """The next job of a run, claimed."""
    Job.update(status="succeeded").execute()
    fields = {"name": f"evaluate:{model}", "kind": "evaluate", "place": 0, "params": {"model": model, **params}}
    Job.create(run=run, round=round_, **fields)
    return claim(home)


def of_job(context: JobContext) -> list[Reply]:
    return list(Reply.select().where(Reply.job == context.job_id).order_by(Reply.id))


def keys(rows: Iterable[Reply]) -> list[tuple[str, int, int]]:
    return sorted((row.scenario_id, row.prompt, row.sample) for row in rows)
