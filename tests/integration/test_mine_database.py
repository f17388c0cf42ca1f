"""Opening chat.db while Messages has it, and saying what is wrong when it cannot be opened."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jarvisd.daemon import recovery
from jarvisd.errors import JobFailed
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jarvisd.store import migrations
from jobs.lib import imessage
from jobs.lib.imessage import database
from jobs.lib.imessage.schema import encode_attributed_body
from jobs.mine import plan
from tests.chatdb import ChatDB


@pytest.fixture
def chat_db(tmp_path: Path) -> Path:
    db = ChatDB(tmp_path / "chat.db")
    db.add("hello", chat=db.direct("+15550001"), from_me=True)
    return db.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / "var" / "cache"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_rows_in_the_write_ahead_log_are_seen(chat_db: Path) -> None:
    writer = sqlite3.connect(chat_db)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("INSERT INTO message (guid, text, is_from_me, date) VALUES ('g', 'fresh', 1, 700000000)")
    writer.execute("INSERT INTO chat_message_join (chat_id, message_id) SELECT 1, MAX(ROWID) FROM message")
    writer.commit()
    assert {message.text for message in imessage.read(chat_db).messages} == {"hello", "fresh"}
    writer.close()


def test_nothing_can_be_written(chat_db: Path) -> None:
    with pytest.raises(JobFailed), database.snapshot(chat_db) as connection:
        connection.execute("DELETE FROM message")
    assert len(imessage.read(chat_db).messages) == 1


def test_a_locked_database_is_read_from_a_private_copy_that_goes_away(
    chat_db: Path, cache: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.01)
    old_folder, old_file = temporary / "jarvisd-messages-999999999-x", cache / "jarvisd-messages-999999999-x.db-wal"
    old_folder.mkdir()
    cache.mkdir(parents=True)
    old_file.write_text("a message")
    other = sqlite3.connect(chat_db, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with database.snapshot(chat_db, cache) as connection:
        copies = list(cache.iterdir())
        assert old_file not in copies
        assert copies
        assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}
        assert connection.execute("SELECT COUNT(*) FROM message").fetchone() == (1,)
    other.close()
    assert list(cache.iterdir()) == list(temporary.iterdir()) == []


READ_AND_HANG = """
import sys, time
from pathlib import Path
from jobs.lib.imessage import database

