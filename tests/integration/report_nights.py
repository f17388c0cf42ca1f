"""Nights as rows of a real database: what the tests of the report render."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store import migrations, models, queries
from jarvisd.store.models import Job, Run, Status
from jobs.lib.results.tables import (
    OWNER,
    REAL_TURNS,
    Cause,
    HeldOutTurn,
    LeftOut,
    Mining,
    ModelLoad,
    ReferenceScore,
    Reply,
    Score,
    Template,
    TrainTestSplit,
    TurnExample,
    Vote,
)
from jobs.report import render

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
    made = Home(folder, "--home")
    made.make()
    migrations.migrate(made)
    return made


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


# ---------------------------------------------------------------------------------------- a night of two rounds


@dataclass(frozen=True)
class Candidate:
    """A model of the night of two rounds; the shares are what it reaches on average."""

    key: str
    name: str
    checks: float
    style: float
    latency_ms: float
    peak_mb: float
    texts: Sequence[str]
    fails_every: int = 0  #: each so many-th reply; 0 = never
    thinking: int = 0
    cold: float = 1.2  #: first reply as a multiple of the usual one
    chat: bool = True
    licence: str = "apache-2.0"


CANDIDATES = (
    Candidate("qwen3-4b", "Qwen3 4B", 0.92, 0.61, 2140, 2710, ("haha yes! see you at 7", "yeah im in", "for sure")),
    Candidate("smollm3-3b", "SmolLM3 3B", 0.9, 0.55, 1480, 2150, ("All good, take your time!",), cold=3.4),
    Candidate(
        "qwen2.5-1.5b", "Qwen2.5 1.5B", 0.71, 0.34, 720, 1240, ("No worries! See you soon", "Sure, sounds good!")
    ),
    Candidate(
        "ministral-3-3b", "Ministral 3 3B", 0.84, 0.42, 1910, 6900, ("Absolutely, I'd love to!",), licence="other"
    ),
    Candidate("lfm2-1.2b", "LFM2 1.2B", 0.55, 0.3, 510, 930, ("Okay", "Yes."), thinking=240, chat=False),
    Candidate("gemma-3-270m", "Gemma 3 270M", 0.3, 0.2, 260, 620, ("Hello! How can I help?",), fails_every=4),
)

TURNS = [
    ("you coming tonight?", "ya leaving in 10", 0),
    ("did u eat", "nah wbu", 1),
    ("happy birthday!!", "ahh thank u 😭", 2),
    ("Can you send me the address", "12 Elm st, ring twice", 3),
    ("lol what was that", "no idea 💀", 0),
    ("are we still on for sunday", "yep 11 works", 4),
    ("שלום, מתי אתה מגיע?", "בשעה שש", 5),
    ("mom says call her", "ok will do", 6),
]


def two_rounds(
    name: str = "2026-11-22-overnight", *, better: float = 0.0, samples: int = 3, turns: int = 16, votes: bool = True
) -> Run:
    """Mining, six models of which one is gated by memory, one by failures and one plain; scenarios, real turns,
    layers, votes. `better` is added to what every model reaches."""
    row = run(name, plan={"report": {}}, warnings=["1 model is not on this disk"])
    mining(row, stats=MEASURED | {"hit_rate": 0.12} | MATCH, tiers=("phrase",) * 3 + ("suggest", "automatic"))
    TrainTestSplit.create(run=row, at=START - dt.timedelta(days=90), own_before=18210, turns_after=2644, chosen=turns)
    for place in range(turns):
        incoming, answer, chat = TURNS[place % len(TURNS)]
        HeldOutTurn.create(
            run=row, place=place, chat=chat + place // 8, incoming=incoming, answer=answer, sent_at=START
        )
    for place in range(6):
        TurnExample.create(run=row, place=place, incoming="you there?", answer="yeah lol")
    for number, candidate in enumerate(CANDIDATES):
        _candidate(row, candidate, number, better, samples, turns)
    for layer, what, value in (
        ("style", "ceiling", 0.83),
        ("style", "ceiling, scaled", 0.71),
        ("style", "floor", 0.41),
        ("style", "floor, scaled", 0.4),
        ("meaning", "random", 0.19),
        ("meaning", "random, scaled", 0.06),
    ):
        ReferenceScore.create(
            run=row, metric=layer, reference=what, value=value, low=value - 0.04, high=value + 0.03, n=400
        )
    job(row, "layers", round=2, kind="evaluate")
    behind = {"leader": "qwen3-4b", "mean": 0.2, "low": 0.1, "high": 0.3, "p_holm": 0.003}
    LeftOut.create(run=row, round=2, model="lfm2-1.2b", cause=Cause.BEHIND, details=behind)
    job(row, "evaluate:gone", Status.FAILED, "the model is not on this disk. Fetch it.")
    if votes:
        _votes(row)
    job(row, "report", Status.SUCCEEDED)
    return row


def _candidate(row: Run, one: Candidate, number: int, better: float, samples: int, turns: int) -> None:
    """One model in two rounds: every prompt once and timed, then more samples in batches and the real turns."""
    info = {
        "name": one.name,
        "path": f"/models/{one.key}",
        "revision": "d3a7e0594d66",
        "licence": one.licence,
        "chat_template": one.chat,
        "weights_mb": one.peak_mb * 0.82,
    }
    for round_ in (1, 2):
        work = job(row, f"evaluate:{one.key}", round=round_)
        ModelLoad.create(
            job=work,
            run=row,
            model=one.key,
            info=info,
            load_time_s=2.4 + number,
            load_peak_mb=one.peak_mb * 0.85,
            first_reply_ms=one.latency_ms * one.cold,
            process_mb=one.peak_mb + 260,
            conditions={"power": "mains", "free_mb": 3900 - 100 * number, "swap_mb": 12},
        )
        prompts = [
            (scenario, place, context, instruction, sample)
            for scenario, (context, instructions) in SCENARIOS.items()
            for place, instruction in enumerate(instructions)
            for sample in ((1,) if round_ == 1 else range(2, samples + 1))
        ]
        if round_ == 2:
            prompts += [(REAL_TURNS, p, TURNS[p % len(TURNS)][0], "Reply the way I would", 1) for p in range(turns)]
        for place, prompt in enumerate(prompts):
            _two_round_reply(row, work, one, round_, 97 * number + place, prompt, better)


def _two_round_reply(
    row: Run, work: Job, one: Candidate, round_: int, count: int, prompt: tuple[str, int, str, str, int], better: float
) -> None:
    scenario, place, context, instruction, sample = prompt
    wobble = ((count * 37 + place * 11 + len(scenario)) % 17 - 8) / 60
    failed = bool(one.fails_every) and count % one.fails_every == 0
    batched = sample > 1
    latency = None if batched else one.latency_ms * (1 + wobble)
    share = round(6 * min(1.0, max(0.0, one.checks + better + wobble))) / 6
    reply = Reply.create(
        job=work,
        run=row,
        round=round_,
        model=one.key,
        scenario_id=scenario,
        prompt=place,
        sample=sample,
        context=context,
        instruction=instruction,
        rendered=f"<|user|>\n{instruction}\n{context}\n<|assistant|>\n",
        seed=1000 * place + sample,
        reply="" if failed else one.texts[count % len(one.texts)],
        thinking=one.thinking if count % 5 == 0 else 0,
        success=not failed,
        failure="no text" if failed else None,
        checks={"one message": not failed},
        quality=0.0 if failed else share,
        batched=batched,
        tokens=12,
        ttft_ms=None if latency is None else latency / 4,
        latency_ms=latency,
        inter_token_ms=None if latency is None else latency / 16,
        tokens_per_second=None if latency is None else 24000 / latency,
        characters_per_second=None if latency is None else 31000 / latency,
        finish_reason="stop",
        peak_memory_mb=one.peak_mb,
        bits_per_character=1.8 + one.latency_ms**-0.2 if scenario == REAL_TURNS else None,
        created_at=START + dt.timedelta(hours=round_, seconds=count * 3),
    )
    if not failed:
        Score.create(reply=reply, metric="style", value=min(1.0, max(0.0, one.style + better + wobble)))
        if scenario == REAL_TURNS:
            Score.create(reply=reply, metric="meaning", value=min(1.0, max(0.0, one.style / 2 + wobble)))
            Score.create(reply=reply, metric="own_turns", value=0.6 * share + 0.3 * (one.style + better + wobble))


def _votes(row: Run) -> None:
    """A dozen and two votes of the owner between the first three."""
    by_model = {
        one.key: list(Reply.select().where(Reply.run == row, Reply.model == one.key, Reply.sample == 1).limit(13))
        for one in CANDIDATES[:3]
    }
    keys = list(by_model)
    for number in range(14):
        left, right = keys[number % 3], keys[(number + 1) % 3]
        choice = ("left", "right", "left", "tie", "both bad", "left")[number % 6]
        pair = (by_model[left][number % 13], by_model[right][number % 13])
        Vote.create(run=row, by=OWNER, left=pair[0], right=pair[1], choice=choice, created_at=START)


# ------------------------------------------------------------------------------------------------ what is read back

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> [link](javascript:alert(1)) ![i](https://e.com/i.png)"
    " | pipe ```` \u202ebidi \x1b[31mred {{7*7}} {% raw %} $x^2$ </text></svg></style>\nnext line"
)


class Tags(HTMLParser):
    """Names of the tags of a page, the text outside of styles, and its policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}
        given = dict(attrs)
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(row: Run, here: Home) -> tuple[Path, list[str]]:
    """Render into the run's folder; the folder and what could not be rendered."""
    folder = here.run_folder(row.id)

    def publish(name: str, text: str) -> Path:
        order.append(name)
        return files.replace(folder / name, text)

    order: list[str] = []
    problems = render.render(row.id, here, publish)
    assert order[-1] == "REPORT.md"
    return folder, problems


def outside_blocks(text: str) -> str:
    """Markdown without its fenced blocks, which show their content as it is."""
    kept, fence = [], ""
    for line in text.splitlines():
        if not fence and line.startswith("```"):
            fence = line.removesuffix("text")
        elif fence and line == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    assert not fence
    return "\n".join(kept)
