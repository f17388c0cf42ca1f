"""Which rows of chat.db are messages, and under which reason the others are counted."""

from __future__ import annotations

import datetime as dt
import plistlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jarvisd.errors import JobFailed
from jobs.lib import imessage
from jobs.lib.imessage.history import instant
from jobs.lib.imessage.rows import Chat, Row, classify
from jobs.lib.imessage.schema import encode_attributed_body
from jobs.lib.imessage.typedstream import ONE_TIME_CODE
from tests.chatdb import START, ChatDB

URL = "com.apple.messages.URLBalloonProvider"
UNSENT = plistlib.dumps({"otr": {"0": {}}, "rp": [0]}, fmt=plistlib.FMT_BINARY)
UNSENT_IN_PART = plistlib.dumps({"otr": {"0": {}, "1": {}}, "rp": [0]}, fmt=plistlib.FMT_BINARY)


@pytest.fixture
def db(tmp_path: Path) -> ChatDB:
    return ChatDB(tmp_path / "chat.db")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"associated_message_type": 2000}, "tapbacks"),
        ({"associated_message_type": 2006, "associated_message_emoji": "🔥"}, "tapbacks"),
        ({"associated_message_type": 3001}, "tapbacks"),
        ({"associated_message_type": 1000}, "stickers"),
        ({"associated_message_type": 2007}, "stickers"),
        ({"associated_message_type": 4000}, "polls"),
        ({"balloon_bundle_id": "com.apple.messages.Polls"}, "polls"),
        ({"associated_message_type": 2}, "apps, links and payments"),
        ({"associated_message_type": 3}, "apps, links and payments"),
        ({"balloon_bundle_id": URL}, "apps, links and payments"),
        ({"item_type": 1}, "group and system events"),
        ({"item_type": 2, "group_title": "us"}, "group and system events"),
        ({"item_type": 3}, "group and system events"),
        ({"item_type": 4}, "group and system events"),
        ({"item_type": 6}, "group and system events"),
        ({"is_system_message": 1}, "group and system events"),
        ({"is_auto_reply": 1}, "automatic replies"),
        ({"date_retracted": 1}, "unsent"),
        ({"date_edited": 1, "message_summary_info": UNSENT}, "unsent"),
        ({"is_spam": 1}, "filtered or spam"),
        ({"body": b"garbage", "text": None}, "undecodable"),
        ({"text": None}, "empty"),
        ({"text": "  \ufffc "}, "empty"),
        ({"text": "\ufffc", "cache_has_attachments": 1}, "attachments without text"),
        ({"text": "Liked “see you”"}, "tapbacks sent as text"),
        ({"text": "Loved an image"}, "tapbacks sent as text"),
        ({"text": "Reacted 🔥 to “see you”"}, "tapbacks sent as text"),
        ({"text": "Removed a heart from “see you”"}, "tapbacks sent as text"),
        ({"text": "Removed a 😂 from “see you”"}, "tapbacks sent as text"),
        ({"text": "Removed an exclamation from an image"}, "tapbacks sent as text"),
        ({"text": "Reacted with a sticker to “see you”"}, "tapbacks sent as text"),
        ({"text": "Loved an audio message"}, "tapbacks sent as text"),
        ({"body": b"x" + ONE_TIME_CODE}, "one-time codes"),
        ({"date": 0}, "undated"),
        ({"chat": None}, "in no chat (deleted)"),
    ],
)
def test_rows_that_no_person_typed_are_left_out_by_reason(db: ChatDB, columns: dict[str, Any], reason: str) -> None:
    chat = db.direct("+15550001")
    db.add("a real one", chat=chat, from_me=True)
    db.add(**{"text": "hello", "chat": chat, "from_me": True, **columns})
    history = imessage.read(db.close())
    assert history.left_out == {reason: 1}
    assert [message.text for message in history.messages] == ["a real one"]


@pytest.mark.parametrize(
    "text",
    [
        "Loved it",
        "Liked your idea",
        "Removed a tree from the garden today",
        "Reacted badly",
        "Liked a guy",
        "Loved a lot",
    ],
)
def test_texts_that_only_look_like_tapbacks_stay(db: ChatDB, text: str) -> None:
    db.add(text, chat=db.direct("+15550001"), from_me=True)
    assert [message.text for message in imessage.read(db.close()).messages] == [text]


