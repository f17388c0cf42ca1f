"""A damaged database: what can be read is kept, the damaged file stays beside it, and both are said."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from jarvisd.errors import LedgerError
from jarvisd.paths import Home
from jarvisd.store import database, migrations, queries, salvage
from jarvisd.store.models import Job, Run
from tests.claiming import claimed

MakeRun = Callable[..., Run]
FILLS = {"zeros": bytes, "ones": lambda size: b"\xff" * size, "noise": os.urandom}


def pages(home: Home, name: str) -> list[int]:
    """The numbers of the pages of a table or an index, its root first."""
    database.disconnect()
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (name,)).fetchall()
    return [page for (page,) in rows]


def overwrite(home: Home, *numbers: int, fill: Callable[[int], bytes] = bytes) -> bytes:
    """Overwrite pages, counted from 1. Returns the content of the damaged file."""
    database.disconnect()
    content = bytearray(home.database.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    for number in numbers:
        content[(number - 1) * size : number * size] = fill(size)
    home.database.write_bytes(content)
    return bytes(content)


def reopened(home: Home) -> None:
    """Open the database as a daemon that starts: mend it, then bring its schema up to date."""
    salvage.mend(home)
    migrations.migrate(home)
    assert database.db.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.db.execute_sql("PRAGMA foreign_key_check").fetchall() == []


def kept(home: Home) -> Path:
    (path,) = home.var.glob("jarvis-damaged-*.db")
    return path


def test_an_undamaged_database_is_left_alone(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    reopened(home)
    assert salvage.message(home) is None
    assert list(home.var.glob("jarvis-damaged-*")) == []


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_eight_queued_jobs_survive_a_damaged_index(home: Home, make_run: MakeRun, fill: Callable[[int], bytes]) -> None:
    for number in range(8):
        make_run("command:true", plan=f"p{number}")
    content = overwrite(home, *pages(home, "job_status"), fill=fill)
    reopened(home)
    assert Job.select().count() == Run.select().count() == 8
    assert claimed().name == "command:true"
    assert kept(home).read_bytes() == content
    assert "Saved: 8 of 8 runs, 8 of 8 jobs. The damaged file is kept as var/" in str(salvage.message(home))


def test_a_damaged_index_page_that_can_still_be_parsed_is_mended_in_place(home: Home, make_run: MakeRun) -> None:
    """One wrong byte, the number of fragmented bytes of an index page: REINDEX is enough."""
    make_run("mine")
    (page,) = pages(home, "job_status")
    content = bytearray(home.database.read_bytes())
    content[(page - 1) * int.from_bytes(content[16:18], "big") + 7] = 50
    home.database.write_bytes(content)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
        assert salvage._reindex(connection)
        assert connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)


def test_of_a_damaged_table_every_row_on_the_other_pages_is_saved(home: Home, make_run: MakeRun) -> None:
    """The rows before and behind the damaged page, and the number of those on it."""
    make_run(*[f"command:{number}" for number in range(2000)])
    leaves = pages(home, "job")[1:]
    overwrite(home, leaves[len(leaves) // 2])
    reopened(home)
    left = [job.place for job in Job.select().order_by(Job.place)]
    assert 1900 < len(left) < 2000
    assert (left[0], left[-1]) == (0, 1999)
    assert f"Saved: 1 of 1 runs, {len(left):,} of 2,000 jobs." in str(salvage.message(home))
    assert claimed().place == 0


def test_between_two_damaged_pages_rows_are_read_one_by_one(home: Home, make_run: MakeRun) -> None:
    make_run(*[f"command:{number}" for number in range(2000)])
    leaves = pages(home, "job")[1:]
    overwrite(home, leaves[10], leaves[-10])
    reopened(home)
    assert 1900 < Job.select().where(Job.place.between(100, 1900)).count() + 200 <= 2001


def test_jobs_whose_run_cannot_be_read_are_not_kept(home: Home, make_run: MakeRun) -> None:
    """A job without its run has no plan."""
    make_run("mine", "report")
    overwrite(home, *pages(home, "run"))
    reopened(home)
    assert Job.select().count() == Run.select().count() == 0
    assert "Saved: 0 of 1 runs, 0 of 2 jobs." in str(salvage.message(home))


@pytest.mark.parametrize("name", ["migration", "sqlite_schema"])
def test_without_its_schema_or_version_a_new_database_is_made(home: Home, make_run: MakeRun, name: str) -> None:
    make_run("mine")
    fill = bytes if name == "migration" else lambda size: b"SQLite format 3\0" + b"\xa5" * (size - 16)
    content = overwrite(home, *pages(home, name), fill=fill)
    reopened(home)
    assert Job.select().count() == 0
    assert kept(home).read_bytes() == content
    assert "A new one was made, without its runs." in str(salvage.message(home))
    make_run("mine")


def test_whichever_page_is_damaged_the_daemon_gets_a_whole_database(home: Home, make_run: MakeRun) -> None:
    for number in range(8):
        make_run("mine", "report", plan=f"p{number}")
    pages(home, "job")
    content = home.database.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    for number in range(2, len(content) // size + 1):
        database.disconnect()
        for old in home.var.glob("jarvis*.db*"):
            old.unlink()
        home.database.write_bytes(content)
        overwrite(home, number, fill=list(FILLS.values())[number % 3])
        reopened(home)
        assert Job.select().count() in (0, 16)
        assert queries.next_number() > Run.select().count()


def test_what_was_saved_is_said_for_a_day(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    overwrite(home, *pages(home, "job_status"))
    reopened(home)
    note = home.var / "database-rescue.json"
    document = json.loads(note.read_text())
    for age, shown in ((dt.timedelta(hours=23), True), (dt.timedelta(hours=25), False)):
        at = (dt.datetime.now(dt.UTC) - age).isoformat()
        note.write_text(json.dumps(document | {"at": at}))
        assert (salvage.message(home) is not None) is shown
    for broken in ("", "[]", "{}", '{"at": 1, "kept": "", "saved": {}, "total": {}}'):
        note.write_text(broken)
        assert salvage.message(home) is None


def test_a_damaged_database_that_another_process_writes_to_is_left_for_later(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("mine")
    overwrite(home, *pages(home, "job_status"))
    content = home.database.read_bytes()
    monkeypatch.setattr(salvage, "BUSY_S", 0.1)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process holds it"):
            salvage.mend(home)
    assert home.database.read_bytes() == content
    reopened(home)
    assert Job.select().count() == 1
