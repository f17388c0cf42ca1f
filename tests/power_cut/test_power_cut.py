"""What a power cut may leave behind, at every moment of a short life: nothing acknowledged is lost, no file is half."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT
from tests.power_cut import trace
from tests.power_cut.disk import Disk, File
from tests.power_cut.trace import Operation

LOSSES = ("nothing", "unflushed", "part", "torn")
NAMES = ("kept", "lost", "some")
#: Files whose content under their final name must always be one that was published whole.
PUBLISHED = ("REPORT.md", "report.html", "replies.csv", "models.csv", "templates.json", "machine-id")
_PLAN = "title: Pieces\npieces: {jobs: 1, pieces: 3, rounds: 1}\nreport: {}\n"


@dataclass(frozen=True)
class Recording:
    root: str  #: the home that was recorded
    acknowledged: str  #: the folder in which each acknowledged job left a file
    operations: list[Operation]


def _may_trace(folder: Path) -> bool:
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(trace.command(folder / "probe", ["true"]), capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("life")
    if not _may_trace(folder):
        pytest.skip("strace is not installed, or may not trace here")
    home, acknowledged = folder / "home", folder / "acknowledged"
    acknowledged.mkdir()
    (home / "config" / "plans").mkdir(parents=True)
    (home / "config" / "plans" / "pieces.yaml").write_text(_PLAN)
    paths = os.pathsep.join([str(ROOT / "tests" / "packages"), str(ROOT)])
    life = [sys.executable, "-m", "tests.power_cut.life", str(home), str(acknowledged)]
    subprocess.run(
        trace.command(folder / "trace", life), env=os.environ | {"PYTHONPATH": paths}, check=True, timeout=1500
    )
    with (folder / "trace").open() as lines:
        operations = trace.operations(lines, str(folder))
    return Recording(str(home), str(acknowledged), operations)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [2400])
def test_no_power_cut_loses_what_was_acknowledged_or_leaves_half_a_file(
    recording: Recording, wanted: int, tmp_path: Path, say: Callable[[str], None]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance, states, broken = random.Random(seed), Counter[str](), []
    for moment, disk, acknowledged, whole in _moments(recording, wanted, chance):
        loss, names = chance.choice(LOSSES), chance.choice(NAMES)
        folder = tmp_path / "state"
        disk.cut(recording.root, folder, loss, names, chance)
        states[loss] += 1
        broken += [f"{moment} {loss} {names}: {what}" for what in _wrong(folder, acknowledged, whole)]
        shutil.rmtree(folder, ignore_errors=True)
    say(
        f"power cuts: {states.total():,} states of {len(recording.operations):,} operations "
        f"({', '.join(f'{loss} {n}' for loss, n in sorted(states.items()))}), {len(broken)} broken, seed {seed}"
    )
    assert states.total() >= 2000
    assert broken == []


def _moments(
    recording: Recording, wanted: int, chance: random.Random
) -> Iterator[tuple[int, Disk, set[int], dict[str, set[bytes]]]]:
    """The disk at moments spread over the whole life, with what was acknowledged and published until then."""
    disk, acknowledged = Disk({recording.root: None}, {recording.root: None}), set[int]()
    whole: dict[str, set[bytes]] = {name: set() for name in PUBLISHED}
    share = wanted / len(recording.operations)
    for moment, operation in enumerate(recording.operations):
        if operation.path.startswith(recording.acknowledged):
            if "O_CREAT" in operation.flags:
                acknowledged.add(int(Path(operation.path).name))
            continue
        if operation.kind in ("rename", "link") and Path(operation.target).name in whole:
            file = disk.names.get(operation.path)
            assert isinstance(file, File)
            whole[Path(operation.target).name].add(file.now())
        disk.do(operation)
        for _ in range(int(share) + (chance.random() < share % 1)):
            yield moment, disk, set(acknowledged), whole


def _wrong(folder: Path, acknowledged: set[int], whole: dict[str, set[bytes]]) -> list[str]:
    """What a later start would find broken in this state."""
    wrong = [
        f"{path.relative_to(folder)} is not whole"
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name in whole and path.read_bytes() not in whole[path.name]
    ]
    database = folder / "var" / "jarvis.db"
    if not database.exists():
        return wrong + ([f"{acknowledged} are lost with the database"] if acknowledged else [])
    try:
        with closing(sqlite3.connect(database)) as connection:
            damage = [row for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            jobs = {number for (number,) in connection.execute("SELECT id FROM job")} if "job" in tables else set()
    except sqlite3.DatabaseError as error:
        return [*wrong, f"the database cannot be read: {error}"]
    return [*wrong, *map(str, damage), *(f"job {number} is lost" for number in acknowledged - jobs)]


# --------------------------------------------------------------------------------------- the model of the disk itself


def test_what_was_not_flushed_may_be_lost_and_what_was_flushed_is_not() -> None:
    disk = Disk({"/h": None}, {"/h": None})
    disk.do(Operation("open", "/h/a", flags="O_WRONLY|O_CREAT"))
    disk.do(Operation("write", "/h/a", b"one"))
    disk.do(Operation("flush", "/h/a"))
    disk.do(Operation("write", "/h/a", b"two"))
    file = disk.names["/h/a"]
    assert isinstance(file, File)
    chance = random.Random(1)
    assert (file.after("unflushed", chance), file.after("nothing", chance)) == (b"one", b"onetwo")
    assert "/h/a" not in disk.lasting
    disk.do(Operation("flush", "/h"))
    assert "/h/a" in disk.lasting


def test_a_rename_that_was_not_flushed_may_be_undone(tmp_path: Path) -> None:
    disk = Disk({"/h": None}, {"/h": None})
    for operation in (
        Operation("open", "/h/.new", flags="O_CREAT"),
        Operation("write", "/h/.new", b"whole"),
        Operation("flush", "/h/.new"),
        Operation("flush", "/h"),
        Operation("rename", "/h/.new", target="/h/new"),
    ):
        disk.do(operation)
    disk.cut("/h", tmp_path / "kept", "unflushed", "kept", random.Random(1))
    disk.cut("/h", tmp_path / "lost", "unflushed", "lost", random.Random(1))
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "lost").iterdir()] == [".new"]


def test_a_trace_is_read_with_calls_that_another_process_interrupts() -> None:
    text = "".join(f"\\x{byte:02x}" for byte in b"/h/a")
    lines = [
        f'7 openat(AT_FDCWD<\\x2f>, "{text}", O_WRONLY|O_CREAT, 0600) = 3<{text}>',
        f'7 pwrite64(3<{text}>, "\\x6f\\x6b", 2, 4096 <unfinished ...>',
        f"8 fsync(3<{text}>) = 0",
        "7 <... pwrite64 resumed>) = 2",
        f'9 write(3<{text}>, "\\x6f", 1) = -1 ENOSPC (No space left on device)',
    ]
    assert trace.operations(lines, "/h") == [
        Operation("open", "/h/a", flags="O_WRONLY|O_CREAT, 0600"),
        Operation("flush", "/h/a"),
        Operation("write", "/h/a", b"ok", 4096),
    ]
