"""A Messages database that is damaged, or made to do harm: it is read, or refused in one line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jarvisd.errors import JobFailed
from jobs.lib import imessage
from tests.chatdb import ChatDB
from tests.fuzz.conftest import LIMIT_MB, TIMES

SHARED = settings(deadline=None, max_examples=60 * TIMES, suppress_health_check=[HealthCheck.too_slow])
PAGE = 4096
#: (table, column) that a value may stand in, whatever its type says.
COLUMNS = st.sampled_from(
    [
        *(("message", name) for name in ("text", "attributedBody", "date", "is_from_me", "handle_id", "item_type")),
        *(("message", name) for name in ("date_edited", "message_summary_info", "associated_message_type")),
        *(("chat", name) for name in ("style", "chat_identifier", "is_filtered")),
        *(("handle", name) for name in ("id", "service", "person_centric_id")),
        *(("chat_message_join", name) for name in ("chat_id", "message_id")),
        ("chat_handle_join", "handle_id"),
    ]
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=60),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from([b"bplist00" + b"\xff" * 40, b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@", "\ufffc", "x" * 5000]),
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = ChatDB(tmp_path_factory.mktemp("messages") / "chat.db")
    anna, ben = db.direct("+4915112345678"), db.direct("ben@example.org")
    for number in range(20):
        db.add(f"message {number}", chat=anna if number % 3 else ben, from_me=number % 2 == 0)
        db.add(None, body=f"body {number}", chat=anna, from_me=True, date_edited=number % 2)
    return db.close()


def refusals(path: Path) -> list[str]:
    """The reasons why it was not read. Any other exception fails the test."""
    reasons = []
    for attempt in (imessage.probe, imessage.read):
        try:
            attempt(path)
        except JobFailed as failure:
            reasons.append(str(failure))
    return reasons


@SHARED
@given(data=st.data())
def test_flipped_bytes_and_cut_pages(good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 200))
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        page = data.draw(st.integers(0, len(content) // PAGE - 1)) * PAGE
        content[page : page + PAGE] = data.draw(st.sampled_from([b"", bytes(PAGE), b"\xff" * PAGE]))
    path = tmp_path_factory.mktemp("damaged") / "chat.db"
    path.write_bytes(content)
    assert not any("\n" in reason for reason in refusals(path))


@SHARED
@given(changes=st.lists(st.tuples(COLUMNS, VALUES), min_size=1, max_size=6))
@example(changes=[(("message", "text"), b"\xff\xfe")])
def test_values_of_another_type(
    good: Path, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str, str], Any]]
) -> None:
    path = tmp_path_factory.mktemp("values") / "chat.db"
    path.write_bytes(good.read_bytes())
    with sqlite3.connect(path) as connection:
        for (table, column), value in changes:
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid % 2", (value,))
    connection.close()
    assert not any("\n" in reason for reason in refusals(path))


def _huge_values(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE message SET text = CAST(zeroblob(150000000) AS TEXT) WHERE ROWID IN (3, 5)")
        connection.execute("UPDATE message SET attributedBody = zeroblob(400000000) WHERE ROWID = 6")
    connection.close()


def _damaged_schema(path: Path) -> None:
    """A word of the schema is no longer UTF-8. SQLite's own message quotes it, and cannot be decoded then."""
    content = path.read_bytes()
    assert b"CREATE TABLE chat (" in content
    path.write_bytes(content.replace(b"CREATE TABLE chat (", b"CREATE \xff\xff\xff\xff\xff chat ("))


def _folder_for_a_log(path: Path) -> None:
    Path(f"{path}-wal").mkdir()


def _huge_name(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE handle SET id = CAST(zeroblob(50000000) AS TEXT) WHERE ROWID = 1")
    connection.close()


@pytest.mark.parametrize("harm", [_huge_values, _huge_name, _damaged_schema, _folder_for_a_log])
def test_harm_costs_neither_memory_nor_a_foreign_exception(
    good: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """In a process of its own, whose memory is measured."""
    path = tmp_path / "chat.db"
    path.write_bytes(good.read_bytes())
    harm(path)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    path.unlink()
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["mb"] < LIMIT_MB
    if harm is _huge_values:
        assert answer["left_out"] == 3
        assert answer["messages"] == 37
    else:
        assert answer["failure"]


_MEASURED = """
import json, resource, sys
from pathlib import Path
from jarvisd.errors import JobFailed
from jobs.lib import imessage
answer = {}
try:
    history = imessage.read(Path(sys.argv[1]))
    answer["messages"] = len(history.messages)
    answer["left_out"] = history.left_out["too long"] + history.left_out_incoming["too long"]
except JobFailed as failure:
    answer["failure"] = str(failure)
try:
    lines = Path("/proc/self/status").read_text().splitlines()  # the peak that getrusage gives is the parent's too
    answer["mb"] = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
except OSError:
    answer["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps(answer))
"""
