"""The rows of a finished night as an owner finds it in the morning: a comparison, templates, and drafts to review."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from jarvisd.store.models import Job, Run
from jobs.lib.results.tables import HeldOutDraft, Reply, Template
from tests.integration import report_nights
from tests.integration.report_nights import SCENARIOS, START

#: A model that JARVIS knows by an id, so that it can be deployed without being on this disk.
KNOWN = "mlx-community/LFM2.5-1.2B-Instruct-4bit"
KNOWN_ID = "lfm-1.2b"
NAMES = {"smol": "SmolLM3 3B", "lfm": "LFM2.5 1.2B", "tiny": "Qwen2.5 0.5B"}
_LEVELS = {"smol": 0.62, "lfm": 0.93, "tiny": 0.31}
#: Replies of each model, by scenario and prompt.
_REPLIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lfm": {
        "dinner-invite": ("yes!! what time", "can't tomorrow, thursday?", "sure, when?"),
        "parent-request": ("yep, on it", "already got it :)", "can't today, sorry mom"),
        "work-message": ("saw it, looks good", "not yet, will look after lunch", "thanks for the update!"),
        "friend-banter": ("hahaha", "right?? that ending"),
        "running-late": ("no worries!", "ok see you soon"),
    },
    "smol": {
        "dinner-invite": ("Yes, I would love to!", "I can't make it. Another time?", "What time works for you?"),
        "parent-request": ("Sure, I will get milk.", "I already picked it up.", "I can't right now, sorry."),
        "work-message": ("Yes, I saw it. Great work.", "Not yet, I will check it soon.", "Thank you for the update."),
        "friend-banter": ("lol", "I agree, that was funny!"),
        "running-late": ("No problem at all!", "Okay, see you soon."),
    },
    "tiny": {
        "dinner-invite": ("Dinner is a good idea.", "Dinner another time is good.", "Time is good."),
        "parent-request": ("I can pick up milk milk", "The milk is here", "No I am not able"),
        "work-message": ("The project is updated", "I will check the check", "Thanks you"),
        "friend-banter": ("That was so funny lol", "It was and is funny"),
        "running-late": ("I am running late too", "Ok you will see"),
    },
}
#: Replies of the owner that became templates: text, number of messages, where they answer.
PATTERNS = [("On my way", 31), ("Sounds good", 54), ("haha", 203), ("Yeah for sure", 48), ("Idk", 40)]
_INCOMING = (
    "where are you??",
    "8 at mine then?",
    "look at this dog",
    "you coming on friday?",
    "is the shop open today",
)


def morning(name: str = "2026-11-27-overnight", worse: float = 0.0) -> Run:
    """A night of three models and a mining, with its report's job; the present model is `smol`.

    `worse` is taken from the quality of every reply.
    """
    repos = {"smol": "mlx-community/SmolLM3-3B-4bit", "lfm": KNOWN, "tiny": "mlx-community/Qwen2.5-0.5B-Instruct-4bit"}
    models = [{"key": key, "name": called, "repo": repos[key]} for key, called in NAMES.items()]
    row = report_nights.run(name, plan={"evaluate": {"models": models}})
    for key in NAMES:
        _model(row, key, worse)
    _drafts(report_nights.mining(row, patterns=PATTERNS, tiers=["suggest"] * len(PATTERNS)))
    report_nights.job(row, "report")
    return row


def _model(row: Run, key: str, worse: float) -> None:
    levels = {
        scenario: [min(1.0, _LEVELS[key] - worse + 0.03 * place)] * len(prompts)
        for place, (scenario, (_, prompts)) in enumerate(SCENARIOS.items())
    }
    report_nights.model(row, key, NAMES[key], qualities=levels, latency_ms=2600 if key == "smol" else 900)
    for scenario, replies in _REPLIES[key].items():
        for place, text in enumerate(replies):
            row_of = (Reply.run == row, Reply.model == key, Reply.scenario_id == scenario, Reply.prompt == place)
            Reply.update(reply=text).where(*row_of).execute()


def _drafts(work: Job, turns: int = 400) -> None:
    """Held-out turns, of which every fourth was answered in other words than the template's."""
    uuids = [str(row.uuid) for row in Template.select().where(Template.job == work).order_by(Template.rank)]
    rows = []
    for place in range(turns):
        share, which = round(0.95 - 0.8 * place / turns, 6), place % len(PATTERNS)
        reply = PATTERNS[which][0] if place % 4 else "not today, talk later"
        rows.append(
            {
                "job": work,
                "run": work.run,
                "place": place,
                "chat": place % 7,
                "sent_at": START - dt.timedelta(days=30) + dt.timedelta(minutes=place),
                "previous": "ok see you at eight" if place % 3 else None,
                "incoming": f"hey\n{_INCOMING[which]}",
                "answer": reply,
                "drafts": [[uuids[which], share]],
                "probability": share,
            }
        )
    for begin in range(0, turns, 100):
        HeldOutDraft.insert_many(rows[begin : begin + 100]).execute()