@pytest.mark.parametrize("damaged", [UNSENT_IN_PART, UNSENT[:30], b"bplist00" + b"\xff" * 40, b"nonsense"])
def test_an_edited_message_counts_in_its_last_form(db: ChatDB, damaged: bytes) -> None:
    chat = db.direct("+15550001")
    db.add(None, body="the last form", chat=chat, from_me=True, date_edited=5, message_summary_info=damaged)
    assert [message.text for message in imessage.read(db.close()).messages] == ["the last form"]


def edits(*forms: tuple[float, str]) -> bytes:
    """message_summary_info of a message of one part that had these forms."""
    history = [{"d": when, "t": encode_attributed_body(text)} for when, text in forms]
    return plistlib.dumps({"ec": {"0": history}, "otr": {"0": {"lo": 0, "le": 4}}}, fmt=plistlib.FMT_BINARY)


EDITS = edits((2.0, "the last form"), (1.0, "the first form"))


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("the first form", "the last form"),
        (None, "the last form"),
        (None, None),
        (None, b"garbage"),
        ("the first form", None),
        ("", "\ufffc"),
    ],
)
def test_the_last_form_is_found_wherever_macos_keeps_it(db: ChatDB, text: str | None, body: str | bytes | None) -> None:
    chat = db.direct("+15550001")
    db.add(text, body=body, chat=chat, from_me=True, date_edited=5, message_summary_info=EDITS)
    assert [message.text for message in imessage.read(db.close()).messages] == ["the last form"]


def test_an_edited_row_without_a_readable_form_is_counted_as_undecodable(db: ChatDB) -> None:
    chat = db.direct("+15550001")
    db.add("real", chat=chat, from_me=True)
    db.add(None, body=b"garbage", chat=chat, from_me=True, date_edited=5, message_summary_info=EDITS[:40])
    assert imessage.read(db.close()).left_out == {"undecodable": 1}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_blobs_are_read_or_counted_and_never_stop_the_reading(data: st.DataObject) -> None:
    """Real blobs with bytes changed, cut or doubled, in both columns that hold them."""
    body = mutated(
        data, encode_attributed_body(data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=300)))
    )
    summary = mutated(data, data.draw(st.sampled_from([EDITS, UNSENT, UNSENT_IN_PART])))
    row = Row(*[None] * len(Row._fields))._replace(
        rowid=1, body=body, edited=data.draw(st.integers(0, 1)), summary=summary
    )
    text, reason = classify(row, Chat(is_group=False, partner="x", filtered=False, automated=False), False)
    assert (text is None) == bool(reason)
    assert text is None or text.strip()


def mutated(data: st.DataObject, blob: bytes) -> bytes:
    """`blob` after a few accidents."""
    for _ in range(data.draw(st.integers(0, 4))):
        at, end = sorted(data.draw(st.tuples(st.integers(0, len(blob)), st.integers(0, len(blob)))))
        kind = data.draw(st.sampled_from(["cut", "double", "drop", "write"]))
        middle = {"cut": b"", "double": blob[at:end] * 2, "drop": b"", "write": data.draw(st.binary(max_size=6))}[kind]
        blob = (
            blob[:at]
            if kind == "cut"
            else blob[:at] + middle + (blob[at + len(middle) :] if kind == "write" else blob[end:])
        )
    return blob


@pytest.mark.parametrize(("name", "service"), [("22395", "SMS"), ("AMAZON", "SMS"), ("urn:biz:1", "iMessage")])
def test_machines_are_no_people(db: ChatDB, name: str, service: str) -> None:
    db.add("ok", chat=db.direct("+15550001"), from_me=True)
    db.add("Your parcel is here", chat=db.direct(name, service))
    assert imessage.read(db.close()).left_out_incoming == {"automated senders": 1}


