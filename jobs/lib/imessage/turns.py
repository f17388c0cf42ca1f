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
    previous: Message | None = None  #: the owner's last message before it in the same conversation

    @property
    def text(self) -> str:
        """The incoming messages as one text."""
        return " ".join(message.text for message in self.incoming)

    @property
    def when(self) -> dt.datetime:
        return self.incoming[-1].when

    @property
    def silence(self) -> dt.timedelta | None:
        """Time from the owner's message before it to the first of what came in; None where there was none."""
        return self.incoming[0].when - self.previous.when if self.previous else None

    @property
    def gap(self) -> dt.timedelta | None:
        """Time from the last incoming message to the owner's first; None without a reply."""
        return self.reply[0].when - self.when if self.reply else None


def turns(messages: Iterable[Message], max_gap: dt.timedelta = MAX_GAP) -> list[Turn]:
    """The turns of every chat, ordered by the end of what came in. `messages` are oldest first."""
    chats: dict[int, list[Message]] = {}
    for message in messages:
        chats.setdefault(message.chat, []).append(message)
    ordered = [turn for chat in chats.values() for turn in _of_chat(chat, max_gap)]
    return sorted(ordered, key=lambda turn: (turn.when, turn.incoming[-1].rowid))


def _of_chat(messages: list[Message], max_gap: dt.timedelta) -> Iterable[Turn]:
    incoming: list[Message] = []
    reply: list[Message] = []
    last: Message | None = None
    own: Message | None = None  # the owner's last message of this conversation
    previous: Message | None = None
    for message in messages:
        silent = last is not None and message.when - last.when > max_gap
        if incoming and (silent or (reply and not message.from_me)):
            yield Turn(tuple(incoming), tuple(reply), previous)
            incoming, reply = [], []
        own = None if silent else own
        if not message.from_me:
            previous = previous if incoming else own
            incoming.append(message)
        elif incoming:
            reply.append(message)
        own = message if message.from_me else own
        last = message
    if incoming:
        yield Turn(tuple(incoming), tuple(reply), previous)