database._BUSY_S = 0.01
with database.snapshot(Path(sys.argv[1]), Path(sys.argv[2])):
    print("reading", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("sweeper", ["the next read", "the daemon's start"])
def test_a_copy_that_a_killed_reader_left_is_removed(chat_db: Path, cache: Path, sweeper: str) -> None:
    """The reader is killed with `kill -9` in the middle; the next read needs no copy itself."""
    home = Home(cache.parent.parent, "--home")
    migrations.migrate(home)
    with closing(sqlite3.connect(chat_db, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        command = [sys.executable, "-c", READ_AND_HANG, str(chat_db), str(cache)]
        reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        files.sweep_private_copies(cache)  # its owner lives: it stays
        assert list(cache.glob("jarvisd-messages-*"))
        reader.kill()
        reader.wait()
        reader.stdout.close()
    if sweeper == "the next read":
        imessage.read(chat_db, cache)
    else:
        recovery.recover(home)
    assert list(cache.glob("jarvisd-messages-*")) == []


def _deny(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """From now on SQLite answers 23, "not authorized", to whoever reads the file at `path`."""
    connect = sqlite3.connect

    def guarded(name: str, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(name, **options)
        if str(path) in name:
            connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        return connection

    monkeypatch.setattr(sqlite3, "connect", guarded)


def test_where_macos_denies_authorization_a_private_copy_is_read(
    chat_db: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = sqlite3.connect(chat_db)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("UPDATE message SET text = 'in the log'")
    writer.commit()
    _deny(monkeypatch, chat_db)
    assert [message.text for message in imessage.read(chat_db).messages] == ["in the log"]
    assert list(temporary.iterdir()) == []
    with pytest.raises(ZeroDivisionError), database.snapshot(chat_db):
        raise ZeroDivisionError
    assert list(temporary.iterdir()) == []
    writer.close()


def test_what_is_written_while_it_is_read_does_not_show(chat_db: Path) -> None:
    writer = sqlite3.connect(chat_db)
    writer.execute("PRAGMA journal_mode = wal")
    with database.snapshot(chat_db) as connection:
        writer.execute("INSERT INTO message (guid, text) VALUES ('g', 'new')")
        writer.commit()
        assert connection.execute("SELECT COUNT(*) FROM message").fetchone() == (1,)
    writer.close()


READ_IT = """
import resource, sys, time
from pathlib import Path
from jobs.lib import imessage

def peak_bytes():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux remembers the process that started this one
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

began = time.process_time()
history = imessage.read(Path(sys.argv[1]))
print(len(history.messages), time.process_time() - began, peak_bytes())
"""


@pytest.mark.slow
def test_a_quarter_of_a_million_messages_are_read_in_five_seconds_and_300_mb(tmp_path: Path) -> None:
    db = ChatDB(tmp_path / "chat.db")
    chats = [db.direct(f"+1555{number:07}") for number in range(200)]
    body = encode_attributed_body("what about dinner at the place near the river")
    rows = 250_000
    db.connection.executemany(
        "INSERT INTO message (guid, text, attributedBody, handle_id, is_from_me, date) VALUES (?, ?, ?, ?, ?, ?)",
        ((str(n), None if n % 4 else f"no {n}", body, n % 200 + 1, n % 2, (n + 1) * 10**12) for n in range(rows)),
    )
    db.connection.execute(
        "INSERT INTO chat_message_join (chat_id, message_id) SELECT ROWID % 200 + 1, ROWID FROM message"
    )
    assert chats
    done = subprocess.run(
        [sys.executable, "-c", READ_IT, db.close()],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    count, seconds, peak = map(float, done.stdout.split())
    assert count == rows
    assert seconds < 5
    assert peak < 300 * 2**20


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()


def _no_rows(path: Path) -> None:
    ChatDB(path).close()


def _damaged(path: Path) -> None:
    db = ChatDB(path)
    chat = db.direct("+15550001")
    for _ in range(300):
        db.add("some words that take room " * 5, chat=chat, from_me=True)
    db.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xa5" * (len(data) - 4096 * 3)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: None, "there is no Messages database"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "is an empty file"),
        (lambda path: path.write_text("not a database at all"), "is not a database"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"x" * 5000), "is not a database|damaged"),
        (_foreign, "is not a Messages database"),
        (_no_rows, "holds no messages"),
        (_damaged, "damaged"),
    ],
)
def test_each_thing_that_is_wrong_has_its_own_line(tmp_path: Path, make: object, what: str) -> None:
    path = tmp_path / "chat.db"
    assert callable(make)
    make(path)
    with pytest.raises(JobFailed, match=what) as caught:
        imessage.read(path)
    assert caught.value.remedy


def test_the_plan_lists_what_is_missing_of_messages_and_of_the_embedder(tmp_path: Path) -> None:
    setting = PlanContext(home=Home(tmp_path, "--home"), folder=tmp_path, messages=tmp_path / "chat.db")
    missing = plan.check(plan.Section(), setting)
    assert {finding.job for finding in missing} == {"mine"}
    assert "there is no Messages database" in missing[0].what
    assert "not on this disk" in missing[1].what


def test_a_good_database_gives_no_finding(chat_db: Path, tmp_path: Path) -> None:
    setting = PlanContext(home=Home(tmp_path, "--home"), folder=tmp_path, messages=chat_db)
    assert all("Messages" not in finding.what for finding in plan.check(plan.Section(), setting))


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "chat.db"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(JobFailed, match="is not a file"):
            imessage.read(path)


def test_a_link_to_a_messages_database_is_read(chat_db: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(chat_db)
    assert len(imessage.read(link).messages) == len(imessage.read(chat_db).messages)
