"""The Messages database: chat.db, read-only, as messages, people and turns."""

from __future__ import annotations

from jobs.imessage.history import History, Message, probe, read
from jobs.imessage.turns import Turn, turns

__all__ = ["History", "Message", "Turn", "probe", "read", "turns"]
