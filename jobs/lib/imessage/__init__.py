"""The Messages database: chat.db, read-only, as messages, people and turns."""

from __future__ import annotations

from jobs.lib.imessage.history import History, Message, probe, read
from jobs.lib.imessage.turns import Turn, turns

__all__ = ["History", "Message", "Turn", "probe", "read", "turns"]
