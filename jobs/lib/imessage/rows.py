"""What a row of chat.db is: a typed message, or something else that has a name.

The type numbers and columns decide; a rule on the text is only used where Android sends a tapback as plain text.
Columns differ between versions of macOS, so each is read only where the table has it.
"""

from __future__ import annotations

import plistlib
import re
import sqlite3
from dataclasses import dataclass
from typing import Any, NamedTuple

from jobs.lib.imessage.typedstream import ONE_TIME_CODE, clean, decode

STICKER = frozenset({1000, 2007, 3007})
TAPBACK = frozenset({*range(2000, 2007), *range(3000, 3007)})
POLL = frozenset({4000})
#: Verdicts of macOS' message filter: junk, promotion, transaction.
FILTERED = frozenset({2, 3, 4})
_RETRACTION_LIMIT = 1 << 20  # bytes of message_summary_info that are looked at

#: What a tapback of Messages names where it does not quote the message. A closed list: "Loved a lot" is a typed text.
_TAPPED = (
    r"(?:[“\"„«]."
    r"|an? (?:image|movie|video|audio message|attachment|sticker|link|location|contact)$)"
)
_PLAIN_TAPBACK = re.compile(
    rf"(?:(?:Liked|Loved|Disliked|Laughed at|Emphasi[sz]ed|Questioned) {_TAPPED}"
    rf"|Removed an? [^“\"„«]{{1,24}} from {_TAPPED}"
    rf"|Reacted with a sticker to {_TAPPED}"
    rf"|Reacted \S{{1,16}} (?:to|with) {_TAPPED})",
    re.DOTALL,
)
_SHORT_CODE = re.compile(r"\d{3,8}")
_NAMED_SENDER = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &._-]{2,15}")


class Row(NamedTuple):
    """The columns that are read, in their order; None where this macOS has no such column."""

    rowid: int
    text: str | None
    body: bytes | None  #: attributedBody, only where `text` is empty or the row was edited
    code: int | None  #: 1 where attributedBody marks a one-time code
    handle: int | None
    date: int | None
    from_me: int | None
    associated: int | None
    item_type: int | None
    system: int | None
    auto_reply: int | None
    balloon: str | None
    retracted: int | None
    edited: int | None
    summary: bytes | None  #: message_summary_info, only where the row was edited
    spam: int | None
    filtered: int | None  #: filter_action
    attachments: int | None
    chat: int | None


#: Name in Row -> (column, expression over it). CAST, because SQLite lets any value stand in any column.
_COLUMNS = {
    "text": ("text", "CAST(m.text AS TEXT)"),
    "body": ("attributedBody", "CASE WHEN {empty} OR {edited} THEN CAST(m.attributedBody AS BLOB) END"),
    "code": ("attributedBody", f"instr(CAST(m.attributedBody AS BLOB), X'{ONE_TIME_CODE.hex()}') > 0"),
    "handle": ("handle_id", "CAST(m.handle_id AS INTEGER)"),
    "date": ("date", "CAST(m.date AS INTEGER)"),
    "from_me": ("is_from_me", "CAST(m.is_from_me AS INTEGER)"),
    "associated": ("associated_message_type", "CAST(m.associated_message_type AS INTEGER)"),
    "item_type": ("item_type", "CAST(m.item_type AS INTEGER)"),
    "system": ("is_system_message", "CAST(m.is_system_message AS INTEGER)"),
    "auto_reply": ("is_auto_reply", "CAST(m.is_auto_reply AS INTEGER)"),
    "balloon": ("balloon_bundle_id", "CAST(m.balloon_bundle_id AS TEXT)"),
    "retracted": ("date_retracted", "CAST(m.date_retracted AS INTEGER)"),
    "edited": ("date_edited", "CAST(m.date_edited AS INTEGER)"),
    "summary": (
        "message_summary_info",
        f"CASE WHEN {{edited}} AND length(m.message_summary_info) < {_RETRACTION_LIMIT} "
        "THEN CAST(m.message_summary_info AS BLOB) END",
    ),
    "spam": ("is_spam", "CAST(m.is_spam AS INTEGER)"),
    "filtered": ("filter_action", "CAST(m.filter_action AS INTEGER)"),
    "attachments": ("cache_has_attachments", "CAST(m.cache_has_attachments AS INTEGER)"),
}


def columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Names of the columns that `table` has on this version of macOS; none where there is no such table."""
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def query(connection: sqlite3.Connection) -> str:
    """SELECT of every message above a ROWID, as a Row, oldest first. One in several chats counts in the first."""
    have = columns(connection, "message")
    parts = {
        "empty": "m.text IS NULL OR m.text IN ('', char(65532))" if "text" in have else "1",
        "edited": "m.date_edited > 0" if "date_edited" in have else "0",
    }
    selected = ", ".join(
        expression.format(**parts) if column in have else "NULL" for column, expression in _COLUMNS.values()
    )
    return (
        f"SELECT m.ROWID, {selected}, j.chat FROM message m LEFT JOIN "  # noqa: S608  # expressions of this file
        "(SELECT message_id, MIN(chat_id) AS chat FROM chat_message_join GROUP BY message_id) j "
        "ON j.message_id = m.ROWID WHERE m.ROWID > ? ORDER BY m.ROWID"
    )


@dataclass(frozen=True, slots=True)
class Chat:
    """What is known of a chat."""

    is_group: bool
    partner: str  #: the person of a direct chat, "" in a group
    filtered: bool
    automated: bool


def is_automated(handle: str, service: str) -> bool:
    """Whether a handle can only be a machine: a short code, a name where a number belongs, a business."""
    if handle.startswith("urn:biz:"):
        return True
    if service.lower().startswith("imessage"):
        return False
    return bool(_SHORT_CODE.fullmatch(handle) or _NAMED_SENDER.fullmatch(handle))


def classify(row: Row, chat: Chat | None, automated: bool) -> tuple[str | None, str]:
    """(text, "") of a typed message, or (None, reason) of everything else."""
    reason = _kind(row) or _origin(row, chat, automated)
    if reason:
        return None, reason
    text = _text(row)
    if text is None:
        return None, "undecodable"
    if not text:
        return None, "attachments without text" if row.attachments else "empty"
    if _PLAIN_TAPBACK.match(text):
        return None, "tapbacks sent as text"
    return text, ""


def _text(row: Row) -> str | None:
    """What stands in the message now; None where only something undecodable does."""
    if not row.edited:
        text = clean(row.text or "")
        decoded = decode(row.body) if not text and row.body else text
        return None if decoded is None else clean(decoded)
    # Edited: attributedBody holds the last form, `text` may be empty or hold an earlier one.
    decoded = decode(row.body) if row.body else None
    for form in (decoded, _last_edit(row), row.text):
        if form and (text := clean(form)):
            return text
    return None if row.body and decoded is None else ""


def _kind(row: Row) -> str:
    """Why the row is no typed message, by its own columns."""
    if row.item_type or row.system:
        return "group and system events"
    if row.associated in TAPBACK:
        return "tapbacks"
    if row.associated in STICKER:
        return "stickers"
    if row.associated in POLL or (row.balloon and "Polls" in row.balloon):
        return "polls"
    if row.associated or row.balloon:
        return "apps, links and payments"
    if row.auto_reply:
        return "automatic replies"
    return "unsent" if (row.retracted or 0) > 0 or _all_parts_retracted(row) else ""


def _origin(row: Row, chat: Chat | None, automated: bool) -> str:
    """Why the row is no message between people, by where it comes from."""
    if chat is None:
        return "in no chat (deleted)"
    if row.spam or row.filtered in FILTERED or chat.filtered:
        return "filtered or spam"
    if automated or chat.automated:
        return "automated senders"
    return "one-time codes" if row.code else ""


def _all_parts_retracted(row: Row) -> bool:
    """message_summary_info lists retracted parts under `rp` and all parts under `otr`."""
    summary = _summary(row)
    retracted, parts = summary.get("rp"), summary.get("otr")
    if not isinstance(retracted, list) or not retracted:
        return False
    return not isinstance(parts, dict) or len(retracted) >= len(parts)


def _last_edit(row: Row) -> str | None:
    """message_summary_info keeps under `ec` the forms of each part: {"0": [{"d": when, "t": typedstream}, ...]}."""
    history = _summary(row).get("ec")
    if not isinstance(history, dict):
        return None
    parts = [_newest(history[key]) for key in sorted(history, key=str)]
    return "".join(part or "" for part in parts) or None


def _newest(forms: Any) -> str | None:
    """The form that was written last, of those that can be read."""
    known = [form for form in forms if isinstance(form, dict)] if isinstance(forms, list) else []
    known.sort(key=lambda form: form["d"] if isinstance(form.get("d"), int | float) else 0)
    return decode(known[-1]["t"]) if known and isinstance(known[-1].get("t"), bytes) else None


def _summary(row: Row) -> dict[str, Any]:
    data = row.summary
    if not data or not data.startswith(b"bplist00"):
        return {}
    try:
        summary: Any = plistlib.loads(data, fmt=plistlib.FMT_BINARY)
    except Exception:  # the parser raises many kinds; a damaged blob says nothing about its message
        return {}
    return summary if isinstance(summary, dict) else {}
