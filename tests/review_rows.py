"""A finished mining with held-out drafts in the database, for tests of reviews."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.results.tables import HeldOutDraft, Mining, Template

REPLIES = ("haha", "On my way", "Sounds good", "thanks!", "Idk")
SINCE = dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC)


def template_uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def mining(
    turns: int = 400, replies: Sequence[str] = REPLIES, *, seed: int = 1, drafts: bool = True, **stats: Any
) -> Mining:
    """A run whose ranker drafted on `turns` held-out turns; the confidence falls with the place of the turn."""
    number = Run.select().count() + 1
    moment = database.now()
    with database.write():
        run = Run.create(
            id=f"run-{number}", number=number, plan="p", night=f"n{number}", created_at=moment, snapshot={}, warnings=[]
        )
        job = Job.create(run=run, name="mine", kind="mine", place=0, params={}, status="succeeded")
        made: Mining = Mining.create(job=job, run=run, stats=stats, config={}, curve=[])
        for rank, reply in enumerate(replies, start=1):
            Template.create(
                uuid=template_uuid(rank),
                job=job,
                run=run,
                rank=rank,
                representative=reply,
                frequency=30 - rank,
                uses=20 - rank,
                people=4,
                examples=[],
                triggers=[f"what leads to {reply.lower()}?"],
                tier="suggest",
            )
        _held_out(job, run, turns, len(replies) if drafts else 0, random.Random(seed))
    return made


def _held_out(job: Job, run: Run, turns: int, templates: int, chance: random.Random) -> None:
    rows = []
    for place in range(turns):
        uuid = template_uuid(1 + chance.randrange(templates)) if templates else ""
        share = round(0.9 - 0.8 * place / turns, 6)
        rows.append(
            {
                "job": job,
                "run": run,
                "place": place,
                "chat": place % 7,
                "sent_at": SINCE + dt.timedelta(minutes=place),
                "previous": f"my own words {place}" if place % 2 else None,
                "incoming": f"incoming number {place}\nand a second message {place}",
                "answer": f"what I really said {place}",
                "drafts": [[uuid, share]] if templates else [],
                "probability": share if templates else 0.0,
            }
        )
    for begin in range(0, len(rows), 100):
        HeldOutDraft.insert_many(rows[begin : begin + 100]).execute()
