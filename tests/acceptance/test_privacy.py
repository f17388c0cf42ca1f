"""What people wrote stays private: in no log, no reason, no file that others may read, and on no network."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.lib.imessage import schema
from tests.acceptance.conftest import DEADLINE_S, House
from tests.acceptance.test_night import chat_db, night

CANARIES = {
    "message": "the canary in message forty two sings at midnight",
    "attributed": "another canary hums inside an attributed body",
    "handle": "canary.handle@example.invalid",
    "chat": "the canary fanciers of the third floor",
}


def plant(path: Path) -> list[str]:
    """Put a canary wherever Messages keeps words; returns all that no log may hold."""
    body = schema.encode_attributed_body(CANARIES["attributed"])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE message SET text = ?, attributedBody = NULL WHERE ROWID = 42", (CANARIES["message"],))
        database.execute("UPDATE message SET text = NULL, attributedBody = ? WHERE ROWID = 43", (body,))
        database.execute("UPDATE handle SET id = ? WHERE ROWID = 1", (CANARIES["handle"],))
        database.execute("UPDATE chat SET chat_identifier = ? WHERE ROWID = 1", (CANARIES["handle"],))
        database.execute("UPDATE chat SET display_name = ? WHERE ROWID = 1", (CANARIES["chat"],))
        rows = [text for (text,) in database.execute("SELECT text FROM message WHERE text IS NOT NULL")]
    database.close()
    spoken = {text for text in rows if len(text) >= 20 and len(text.split()) >= 4}
    return sorted(spoken | set(CANARIES.values()) | {"walked past the old bakery", "are you coming tonight?"})


def broken(folder: Path, where: Path, file: str, content: bytes) -> Path:
    """The same model with one file of it replaced."""
    copy = where / f"broken-{file}" / folder.name
    shutil.copytree(folder, copy, symlinks=False)
    (copy / file).write_bytes(content)
    return copy


def what_was_said(house: House, daemon: Any) -> str:
    """Every log at every level, every reason and note, every warning, and stderr of the daemon."""
    var = house.root / "var"
    paths = {*var.rglob("*.log*"), *(var / "logs").iterdir(), *var.glob("*.err")}
    log = "".join(path.read_text() for path in sorted(paths))
    with sqlite3.connect(var / "jarvis.db") as database:
        columns = "reason, note, outcome FROM job", "warnings, title FROM run", "data FROM task"
        log += "".join(str(row) for column in columns for row in database.execute(f"SELECT {column}"))
    database.close()
    daemon.terminate()
    return (
        log
        + daemon.communicate(timeout=DEADLINE_S)[1]
        + house.ctl("status", "--json").stdout
        + house.ctl("status").stdout
    )


def real_turns(house: House, models: Path) -> str:
    """Submit a night whose second round lets two models answer what others wrote to the owner."""
    both = house.folder / "models"
    both.mkdir()
    (both / "all-MiniLM-L6-v2").symlink_to(models / "all-MiniLM-L6-v2")
    for name in ("smollm2-135m", "twin"):
        (both / name).symlink_to(models / "smollm2-135m")
    rounds = {"rounds": 2, "turns": 2, "more_samples": 1, "meaning": str(both / "all-MiniLM-L6-v2"), "max_tokens": 12}
    words = [word for key, value in rounds.items() for word in ("--set", f"evaluate.{key}={value}")]
    return night(house, both, *words, evaluate="smollm2-135m twin")


def written(house: House) -> list[str]:
    """What the models wrote, where that is long enough to be told from words of our own."""
    with sqlite3.connect(house.root / "var" / "jarvis.db") as database:
        rows = database.execute("SELECT reply FROM reply WHERE scenario_id = 'real-turns' OR success").fetchall()
        assert database.execute("SELECT count(*) FROM reply WHERE scenario_id = 'real-turns'").fetchone() == (4,)
    database.close()
    return [text for (text,) in rows if len(text) >= 20 and len(text.split()) >= 4]


@pytest.fixture
def cut_off() -> tuple[str, ...]:
    """What a program is started under so that it has no network but a loopback that is down."""
    under = ("unshare", "-n")
    return () if subprocess.run([*under, "true"], capture_output=True, check=False).returncode else under


@pytest.mark.parametrize("after_a_whole_night", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_message_is_in_any_log_and_all_is_private_whatever_fails_and_without_a_network(
    house: House, small_models: Path, cut_off: tuple[str, ...], after_a_whole_night: bool
) -> None:
    """A whole night with real turns, then nights that fail at each step, under the umask of a careless shell."""
    old = os.umask(0)
    try:
        daemon = house.daemon(*cut_off)
        messages = chat_db(house.folder / "chat.db")
        secrets = plant(messages)
        whole = [real_turns(house, small_models)] if after_a_whole_night else []
        runs = []
        embedder = broken(small_models / "all-MiniLM-L6-v2", house.folder, "tokenizer.json", b'{"model": 5}')
        model = broken(small_models / "smollm2-135m", house.folder, "config.json", b'{"model_type": "llama"}')
        failing = f"mine.embedder={embedder}", f"evaluate.models=[{model}]"
        runs.append(night(house, small_models, *(word for each in failing for word in ("--set", each))))
        torn = house.folder / "torn.db"
        data = bytearray(messages.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 40_960] = b"\xff" * 40_960
        torn.write_bytes(data)
        runs.append(house.enqueue("small", "--only", "mine", "--set", f"messages={torn}"))
        for jobs in [house.settled(run_id, 240) for run_id in whole]:
            assert {job["status"] for job in jobs.values()} == {"succeeded"}
        for jobs in [house.settled(run_id, 240) for run_id in runs]:
            assert {job["status"] for job in jobs.values() if job["kind"] != "report"} == {"failed"}, jobs
        exposed = [
            (str(path), oct(path.lstat().st_mode))
            for path in (house.root / "var", *(house.root / "var").rglob("*"))
            if not path.is_symlink() and path.lstat().st_mode & 0o077
        ]
        assert exposed == []
        secrets += written(house) if whole else []
        output = what_was_said(house, daemon)
    finally:
        os.umask(old)
    assert len(secrets) > 12
    assert [text for text in secrets if text in output] == []


def test_the_night_without_a_network_had_none(house: House, cut_off: tuple[str, ...]) -> None:
    """What the night above ran under keeps the jobs of a daemon from every network."""
    if not cut_off:
        pytest.skip("unshare -n is not allowed here, so the night above had a network")
    house.daemon(*cut_off)
    dial = "import socket, sys; sys.exit(socket.socket().connect_ex(('1.1.1.1', 53)))"
    denied = house.settled(house.enqueue("command", "--", sys.executable, "-c", dial))
    assert [job["reason"] for job in denied.values()] == [f"exit status {errno.ENETUNREACH}"]
