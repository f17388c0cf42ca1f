"""A night of two rounds: six models, scenarios and held-out turns, metrics and votes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from jarvisd.store.models import Job, Run, Status
from jobs.lib.results.tables import (
    OWNER,
    REAL_TURNS,
    Cause,
    HeldOutTurn,
    LeftOut,
    ModelLoad,
    ReferenceScore,
    Reply,
    Score,
    TrainTestSplit,
    TurnExample,
    Vote,
)
from tests.integration.report_nights import MATCH, MEASURED, SCENARIOS, START, job, mining, run


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
    """Mining, six models of which one fails the gate of memory, one by failures and one plain; scenarios, real turns,
    metrics, votes. `better` is added to what every model reaches."""
    row = run(name, plan={"report": {}}, warnings=["1 model is not on this disk"])
    mining(
        row,
        stats=MEASURED | {"hit_rate": 0.12, "answered": 0.1} | MATCH,
        tiers=("phrase",) * 3 + ("suggest", "automatic"),
    )
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
    for metric, reference, value, n in (
        ("style", "ceiling", 0.83, 400),
        ("style", "ceiling, scaled", 0.71, 400),
        ("style", "floor", 0.41, 400),
        ("style", "floor, scaled", 0.4, 400),
        ("meaning", "random", 0.19, 400),
        ("meaning", "random, scaled", 0.06, 400),
        ("checks", "canned", 0.5, 13),
        ("own_turns", "canned", 0.12, 8),
        ("own_turns", "another", 0.55, 8),
        ("own_turns", "real", 0.95, 8),
    ):
        ReferenceScore.create(
            run=row, metric=metric, reference=reference, value=value, low=value - 0.04, high=value + 0.03, n=n
        )
    job(row, "metrics", round=2, kind="evaluate")
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
