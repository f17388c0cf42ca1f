"""A run whose models, replies and held-out turns a test adds row by row, and its comparison document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.comparison import pipeline
from jobs.lib.results.tables import HeldOutTurn, ModelLoad, Reply, TrainTestSplit

#: Scenario -> its number of prompts.
SCENARIOS = {"invite": 3, "milk": 3, "work": 3, "banter": 2, "late": 2}


class Night:
    """A run whose rows a test adds."""

    def __init__(self) -> None:
        self.run: Run = Run.create(
            id="2026-11-22-night",
            number=1,
            plan="night",
            night="2026-11-22",
            created_at=database.now(),
            snapshot={"plan": {"evaluate": {"models": [{"key": "a"}, {"key": "b"}]}}},
            warnings=[],
        )

    def job(self, name: str, round_: int = 1, **params: Any) -> Job:
        place = Job.select().where(Job.run == self.run).count()
        row: Job = Job.create(run=self.run, name=name, kind="evaluate", place=place, round=round_, params=params)
        return row

    def loaded(self, model: str, round_: int = 1, **figures: Any) -> Job:
        job = self.job(f"evaluate:{model}", round_, model=model)
        info = {"name": f"Model {model.upper()}", "revision": f"r{round_}"}
        ModelLoad.create(job=job, run=self.run, model=model, info=info, **({"load_time_s": 3.0} | figures))
        return job

    def reply(self, job: Job, scenario: str, place: int, **fields: Any) -> Reply:
        success = fields.get("success", True)
        values = {
            "quality": 0.8 if success else 0.0,
            "latency_ms": 1000.0,
            "sample": 1,
            "reply": "ok",
            "failure": None if success else "empty",
            "success": success,
        }
        row: Reply = Reply.create(
            job=job,
            run=self.run,
            round=job.round,
            model=job.params["model"],
            scenario_id=scenario,
            prompt=place,
            context="Friend: hey",
            instruction="Say yes",
            rendered="",
            seed=1,
            checks={},
            created_at=database.now(),
            **(values | fields),
        )
        return row

    def first_round(self, quality: Mapping[str, float], **fields: Any) -> dict[str, list[Reply]]:
        """Every model answers every prompt once."""
        replies = {}
        for model, value in quality.items():
            job = self.loaded(model)
            places = [(name, place) for name, n in SCENARIOS.items() for place in range(n)]
            replies[model] = [self.reply(job, *place, **({"quality": value} | fields)) for place in places]
        return replies

    def turns(self, chats: list[int]) -> None:
        at = database.now()
        TrainTestSplit.create(run=self.run, at=at, own_before=900, turns_after=70, chosen=len(chats))
        for place, chat in enumerate(chats):
            HeldOutTurn.create(run=self.run, place=place, chat=chat, incoming="hey", answer=f"yo {place}", sent_at=at)

    def document(self) -> dict[str, Any]:
        document = pipeline.of_run(self.run.id).as_json()
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        return document
