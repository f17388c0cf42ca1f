"""The wake-up channel: a FIFO in var/, what may have its name, and when a signal is sent."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jarvisd.daemon import consumer
from jarvisd.daemon.consumer import Listener, OneConsumer, StopFlag
from jarvisd.paths import Home
from jarvisd.store import channel, database, queue, signals, wakeup
from jarvisd.store.channel import Channel, NoChannel
from jarvisd.store.models import Run

MakeRun = Callable[..., Run]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Channel]:
    made = Channel(tmp_path)
    yield made
    made.close()


def test_a_signal_ends_the_wait_and_ten_count_as_one(opened: Channel, tmp_path: Path) -> None:
    for _ in range(10):
        channel.send(tmp_path)
    assert opened.wait(5)
    assert not opened.wait(0)


def test_the_channel_is_for_its_owner_alone(opened: Channel) -> None:
    assert stat.filemode(opened.path.lstat().st_mode) == "prw-------"


def test_a_full_channel_keeps_no_sender_waiting(opened: Channel, tmp_path: Path) -> None:
    writer = os.open(opened.path, os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.close(writer)
    channel.send(tmp_path)
    assert opened.wait(5)
    assert not opened.wait(0)


def test_without_a_listener_nothing_happens(tmp_path: Path) -> None:
    channel.send(tmp_path)
    assert not list(tmp_path.iterdir())
    os.mkfifo(tmp_path / channel.NAME)
    channel.send(tmp_path)
    reader = os.open(tmp_path / channel.NAME, os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(reader, 10) == b""
    os.close(reader)


def _file(path: Path) -> None:
    path.write_text("kept out of harm")


def _link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("kept")
    path.symlink_to(target)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))


@pytest.mark.parametrize("plant", [_file, _link, _socket])
def test_what_is_no_fifo_is_replaced_with_a_word_and_never_written_to(
    plant: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plant(tmp_path / channel.NAME)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    channel.send(tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    made = Channel(tmp_path)
    channel.send(tmp_path)
    assert made.wait(5)
    assert made.replaced in ("a link", "a file that is no FIFO")
    assert not (tmp_path / "target").exists() or (tmp_path / "target").read_text() == "kept"
    made.close()


def test_a_folder_or_another_users_fifo_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / channel.NAME
    path.mkdir()
    with pytest.raises(NoChannel, match="a folder"):
        Channel(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(NoChannel, match="another user"):
        Channel(tmp_path)
    channel.send(tmp_path)
    assert os.read(reader, 10) == b""
    os.close(reader)
    assert path.exists()


def test_a_listener_without_a_channel_polls_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / channel.NAME).mkdir()
    monkeypatch.setattr(consumer, "POLL_WITHOUT_CHANNEL_S", 0.01)
    listener = Listener(tmp_path, StopFlag())
    for _ in range(3):
        listener.wait()
    assert len(caplog.records) == 1
    assert "no wake-up channel" in caplog.text


def test_a_channel_that_was_removed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "POLL_INTERVAL_S", 0.01)
    listener = Listener(tmp_path, StopFlag())
    assert listener.open()
    (tmp_path / channel.NAME).unlink()
    listener.wait()
    listener.wait()
    assert stat.S_ISFIFO((tmp_path / channel.NAME).lstat().st_mode)
    listener.close()
    assert not (tmp_path / channel.NAME).exists()


def test_the_signal_comes_after_the_commit_and_not_after_a_rollback(home: Home, make_run: MakeRun) -> None:
    made = Channel(home.var)
    with database.write():
        make_run("command:x")
        assert not made.wait(0), "the transaction is not committed"
    assert made.wait(0)
    with pytest.raises(ZeroDivisionError), database.write():
        signals.wake_worker([1])
        raise ZeroDivisionError
    assert not made.wait(0)
    made.close()


def test_the_consumer_starts_work_at_once_and_stops_at_once(home: Home, make_run: MakeRun) -> None:
    """Neither waits for the next poll of Huey, which would be a second, and ten, away."""
    wakeups = wakeup.WakeUps(database.db.obj)
    woken = threading.Event()
    wakeups.on_wakeup = woken.set
    running = OneConsumer(wakeups.huey)
    listener = Listener(home.var, running.stop_flag)
    listener.open()
    wakeups.huey.storage.wait = listener.wait
    running._set_signal_handlers = lambda: None
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        time.sleep(1.0)  # until it waits; a consumer that polls is then between two polls
        began = time.monotonic()
        make_run("command:x")
        assert woken.wait(10)
        assert time.monotonic() - began < 0.5
    finally:
        running._note_signal(15, None)
        began = time.monotonic()
        thread.join(20)
    assert not thread.is_alive()
    assert time.monotonic() - began < 5
    listener.close()


def test_a_retry_and_the_end_of_a_pause_signal_too(home: Home, make_run: MakeRun) -> None:
    run = make_run("command:x")
    made = Channel(home.var)
    jobs = queue.cancel_run(run, database.now())
    queue.retry(jobs)
    assert made.wait(0)
    queue.pause("here", database.now(), None)
    assert not made.wait(0)
    assert queue.resume("here")
    assert made.wait(0)
    made.close()


def test_a_message_is_the_one_that_huey_would_write(home: Home) -> None:
    """It is written without Huey, which takes long to import."""
    wakeup.messages().send(7)
    signals.wake_worker([7])
    rows = database.db.execute_sql("SELECT queue, data, priority FROM task ORDER BY id").fetchall()
    of_huey, written = [(name, json.loads(data), priority) for name, data, priority in rows]
    assert of_huey[1].pop("id") != written[1].pop("id")
    assert of_huey == written
    for _ in rows:
        assert list(wakeup.messages().huey.dequeue().args) == [7]


def test_a_message_is_taken_without_a_flush_and_what_follows_is_flushed(home: Home, make_run: MakeRun) -> None:
    """A message that comes back after a power cut costs nothing; a claim that is lost would."""
    make_run("command:a")
    storage, statements = wakeup.messages().huey.storage, []
    database.db.connection().set_trace_callback(statements.append)
    try:
        assert storage.dequeue() is not None
    finally:
        database.db.connection().set_trace_callback(None)
    taken = next(place for place, text in enumerate(statements) if text.startswith("DELETE"))
    assert statements.index("PRAGMA synchronous = 1") < taken < statements.index("COMMIT")
    assert statements[-1] == "PRAGMA synchronous = 2"
    assert database.db.execute_sql("PRAGMA synchronous").fetchone() == (2,)
