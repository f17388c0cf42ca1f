"""chat.db as messages between people.

history = read(Path("~/Library/Messages/chat.db").expanduser(), home.cache)
history.messages      # what was typed, oldest first
history.left_out      # Counter: how many rows were something else, by reason
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jarvisd.plugin import JobFailed
from jobs.lib.imessage.database import is_too_big, snapshot
from jobs.lib.imessage.rows import Chat, Row, classify, columns, is_automated, query

_EPOCH = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
#: Dates above this count nanoseconds, the older ones seconds.
_NANOSECONDS_FROM = 10**11
_LAST_SECOND = 4 * 10**9  # in 2127: a later date is damage
_BEFORE_THE_FIRST = -(2**63)  # smaller than any ROWID but one
_GROUP = 43  # chat.style; 45 is a direct chat


@dataclass(frozen=True, slots=True)
class Message:
    """Something a person typed."""

    rowid: int
    chat: int  #: ROWID of its chat
    is_group: bool
    person: str  #: who wrote it, or to whom it went in a direct chat; "" for own messages in a group
    from_me: bool
    when: dt.datetime  #: UTC
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """A chat.db, read."""

    messages: list[Message]  #: oldest first
    left_out: Counter[str]  #: own rows that are no message, by reason
    left_out_incoming: Counter[str]  #: the same of rows of other people


def probe(path: Path, cache: Path | None = None) -> int:
    """The number of messages. Raises JobFailed where `read` would fail or find nothing to mine.

    Takes milliseconds, but does not return while macOS asks for permission on the screen.
    """
    with snapshot(path, cache) as connection:
        count = int(connection.execute("SELECT count(*) FROM message").fetchone()[0])
        if not count:
            raise _empty(path)
        if "is_from_me" not in columns(connection, "message"):
            raise JobFailed(f"{path} is not a Messages database: it does not say who wrote a message")
        if connection.execute("SELECT 1 FROM message WHERE is_from_me = 1 LIMIT 1").fetchone() is None:
            raise _none_of_mine(path)
    return count


def read(path: Path, cache: Path | None = None) -> History:
    """Every message of the database at `path`. Raises JobFailed: missing, not a database, locked, forbidden, empty."""
    with snapshot(path, cache) as connection:
        history = _read(connection)
    if not history.messages and not history.left_out and not history.left_out_incoming:
        raise _empty(path)
    if not any(message.from_me for message in history.messages):
        raise _none_of_mine(path)
    history.messages.sort(key=lambda message: (message.when, message.rowid))
    return history


def _read(connection: sqlite3.Connection) -> History:
    people, automated = _people(connection)
    chats = _chats(connection, people, automated)
    history = History([], Counter(), Counter())
    for row in _rows(connection, history):
        chat = chats.get(row.chat or 0)
        from_me = bool(row.from_me)
        text, reason = classify(row, chat, not from_me and row.handle in automated)
        when = instant(row.date)
        if text is None or chat is None or when is None:
            (history.left_out if from_me else history.left_out_incoming)[reason or "undated"] += 1
            continue
        person = chat.partner if from_me else people.get(row.handle or 0, chat.partner)
        history.messages.append(Message(row.rowid, row.chat or 0, chat.is_group, person, from_me, when, text))
    return history


def _rows(connection: sqlite3.Connection, history: History) -> Iterator[Row]:
    """Every row of `message`. One with a value that is too large to be read is counted as left out."""
    statement, last = query(connection), _BEFORE_THE_FIRST
    while True:
        try:
            for row in map(Row._make, connection.execute(statement, (last,))):
                last = row.rowid
                yield row
            return
        except sqlite3.Error as error:
            if not is_too_big(error):
                raise
        # The module reads one row ahead, so the next row may be a good one that was lost with the error.
        number, row_read = _next_row(connection, f"{statement} LIMIT 1", last, history)
        if row_read is not None:
            yield row_read
        last = number


def _next_row(connection: sqlite3.Connection, statement: str, last: int, history: History) -> tuple[int, Row | None]:
    """ROWID and contents of the row behind `last`; None, and counted as left out, where a value is too large."""
    try:
        row = Row._make(connection.execute(statement, (last,)).fetchone())
        return row.rowid, row
    except sqlite3.Error as error:
        if not is_too_big(error):
            raise
    numbers = "SELECT ROWID, CAST(is_from_me AS INTEGER) FROM message WHERE ROWID > ? ORDER BY ROWID LIMIT 1"
    rowid, from_me = connection.execute(numbers, (last,)).fetchone()
    (history.left_out if from_me else history.left_out_incoming)["too long"] += 1
    return int(rowid), None


def instant(date: int | None) -> dt.datetime | None:
    """A date of chat.db: seconds or nanoseconds since 2001 in UTC; 0 and NULL mean never."""
    if not date or date < 0:
        return None
    micro = date // 1000 if date > _NANOSECONDS_FROM else date * 1_000_000
    return _EPOCH + dt.timedelta(microseconds=micro) if micro < _LAST_SECOND * 1_000_000 else None


def _people(connection: sqlite3.Connection) -> tuple[dict[int, str], set[int]]:
    """Handle -> person, and the handles of machines. macOS groups handles under person_centric_id."""
    have = columns(connection, "handle")
    wanted = ("id", "service", "person_centric_id")
    selected = ", ".join(f"CAST({name} AS TEXT)" if name in have else "NULL" for name in wanted)
    rows = connection.execute(f"SELECT ROWID, {selected} FROM handle").fetchall()  # noqa: S608  # names of this file
    # One handle may stand here once per service, and only one of the rows may know its person.
    known = {name: person for _, name, _, person in rows if name and person}
    people = {rowid: known.get(name, name or f"handle {rowid}") for rowid, name, _, _ in rows}
    return people, {rowid for rowid, name, service, _ in rows if is_automated(name or "", service or "")}


def _chats(connection: sqlite3.Connection, people: dict[int, str], automated: set[int]) -> dict[int, Chat]:
    members = _members(connection)
    have = columns(connection, "chat")
    wanted = ("style", "is_filtered", "is_blackholed")
    selected = ", ".join(f"CAST({name} AS INTEGER)" if name in have else "NULL" for name in wanted)
    identifier = "CAST(chat_identifier AS TEXT)" if "chat_identifier" in have else "NULL"
    chats: dict[int, Chat] = {}
    for rowid, style, filtered, blackholed, name in connection.execute(
        f"SELECT ROWID, {selected}, {identifier} FROM chat"  # noqa: S608  # names of this file
    ):
        handles = members.get(rowid, [])
        is_group = style == _GROUP or (style is None and len(handles) > 1)
        partner = people.get(handles[0], "") if handles else name or ""
        chats[rowid] = Chat(
            is_group=is_group,
            partner="" if is_group else partner or f"chat {rowid}",
            filtered=bool(filtered or blackholed),
            automated=bool(handles) and all(handle in automated for handle in handles),
        )
    return chats


def _members(connection: sqlite3.Connection) -> dict[int, list[int]]:
    """Chat -> handles of the others: the table does not list the owner."""
    members: dict[int, list[int]] = {}
    if columns(connection, "chat_handle_join"):
        for chat, handle in connection.execute(
            "SELECT chat_id, handle_id FROM chat_handle_join ORDER BY chat_id, handle_id"
        ):
            members.setdefault(chat, []).append(handle)
    return members


def _empty(path: Path) -> JobFailed:
    return JobFailed(
        f"{path} holds no messages", "Switch on Messages in iCloud, or name another database with messages:."
    )


def _none_of_mine(path: Path) -> JobFailed:
    return JobFailed(f"{path} holds no message that you sent", "Name the database of the account that you write from.")
