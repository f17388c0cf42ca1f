"""A chat.db for tests, with the tables of macOS, filled row by row.

db = ChatDB(path)
anna = db.direct("+4915112345678")          # a chat
db.add("hey", chat=anna)                    # incoming
db.add("hi there", chat=anna, from_me=True)
db.close()
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from pathlib import Path
from typing import Any

from jobs.lib.imessage.schema import create, encode_attributed_body

EPOCH = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
START = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


class ChatDB:
    """A growing chat.db. Without a date a row comes one minute after the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = sqlite3.connect(path)
        create(self.connection)
        self.now = START
        self._handles: dict[int, int] = {}  # chat -> the handle its incoming rows come from

    def handle(self, name: str, service: str = "iMessage", person: str | None = None) -> int:
        return self._insert("handle", id=name, service=service, person_centric_id=person)

    def direct(self, name: str, service: str = "iMessage", person: str | None = None, **columns: Any) -> int:
        """A chat with one person; the ROWID of the chat."""
        handle = self.handle(name, service, person)
        guid = f"{service};-;{name}"
        chat = self._insert("chat", guid=guid, style=45, chat_identifier=name, service_name=service, **columns)
        self._insert("chat_handle_join", chat_id=chat, handle_id=handle)
        self._handles[chat] = handle
        return chat

    def group(self, *handles: int) -> int:
        name = f"chat{uuid.uuid4().int % 10**12}"
        chat = self._insert("chat", guid=f"iMessage;+;{name}", style=43, chat_identifier=name)
        for handle in handles:
            self._insert("chat_handle_join", chat_id=chat, handle_id=handle)
        self._handles[chat] = handles[0]
        return chat

    def add(
        self,
        text: str | None,
        *,
        chat: int | None,
        from_me: bool = False,
        body: bytes | str | None = None,
        when: dt.datetime | None = None,
        seconds: bool = False,
        **columns: Any,
    ) -> int:
        """A row; `body` is the text or the bytes of attributedBody, `seconds` writes the date as old rows have it."""
        self.now = when or self.now + MINUTE
        unit = 1 if seconds else 10**9
        values = {
            "guid": str(uuid.uuid4()),
            "text": text,
            "attributedBody": encode_attributed_body(body) if isinstance(body, str) else body,
            "handle_id": 0 if from_me else self._handles.get(chat or 0, 0),
            "is_from_me": int(from_me),
            "date": int((self.now - EPOCH).total_seconds()) * unit,
            **columns,
        }
        row = self._insert("message", **values)
        if chat is not None:
            self.join(chat, row)
        return row

    def join(self, chat: int, message: int) -> None:
        self._insert("chat_message_join", chat_id=chat, message_id=message)

    def close(self) -> Path:
        self.connection.commit()
        self.connection.close()
        return self.path

    def _insert(self, table: str, **values: Any) -> int:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        cursor = self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)
