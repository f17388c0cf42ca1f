"""The corpus as one person's messages: the conversations of `chitchat-dataset`, seen from its busiest writer.

The package holds one JSON object: conversation id -> {"messages": [[{"text", "timestamp", "sender"}, …], …]},
where an inner list is the messages that one sender wrote in a row and a timestamp is ISO 8601 in UTC. A
conversation has one or two senders. Conversations with the same partner become one chat; where nobody
answered, the conversation is a chat of its own.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Whose messages become the user's own: 23,661 of them, to 142 people who wrote back.
OWNER = "549cc1d1-270e-4a53-b561-133a8d0086b4"
#: Where the wheel holds the conversations.
MEMBER = "chitchat_dataset/dataset.json"


@dataclass(frozen=True)
class Said:
    """One typed message."""

    conversation: str
    place: int  #: in its conversation, from 0
    partner: str  #: the other person, or the conversation's id if it has no answer
    from_me: bool
    text: str
    when: dt.datetime  #: with zone


def read(data: bytes, owner: str = OWNER) -> list[Said]:
    """Every message of the owner's conversations, oldest first. Raises ValueError for another form."""
    conversations = json.loads(data)
    try:
        messages = [message for key, value in conversations.items() for message in _messages(key, value, owner)]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the corpus is not in the expected form ({type(error).__name__})") from error
    return sorted(messages, key=lambda message: (message.when, message.conversation, message.place))


def _messages(key: str, conversation: dict[str, Any], owner: str) -> Iterator[Said]:
    """The messages of one conversation; none when the owner took no part in it."""
    messages = [message for run in conversation["messages"] for message in run]
    senders = {message["sender"] for message in messages}
    if owner not in senders:
        return
    partner = next(iter(sorted(senders - {owner})), key)
    for place, message in enumerate(messages):
        when = dt.datetime.fromisoformat(message["timestamp"])
        yield Said(key, place, partner, message["sender"] == owner, message["text"], when)
