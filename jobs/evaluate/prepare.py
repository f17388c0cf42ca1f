"""The job `evaluate:prepare`: fix the held-out turns and the examples shown before them; measure the owner's style."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from jarvisd.plugin import JobContext, Outcome
from jobs.evaluate import earlier, examples, holdout
from jobs.lib import imessage
from jobs.lib.imessage import Message, Turn
from jobs.lib.results.tables import HeldOutTurn, TrainTestSplit, TurnExample

#: Fewer cannot tell models apart.
FEWEST = 8


def prepare(context: JobContext) -> Outcome:
    """Fix the run's cut and choose its turns, once; then the yardsticks of style. Raises JobFailed without chat.db."""
    history = imessage.read(Path(context.plan["messages"]), context.home.cache)
    cut = TrainTestSplit.get_or_none(TrainTestSplit.run == context.run_id) or _fix(context, history.messages)
    if cut is None:
        return Outcome(reason="no turn of yours was answered in a direct chat", summary={"turns": 0})
    _measure_style(context, history.messages, cut.at)
    context.progress(1, 1)
    chosen: int = cut.chosen
    remark = f"only {chosen} of your turns can be asked, {FEWEST} are needed" if chosen < FEWEST else ""
    return Outcome(reason=remark, summary={"turns": chosen, "after_the_cut": cut.turns_after})


def _fix(context: JobContext, messages: Sequence[Message]) -> TrainTestSplit | None:
    """Store the split, the turns after it and the examples from before it, in one checkpoint."""
    turns = imessage.turns(messages)
    at = holdout.instant(turns)
    if at is None:
        return None
    usable = [turn for turn in turns if holdout.is_usable(turn, at)]
    chosen = holdout.choose(usable)
    own = sum(message.from_me and message.when < at for message in messages)
    wanted = context.plan.get("evaluate", {}).get("turn_examples", 0)  # a run of an earlier version shows none
    shown = examples.choose(earlier.own_turns(messages, at), wanted)
    with context.checkpoint():
        cut: TrainTestSplit = TrainTestSplit.create(
            run=context.run_id, at=at, own_before=own, turns_after=len(usable), chosen=len(chosen)
        )
        if chosen:
            HeldOutTurn.insert_many(_rows(context.run_id, chosen)).execute()
        for place, turn in enumerate(shown):
            TurnExample.create(run=context.run_id, place=place, incoming=turn.incoming, answer=turn.answer)
    context.log.info("%d own messages before the cut, %d turns after it, %d chosen", own, len(usable), len(chosen))
    context.log.info("%d earlier turns are shown to every model", len(shown))
    return cut


def _rows(run_id: str, chosen: Sequence[tuple[int, Turn]]) -> list[dict[str, object]]:
    return [
        {
            "run": run_id,
            "place": place,
            "chat": chat,
            "incoming": turn.text,
            "answer": holdout.answer(turn),
            "sent_at": turn.reply[0].when,
        }
        for place, (chat, turn) in enumerate(chosen)
    ]


def _measure_style(context: JobContext, messages: Sequence[Message], at: dt.datetime) -> None:
    """The yardsticks of style from what lies before the cut."""
    from jobs.evaluate.metrics import style

    before = [message for message in messages if message.when < at]
    own = [message.text for message in before if message.from_me]
    fitted = style.yardsticks(own, [message.text for message in before if not message.from_me])
    with context.checkpoint():
        style.store(context.run_id, fitted)
