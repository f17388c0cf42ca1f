"""Every kind of write that can fail, failing: what stood under the final name stays, and the reason is in words."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import peewee
import pytest

from jarvisd import disk, fallback, files, ledger, migrations, recovery, stories
from jarvisd.context import JobContext
from jarvisd.errors import JarvisError, LedgerError
from jarvisd.home import Home
from jarvisd.ledger import Job, Run
from jarvisd.worker import _run

MakeRun = Callable[..., Run]
NUMBERS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS]


def refuse(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, number: int) -> None:
    """Let one call of the operating system fail as a disk would make it fail."""

    def failing(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(target, name, failing)


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
@pytest.mark.parametrize(("target", "call"), [(os, "open"), (os, "fdopen"), (os, "fsync"), (Path, "replace")])
def test_a_file_that_cannot_be_replaced_is_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any, call: str, number: int
) -> None:
    path = files.replace(tmp_path / "REPORT.md", "the old one")
    with monkeypatch.context() as faults:
        refuse(faults, target, call, number)
        with pytest.raises(OSError) as caught:
            files.replace(path, "the new one")
    assert caught.value.errno == number
    assert disk.trouble(caught.value)
    assert path.read_text() in ("the old one", "the new one")
    assert [left.name for left in tmp_path.iterdir()] == ["REPORT.md"]


def test_a_file_is_not_replaced_by_half_of_it(tmp_path: Path) -> None:
    """The device that is always full: `write` itself fails."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = files.replace(tmp_path / "page", "the old one")
    with pytest.MonkeyPatch.context() as faults:
        faults.setattr("tempfile.mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), str(tmp_path / "none")))
        with pytest.raises(OSError, match="No space left"):
            files.replace(path, "x" * 100_000)
    assert path.read_text() == "the old one"


def no_room(home: Home) -> None:
    """Let the database grow no more: SQLite says then what it says on a full disk."""
    assert home.database.exists()
    pages = ledger.database.execute_sql("PRAGMA page_count").fetchone()[0]
    ledger.database.execute_sql(f"PRAGMA max_page_count = {pages}")


def test_a_submission_on_a_full_disk_stores_nothing_and_names_the_disk(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    no_room(home)
    with pytest.raises(peewee.OperationalError) as caught:
        make_run(*[f"command:{number}" for number in range(2000)], plan="large")
    assert disk.trouble(caught.value) == "the disk is full"
    assert (Run.select().count(), Job.select().count()) == (1, 1)
    ledger.database.execute_sql("PRAGMA max_page_count = 1000000")
    make_run(*[f"command:{number}" for number in range(2000)], plan="large")
    assert Job.select().count() == 2001
    ledger.database.close()
    with closing(sqlite3.connect(home.database)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def context_of(home: Home, job: Job) -> JobContext:
    home.run_folder(job.run_id).mkdir(exist_ok=True)
    return JobContext(
        home=home,
        run_id=job.run_id,
        job_id=job.id,
        job_name=job.name,
        attempt=job.attempt,
        round=1,
        params={},
        plan={},
        folder=home.run_folder(job.run_id),
        ends_by=None,
        log=stories.logger(home, job.run_id, job.name),
    )


@pytest.mark.parametrize("fault", ["piece", "publish"])
def test_a_job_that_meets_a_full_disk_says_so_and_how_to_go_on(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run = make_run("mine")
    job = ledger.claim("here", "boot", ledger.now())
    assert job is not None
    context = context_of(home, job)

    def work(_context: JobContext) -> None:
        if fault == "publish":
            refuse(monkeypatch, os, "fsync", errno.ENOSPC)
            context.publish("templates.json", "{}")
        with context.piece():
            no_room(home)
            Run.update(snapshot={"plan": "x" * 10_000_000}).where(Run.id == run.id).execute()

    monkeypatch.setattr("jarvisd.kinds.load", lambda _dotted: work)
    outcome = _run(context, "mine")
    assert not outcome.ok
    assert outcome.reason.startswith("the disk is full. Mend that, then `jarvisctl retry")
    for handler in context.log.handlers[:]:
        handler.close()
        context.log.removeHandler(handler)
    assert not (context.folder / "templates.json").exists()
    assert [path.name for path in context.folder.iterdir()] == ["experiment.log"]


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
def test_the_pages_of_the_daemon_stop_nobody_when_they_cannot_be_written(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = make_run("mine", "report")
    home.run_folder(run.id).mkdir()
    refuse(monkeypatch, os, "open", number)
    stories.tell(home, run.id, "a line")
    fallback.plain_report(home, run, "it failed")
    fallback.running_page(home, run)
    assert list(home.run_folder(run.id).iterdir()) == []


def test_the_cause_is_found_behind_the_complaint_that_follows_it(home: Home) -> None:
    """SQLite ends the transaction by itself; to roll back what is not there fails too, and hides why."""
    no_room(home)
    with pytest.raises(peewee.OperationalError) as caught, ledger.write():
        ledger.database.execute_sql("CREATE TABLE large AS SELECT hex(zeroblob(2000000)) AS x")
    assert disk.trouble(caught.value) == "the disk is full"
    assert disk.trouble(ValueError("the disk is full")) is None
    assert disk.trouble(None) is None


# --------------------------------------------------------------------------------------------- what is not ours


def test_a_damaged_database_never_takes_the_place_of_another_damaged_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two within one second: the name of the first is taken."""
    ledger.database.close()
    kept = []
    for number in range(3):
        home.database.write_bytes(f"somebody's file {number} ".encode() * 300)
        recovery.set_damaged_aside(home)
        assert not home.database.exists()
        kept = sorted(home.var.glob("jarvis-damaged-*.db*"))
    assert {path.read_bytes()[:17] for path in kept} == {f"somebody's file {number}".encode() for number in range(3)}
    migrations.migrate(home)
    assert Job.select().count() == 0


def test_a_database_that_is_a_folder_or_a_pipe_is_refused_and_left_alone(tmp_path: Path) -> None:
    for number, make in enumerate((Path.mkdir, os.mkfifo)):
        home = Home(tmp_path / str(number), "--home")
        home.make()
        make(home.database)
        for attempt in (recovery.set_damaged_aside, migrations.migrate, migrations.open_existing):
            with pytest.raises(LedgerError, match=r"not a file"):
                attempt(home)
        assert home.database.exists()
        ledger.database.close()


def test_a_database_of_another_program_is_not_written_to_and_set_aside_by_the_daemon(tmp_path: Path) -> None:
    home = Home(tmp_path, "--home")
    home.make()
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("CREATE TABLE run (mine TEXT)")
    for attempt in (migrations.migrate, migrations.open_existing):
        with pytest.raises(LedgerError, match="another program"):
            attempt(home)
    ledger.database.close()
    recovery.set_damaged_aside(home)
    (kept,) = home.var.glob("jarvis-damaged-*.db")
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT name, sql FROM sqlite_master").fetchall() == [
            ("run", "CREATE TABLE run (mine TEXT)")
        ]


def test_a_var_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("mine")
    with pytest.raises(JarvisError, match="cannot write to"):
        migrations.migrate(Home(tmp_path, "--home"))
    assert (tmp_path / "var").read_text() == "mine"


def test_what_a_killed_writer_left_is_swept_away_later_and_nothing_else(tmp_path: Path) -> None:
    run = tmp_path / "2026-11-22-overnight"
    run.mkdir()
    left, young, kept = run / ".REPORT.md.x7_a0bcd", run / ".report.html.abcdefgh", [run / "REPORT.md", run / ".hidden"]
    for path in (left, young, *kept):
        path.write_text("half")
    for path in (left, *kept):
        os.utime(path, (0, 0))
    assert files.sweep(tmp_path) == 1
    assert sorted(run.iterdir()) == sorted([young, *kept])
