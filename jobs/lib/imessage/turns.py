"""Turns: the messages that came in until the owner answered, and the owner's answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.lib.imessage.history import Message

#: A longer silence ends a conversation: a message after it is not a reply.
MAX_GAP = dt.timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Turn:
    """An incoming turn and the owner's reply turn; `reply` is empty where there was none within the gap."""

    incoming: tuple[Message, ...]
    reply: tuple[Message, ...]

    @property
    def text(self) -> str:
        """The incoming messages as one text."""
        return " ".join(message.text for message in self.incoming)

    @property
    def when(self) -> dt.datetime:
        return self.incoming[-1].when

    @property
    def gap(self) -> dt.timedelta | None:
        """Time from the last incoming message to the owner's first; None without a reply."""
        return self.reply[0].when - self.when if self.reply else None


def turns(messages: Iterable[Message], max_gap: dt.timedelta = MAX_GAP) -> list[Turn]:
    """The turns of every chat, ordered by the end of what came in. `messages` are oldest first."""
    chats: dict[int, list[Message]] = {}
    for message in messages:
        chats.setdefault(message.chat, []).append(message)
    found = [turn for chat in chats.values() for turn in _of_chat(chat, max_gap)]
    return sorted(found, key=lambda turn: (turn.when, turn.incoming[-1].rowid))


def _of_chat(messages: list[Message], max_gap: dt.timedelta) -> Iterable[Turn]:
    incoming: list[Message] = []
    reply: list[Message] = []
    last: Message | None = None
    for message in messages:
        silent = last is not None and message.when - last.when > max_gap
        if incoming and (silent or (reply and not message.from_me)):
            yield Turn(tuple(incoming), tuple(reply))
            incoming, reply = [], []
        if not message.from_me:
            incoming.append(message)
        elif incoming:
            reply.append(message)
        last = message
    if incoming:
        yield Turn(tuple(incoming), tuple(reply))