def test_text_is_taken_from_the_body_where_the_column_is_empty(db: ChatDB) -> None:
    chat = db.direct("+15550001")
    db.add("in text", chat=chat, from_me=True)
    db.add(None, body="in the body 😭" * 40, chat=chat, from_me=True)
    db.add("both", body="both", chat=chat, from_me=True)
    texts = [message.text for message in imessage.read(db.close()).messages]
    assert texts == ["in text", "in the body 😭" * 40, "both"]


def test_seconds_and_nanoseconds_are_the_same_time(db: ChatDB) -> None:
    chat = db.direct("+15550001")
    db.add("new", chat=chat, from_me=True, when=START + dt.timedelta(days=1))
    db.add("old", chat=chat, from_me=True, when=START, seconds=True)
    messages = imessage.read(db.close()).messages
    assert [(message.text, message.when) for message in messages] == [
        ("old", START),
        ("new", START + dt.timedelta(days=1)),
    ]


@pytest.mark.parametrize("never", [None, 0, -5, 2**62])
def test_dates_that_cannot_be_are_none(never: int | None) -> None:
    assert instant(never) is None


def test_a_message_in_two_chats_counts_once(db: ChatDB) -> None:
    first, second = db.direct("+15550001"), db.direct("anna@example.org")
    row = db.add("once", chat=second, from_me=True)
    db.join(first, row)
    (message,) = imessage.read(db.close()).messages
    assert message.chat == first


def test_several_handles_of_one_person_are_one_person(db: ChatDB) -> None:
    phone, mail = db.direct("+15550001", person="P1"), db.direct("anna@example.org", "SMS", person="P1")
    for chat in (phone, mail):
        db.add("hey", chat=chat)
        db.add("hi", chat=chat, from_me=True)
    assert {message.person for message in imessage.read(db.close()).messages} == {"P1"}


def test_groups_are_told_from_direct_chats(db: ChatDB) -> None:
    db.add("to all", chat=db.group(db.handle("+15550001"), db.handle("+15550002")), from_me=True)
    db.add("to one", chat=db.direct("+15550003"), from_me=True)
    addressed = {message.text: (message.is_group, message.person) for message in imessage.read(db.close()).messages}
    assert addressed == {"to all": (True, ""), "to one": (False, "+15550003")}


def test_columns_that_an_old_macos_does_not_have_are_not_needed(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE message (text TEXT, handle_id INTEGER, date INTEGER, is_from_me INTEGER);"
        "CREATE TABLE chat (guid TEXT); CREATE TABLE handle (id TEXT, service TEXT);"
        "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER);"
        "INSERT INTO message VALUES ('hello', 0, 500000000, 1); INSERT INTO chat VALUES ('a');"
        "INSERT INTO chat_message_join VALUES (1, 1);"
    )
    connection.commit()
    connection.close()
    assert [message.text for message in imessage.read(path).messages] == ["hello"]


def test_values_of_the_wrong_type_do_no_harm(db: ChatDB) -> None:
    chat = db.direct("+15550001")
    db.add("fine", chat=chat, from_me=True)
    row = db.add("odd", chat=chat, from_me=True)
    db.connection.execute("UPDATE message SET date = 'x', text = X'ff00', handle_id = 'y' WHERE ROWID = ?", (row,))
    assert [message.text for message in imessage.read(db.close()).messages] == ["fine"]


def test_turns_join_bursts_and_end_at_a_long_silence(db: ChatDB) -> None:
    chat = db.direct("+15550001")
    for text, from_me in [("hey", False), ("you there?", False), ("yes", True), ("what's up", True), ("food?", False)]:
        db.add(text, chat=chat, from_me=from_me)
    db.add("late", chat=chat, from_me=True, when=db.now + dt.timedelta(hours=13))
    turns = imessage.turns(imessage.read(db.close()).messages)
    assert [(turn.text, [message.text for message in turn.reply]) for turn in turns] == [
        ("hey you there?", ["yes", "what's up"]),
        ("food?", []),
    ]
    assert turns[0].gap == dt.timedelta(minutes=1)


def test_a_database_without_messages_of_mine_is_refused(db: ChatDB) -> None:
    db.add("hello?", chat=db.direct("+15550001"))
    path = db.close()
    for look in (imessage.probe, imessage.read):
        with pytest.raises(JobFailed, match="no message that you sent"):
            look(path)
