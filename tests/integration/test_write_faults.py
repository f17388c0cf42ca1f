"""Every kind of write that can fail, failing: what stood under the final name stays, and the reason is in words."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import peewee
import pytest

from jarvisd import logs
from jarvisd.daemon import recovery
from jarvisd.errors import JarvisError, LedgerError
from jarvisd.host import files
from jarvisd.operations import placeholder, retention
from jarvisd.paths import Home
from jarvisd.store import database as store_database
from jarvisd.store import migrations, salvage, transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jarvisd.worker.main import _run
from tests import claiming

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
    assert store_database.disk_error(caught.value)
    assert path.read_text() in ("the old one", "the new one")
    assert [left.name for left in tmp_path.iterdir()] == ["REPORT.md"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut would need; here only the order of the calls can be seen."""
    calls: list[str] = []
    rename = Path.replace
    kind = {True: "folder", False: "data"}
    monkeypatch.setattr(
        files, "flush", lambda descriptor: calls.append(kind[stat.S_ISDIR(os.fstat(descriptor).st_mode)])
    )
    monkeypatch.setattr(Path, "replace", lambda path, target: calls.append("rename") or rename(path, target))
    files.replace(tmp_path / "REPORT.md", "a report")
    assert calls == ["data", "rename", "folder"]
    calls.clear()
    files.replace_symlink(tmp_path / "latest", "2026-11-22-overnight")
    assert calls == ["rename", "folder"]


def test_a_folder_where_a_link_should_be_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="not a symbolic link"):
        files.replace_symlink(tmp_path / "latest", "2026-11-22-overnight")
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]
    assert (tmp_path / "latest" / "thesis.tex").exists()


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
    pages = store_database.db.execute_sql("PRAGMA page_count").fetchone()[0]
    store_database.db.execute_sql(f"PRAGMA max_page_count = {pages}")


