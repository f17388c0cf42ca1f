"""Nights as rows of a real database: what the tests of the report render."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jarvisd.paths import Home
from jarvisd.store import models, queries
from jarvisd.store.models import Job, Run, Status
from jobs.lib.results.tables import (
    Mining,
    ModelLoad,
    Reply,
    Template,
)
from tests import ready_homes

START = dt.datetime(2026, 11, 22, 21, 0, tzinfo=dt.UTC)

SCENARIOS: dict[str, tuple[str, list[str]]] = {
    "dinner-invite": (
        "Friend: Hey are you free for dinner tomorrow?",
        ["Say yes enthusiastically", "Decline politely and suggest another time", "Ask what time works"],
    ),
    "parent-request": (
        "Mom: Can you pick up milk on your way home?",
        ["Say yes", "Say you already got it", "Say you can't right now"],
    ),
    "work-message": (
        "Colleague: Did you see the project update I sent?",
        ["Say yes and acknowledge", "Say not yet but will check soon", "Thank them for the update"],
    ),
    "friend-banter": ("Friend: That was so funny lol", ["Short laugh response", "Agree and add comment"]),
    "running-late": (
        "Friend: Running 10 mins late sorry",
        ["Say no worries", "Say okay and you'll see them soon"],
    ),
}


def home(folder: Path) -> Home:
    """A home with an empty database of the current schema."""
    return ready_homes.prepare(Home(folder, "--home"))


def run(
    name: str = "2026-11-22-overnight",
    *,
    plan: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    deadline: dt.datetime | None = None,
    title: str = "Overnight",
) -> Run:
    """A run without jobs."""
    number = queries.next_number()
    row: Run = Run.create(
        id=name,
        number=number,
        plan="overnight",
        title=title,
        night="2026-11-22",
        created_at=START,
        started_at=START,
        deadline=deadline,
        snapshot={
            "plan": dict(plan or {}),
            "versions": {"jarvisd": "0.1.0", "mlx": "0.32.4"},
            "machine": {"system": "macOS 26.1", "chip": "Apple M2", "memory_mb": 8192},
        },
        warnings=list(warnings),
    )
    return row


def job(row: Run, name: str, status: Status = Status.SUCCEEDED, reason: str | None = None, **fields: Any) -> Job:
    """A job of the run that took ten minutes, unless it never started."""
    place = Job.select().where(Job.run == row).count()
    began = status not in (Status.QUEUED, Status.SKIPPED)
    values = {
        "started_at": START + dt.timedelta(minutes=10 * place) if began else None,
        "ended_at": START + dt.timedelta(minutes=10 * (place + 1)) if status in models.SETTLED else None,
        "attempt": int(began),
        "peak_memory_mb": 812 if began else None,
    }
    kind = fields.pop("kind", name.partition(":")[0])
    created: Job = Job.create(
        run=row,
        name=name,
        kind=kind,
        place=place,
        status=status,
        reason=reason,
        **({"params": {}} | values | fields),
    )
    return created


def model(
    row: Run,
    key: str,
    name: str | None = None,
    *,
    qualities: Mapping[str, Sequence[float]] | None = None,
    latency_ms: float = 850,
    reply: str = "No worries! See you soon",
    failure: str | None = None,
    status: Status = Status.SUCCEEDED,
    only: Sequence[str] = tuple(SCENARIOS),
) -> Job:
    """A model that was loaded and gave a reply to every prompt of the scenarios `only`."""
    work = job(row, f"evaluate:{key}", status)
    info = {
        "name": name or key,
        "params": "3B",
        "memory": "2 GB",
        "notes": "",
        "path": f"/models/{key}",
        "revision": "d3a7e0594d66",
    }
    ModelLoad.create(job=work, run=row, model=key, info=info, load_time_s=3.2, load_peak_mb=1800.0)
    for scenario in only:
        context, instructions = SCENARIOS[scenario]
        for place, instruction in enumerate(instructions):
            quality = qualities[scenario][place] if qualities else 0.8
            latency = latency_ms + 37 * place
            _reply(work, row, key, scenario, place, context, instruction, reply, quality, latency, failure)
    return work


def _reply(
    work: Job,
    row: Run,
    key: str,
    scenario: str,
    place: int,
    context: str,
    instruction: str,
    reply: str,
    quality: float,
    latency: float,
    failure: str | None,
) -> None:
    Reply.create(
        job=work,
        run=row,
        model=key,
        scenario_id=scenario,
        prompt=place,
        context=context,
        instruction=instruction,
        rendered="",
        seed=1,
        reply=reply,
        success=failure is None,
        failure=failure,
        checks={"one message": True},
        quality=0.0 if failure else quality,
        prompt_tokens=60,
        tokens=12,
        ttft_ms=latency / 4,
        latency_ms=latency,
        tokens_per_second=28.5,
        finish_reason="stop",
        peak_memory_mb=2100.0,
        created_at=START + dt.timedelta(hours=1),
    )


PATTERNS = [("Bro 😭", 281), ("Idk", 54), ("Yeah for sure", 48), ("On my way", 31), ("Lol", 203)]

STATS: dict[str, Any] = {
    "total_messages": 22507,
    "templates_extracted": len(PATTERNS),
    "similarity": 0.8,
    "coverage": 0.142,
    "coverage_range": [0.031, 0.273],
    "coverage_in_sample": 0.332,
    "coverage_baseline": 0.062,
    "coverage_baseline_source": "reported, 33 of 528, method unknown",
    "embedding_time_seconds": 312.4,
    "clustering_time_seconds": 2.1,
    "left_out": {"tapbacks": 1204, "one-time codes": 37},
}


def _tier(templates: int, right: int, fired: int, ends: list[float] | None) -> dict[str, Any]:
    precision = right / fired if fired else None
    return {"templates": templates, "right": right, "fired": fired, "n": fired} | {
        "precision": precision,
        "precision_ci": ends,
    }


def _rival(what: str, fired: int, right: int, among: int) -> dict[str, Any]:
    n = 3819
    return {"what": what, "turns": n, "fired": fired, "right": right, "among_three": among} | {
        "answered": right / n,
        "answered_ci": [0.0, 0.05],
        "answered_n": n,
        "top3": among / n,
        "top3_ci": [0.0, 0.08],
        "top3_n": n,
    }


#: What a mining adds to STATS when it had the matcher.
MEASURED: dict[str, Any] = {
    "precision_target": 0.8,
    "tiers": {
        "automatic": _tier(1, 45, 50, [0.786, 0.957]),
        "suggest": _tier(2, 5, 10, [0.237, 0.763]),
        "phrase": _tier(2, 0, 0, None),
    },
    "baselines": {
        "ranked": _rival("mined templates, ranked", 3819, 104, 203),
        "most frequent": _rival("always the same", 3819, 89, 157),
    },
    "duels": [
        {"mined": "ranked", "rival": "most frequent", "suggestions": 1, "mined_right": 104, "rival_right": 89},
        {"mined": "ranked", "rival": "exact", "suggestions": 3, "mined_right": 203, "rival_right": 203},
    ],
    "drift": {
        "newest": 0.031,
        "newest_n": 2250,
        "others": 4,
        "others_range": [0.12, 0.273],
        "differs": True,
    },
    "manual": {
        "templates": 4,
        "problem": None,
        "coverage": 0.021,
        "coverage_ci": [0.018, 0.024],
        "coverage_n": 9465,
        "unused": 0.75,
        "unused_ci": [0.301, 0.954],
        "unused_n": 4,
        "hit_rate": 0.01,
        "precision": None,
        "replaced_by": [{"name": "omw", "fired": False, "template": "On my way", "cosine": 0.93}],
    },
    "refused": {"money": 31},
}

#: How long a match took, as a mining stores it.
MATCH = {"match_mean_ms": 8.0, "match_p50_ms": 6.5, "match_n": 100, "match_problem": None}


def mining(
    row: Run,
    *,
    patterns: Sequence[tuple[str, int]] = tuple(PATTERNS),
    stats: Mapping[str, Any] | None = None,
    curve: Sequence[Mapping[str, Any]] | None = None,
    tiers: Sequence[str] = (),
) -> Job:
    """A finished mining with its templates and coverage curve."""
    work = job(row, "mine")
    points = [
        {"templates": k, "in_sample": 0.33 * (1 - 0.97**k), "held_out": 0.14 * (1 - 0.96**k)} for k in range(0, 121, 10)
    ]
    Mining.create(job=work, run=row, stats=STATS | dict(stats or {}), config={"similarity": 0.8}, curve=curve or points)
    for rank, (text, frequency) in enumerate(patterns, start=1):
        Template.create(
            uuid=f"{row.number:08d}-0000-4000-8000-{rank:012d}",
            job=work,
            run=row,
            rank=rank,
            representative=text,
            frequency=frequency,
            uses=frequency // 2,
            people=7,
            examples=[text],
            triggers=["hey"],
            tier=tiers[rank - 1] if tiers else "phrase",
            fired=4 if tiers else 0,
            right=3 if tiers else 0,
        )
    return work