def test_a_submission_on_a_full_disk_stores_nothing_and_names_the_disk(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    no_room(home)
    with pytest.raises(peewee.OperationalError) as caught:
        make_run(*[f"command:{number}" for number in range(2000)], plan="large")
    assert store_database.disk_error(caught.value) == "the disk is full"
    assert (Run.select().count(), Job.select().count()) == (1, 1)
    store_database.db.execute_sql("PRAGMA max_page_count = 1000000")
    make_run(*[f"command:{number}" for number in range(2000)], plan="large")
    assert Job.select().count() == 2001
    store_database.db.close()
    with closing(sqlite3.connect(home.database)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def context_of(home: Home, job: Job) -> JobContext:
    home.run_folder(job.run_id).mkdir(exist_ok=True)
    return claiming.context_of(home, job, logs.logger(home, job.run_id, job.name))


@pytest.mark.parametrize("fault", ["piece", "publish"])
def test_a_job_that_meets_a_full_disk_says_so_and_how_to_go_on(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run = make_run("mine")
    job = transitions.claim("here", "boot", store_database.now())
    assert job is not None
    context = context_of(home, job)

    def work(_context: JobContext) -> None:
        if fault == "publish":
            refuse(monkeypatch, os, "fsync", errno.ENOSPC)
            context.publish("templates.json", "{}")
        with context.checkpoint():
            no_room(home)
            Run.update(snapshot={"plan": "x" * 10_000_000}).where(Run.id == run.id).execute()

    monkeypatch.setattr("jarvisd.registry.load", lambda _dotted: work)
    outcome = _run(context, "mine")
    assert not outcome.ok
    assert outcome.reason.startswith("the disk is full. Mend that, then `jarvisctl retry")
    for handler in context.log.handlers[:]:
        handler.close()
        context.log.removeHandler(handler)
    assert not (context.folder / "templates.json").exists()
    assert [path.name for path in context.folder.iterdir()] == ["experiment.log"]


def test_of_an_unexpected_failure_type_and_place_are_kept_and_no_text_of_it(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_run("mine")
    job = transitions.claim("here", "boot", store_database.now())
    assert job is not None
    context = context_of(home, job)

    def work(_context: JobContext) -> None:
        raise ValueError("the canary sings at midnight")

    monkeypatch.setattr("jarvisd.registry.load", lambda _dotted: work)
    outcome = _run(context, "mine")
    for handler in context.log.handlers[:]:
        handler.close()
        context.log.removeHandler(handler)
    assert re.match(r"unexpected ValueError at test_write_faults.py:\d+ in work; ", outcome.reason)
    log = outcome.reason + logs.run_log(home, job.run_id).read_text() + "".join(capfd.readouterr())
    assert "in work" in log
    assert "canary" not in log


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
def test_the_daemon_goes_on_when_its_pages_cannot_be_written(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = make_run("mine", "report")
    home.run_folder(run.id).mkdir()
    refuse(monkeypatch, os, "open", number)
    logs.append(home, run.id, "a line")
    placeholder.plain_report(home, run, "it failed")
    placeholder.running_page(home, run)
    assert list(home.run_folder(run.id).iterdir()) == []


def test_the_cause_is_found_behind_the_complaint_that_follows_it(home: Home) -> None:
    """SQLite ends the transaction by itself; to roll back what is not there fails too, and hides why."""
    no_room(home)
    with pytest.raises(peewee.OperationalError) as caught, store_database.write():
        store_database.db.execute_sql("CREATE TABLE large AS SELECT hex(zeroblob(2000000)) AS x")
    assert store_database.disk_error(caught.value) == "the disk is full"
    assert store_database.disk_error(ValueError("the disk is full")) is None
    assert store_database.disk_error(None) is None


# -------------------------------------------------------------------------------------------- foreign files


def test_a_damaged_database_never_takes_the_place_of_another_damaged_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two within one second: the name of the first is taken."""
    store_database.db.close()
    kept = []
    for number in range(3):
        home.database.write_bytes(f"somebody's file {number} ".encode() * 300)
        salvage.mend(home)
        assert not home.database.exists()
        kept = sorted(home.var.glob("jarvis-damaged-*.db*"))
    assert {path.read_bytes()[:17] for path in kept} == {f"somebody's file {number}".encode() for number in range(3)}
    migrations.migrate(home)
    assert Job.select().count() == 0


def test_a_journal_goes_with_the_damaged_file_and_into_neither_that_nor_the_new_database(
    home: Home, make_run: MakeRun
) -> None:
    """A daemon was killed, and a foreign file took the place of its database: the journal is still beside it."""
    make_run("mine", plan="old")
    journal = home.database.with_name("jarvis.db-wal")
    written, foreign = journal.read_bytes(), b"this is no database, but somebody's file" * 500
    store_database.db.close()
    home.database.write_bytes(foreign)
    journal.write_bytes(written)
    salvage.mend(home)
    (kept,) = home.var.glob("jarvis-damaged-*.db")
    assert kept.read_bytes() == foreign
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == written
    migrations.migrate(home)
    assert Run.select().count() == 0


def test_a_database_that_another_process_holds_is_not_taken_for_a_damaged_one(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine")
    store_database.db.close()
    with closing(sqlite3.connect(home.database, isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode = delete")
        holder.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.1))
        with pytest.raises(LedgerError, match="another process holds it"):
            salvage.mend(home)
    assert home.database.exists()
    assert list(home.var.glob("jarvis-damaged-*")) == []


def test_a_database_that_is_a_folder_or_a_pipe_is_refused_and_left_alone(tmp_path: Path) -> None:
    for number, make in enumerate((Path.mkdir, os.mkfifo)):
        home = Home(tmp_path / str(number), "--home")
        home.make()
        make(home.database)
        for attempt in (salvage.mend, migrations.migrate, migrations.open_existing):
            with pytest.raises(LedgerError, match=r"not a file"):
                attempt(home)
        assert home.database.exists()
        store_database.db.close()


def test_a_database_of_another_program_is_not_written_to_and_set_aside_by_the_daemon(tmp_path: Path) -> None:
    home = Home(tmp_path, "--home")
    home.make()
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("CREATE TABLE run (mine TEXT)")
    for attempt in (migrations.migrate, migrations.open_existing):
        with pytest.raises(LedgerError, match="another program"):
            attempt(home)
    store_database.db.close()
    salvage.mend(home)
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


def test_every_temporary_name_below_var_is_swept_at_the_daemons_start(home: Home, make_run: MakeRun) -> None:
    """Of a replaced file, of the link `latest`, of this computer's name, of a backup now and in version 0.1.0."""
    folder = home.run_folder(make_run("mine").id)
    names = (home.var / ".machine-id.0123456789abcdef0123456789abcdef", home.var / ".machine-id.abcdefgh")
    left = [*names, home.results / ".latest.4711", folder / ".REPORT.md.x7_a0bcd"]
    copies = [home.var / "backups" / name for name in (".backup.abcdefgh", "tmpabcdefgh")]
    kept = [home.var / "backups" / "jarvis-jarvisd1.db", home.cache / ".hidden"]
    for path in (*left, *(copy / "copy.db" for copy in copies), *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    for path in (*left, *copies, *kept):
        os.utime(path, (0, 0))
    recovery.recover(home)
    assert [path for path in (*left, *copies) if path.exists()] == []
    assert all(path.exists() for path in kept)


def test_the_name_of_var_is_flushed_and_a_folder_as_fully_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By F_FULLFSYNC, where the system has it."""
    flushed: list[tuple[int, int]] = []

    def full(descriptor: int, command: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, command))

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full)
    migrations.migrate(Home(tmp_path / "home", "--home"))
    assert flushed == [((tmp_path / "home").stat().st_ino, 51)]


def test_no_text_of_a_pruned_run_stays_in_the_database_or_its_log(home: Home, make_run: MakeRun) -> None:
    canary = "canary-of-a-message"
    run = make_run("mine")
    Job.update(params={"text": canary}, status="succeeded").execute()
    assert canary.encode() in home.database.with_name("jarvis.db-wal").read_bytes()
    assert retention.remove(home, [run]) == 1
    for path in home.var.glob("jarvis.db*"):
        assert canary.encode() not in path.read_bytes()
    assert store_database.db.execute_sql("PRAGMA secure_delete").fetchone() == (1,)


def test_sweeping_follows_no_link_and_survives_a_file_that_goes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    for folder in (results / "run", elsewhere):
        folder.mkdir(parents=True)
    (results / "latest").symlink_to("run")
    (results / "linked").symlink_to(elsewhere)
    linked, own = elsewhere / ".REPORT.md.abcdefgh", results / "run" / ".REPORT.md.abcdefgh"
    for path in (linked, own):
        path.touch()
        os.utime(path, (0, 0))
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path: (unlink(path), unlink(path)))  # another process is faster
    files.sweep(results)
    assert (linked.exists(), own.exists()) == (True, False)
    assert files.sweep(tmp_path / "nothing here") == 0


def test_a_daemon_that_starts_sweeps_away_what_killed_writers_left(home: Home, make_run: MakeRun) -> None:
    folder = home.run_folder(make_run("mine").id)
    folder.mkdir()
    (folder / ".report.html.x7_a0bcd").write_text("half")
    os.utime(folder / ".report.html.x7_a0bcd", (0, 0))
    recovery.recover(home)
    assert list(folder.iterdir()) == []
