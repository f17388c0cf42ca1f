"""Where several machines share a database, the lines of a run's log are rows, and a job's log stays on its machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from jarvisd import logs
from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError
from jarvisd.operations import log_lines, this_machine
from jarvisd.operations import report as reports
from jarvisd.paths import Home
from jarvisd.store import database, queue, run_lines
from jarvisd.store.models import Job, Run, RunLine, Status
from tests import claiming, fleets

MakeRun = Callable[..., Run]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stands for the server: what follows from sharing it is under test, not how it is connected."""
    monkeypatch.setattr(database, "is_shared", lambda: True)
    monkeypatch.setattr(run_lines, "_next_try", 0.0)
    run_lines._kept.clear()


def call(home: Home, *words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli, list(words), obj=App(home))


def texts() -> list[str]:
    return [row.text for row in RunLine.select().order_by(RunLine.id)]


def test_a_database_of_one_machine_has_no_rows_of_lines(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    logs.append(home, run.id, "mine begins")
    logs.logger(home, run.id, "mine").info("half done")
    assert texts() == []
    assert logs.whole_run_log(home, run.id) == logs.run_log(home, run.id)


@pytest.mark.usefixtures("shared")
def test_lines_of_the_daemon_and_of_the_child_are_rows_and_in_the_file(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    logs.append(home, run.id, "mine begins\x1b[2J")
    logs.logger(home, run.id, "evaluate:a").info("%s is done", "half")
    assert len(texts()) == 2
    assert "\x1b" not in texts()[0]
    assert texts()[1] == "evaluate:a: half is done"
    file = logs.run_log(home, run.id).read_bytes()
    assert logs.whole_run_log(home, run.id) == file


@pytest.mark.usefixtures("shared")
def test_logs_of_a_run_prints_the_rows_on_a_machine_without_its_folder(home: Home, make_run: MakeRun) -> None:
    run, at = make_run("mine"), database.now()
    for minutes, text in ((90, "mine begins"), (30, "mine: half done"), (1, "mine succeeded")):
        run_lines.add(run.id, text, at - dt.timedelta(minutes=minutes))
    queue.settle(claiming.claimed(), Status.SUCCEEDED, None, at)
    whole = call(home, "logs", run.id).stdout
    assert [line.partition(" ")[2] for line in whole.splitlines()] == [
        "mine begins",
        "mine: half done",
        "mine succeeded",
    ]
    assert call(home, "logs", run.id, "-n", "1").stdout == whole.splitlines(keepends=True)[-1]
    assert call(home, "logs", run.id, "-n", "0").stdout == ""
    assert call(home, "logs", run.id, "--since", "1h").stdout == "".join(whole.splitlines(keepends=True)[1:])
    assert call(home, "logs", run.id, "-f").stdout == whole
    assert whole.encode() == logs.whole_run_log(home, run.id)


@pytest.mark.usefixtures("shared")
def test_a_run_of_which_no_row_is_stored_is_read_from_its_file(home: Home, make_run: MakeRun) -> None:
    """As of a history that was copied from a file to a server."""
    run = make_run("mine")
    file = logs.run_log(home, run.id)
    file.parent.mkdir(parents=True)
    file.write_text("2026-11-22T22:00:03+01:00 mine begins\n")
    assert call(home, "logs", run.id).stdout == file.read_text()


@pytest.mark.usefixtures("shared")
def test_a_line_that_could_not_be_stored_is_stored_with_a_later_one(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("mine")
    monkeypatch.setattr(database, "may_pass", lambda _error: True)
    database.db.execute_sql("ALTER TABLE run_line RENAME TO away")
    logs.append(home, run.id, "first")
    database.db.execute_sql("ALTER TABLE away RENAME TO run_line")
    logs.append(home, run.id, "second")
    assert texts() == []  # the next try is only after a pause
    monkeypatch.setattr(run_lines, "_next_try", 0.0)
    logs.append(home, run.id, "third")
    assert texts() == ["first", "second", "third"]


@pytest.mark.usefixtures("shared")
def test_the_first_lines_of_a_run_are_written_by_one_machine(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    assert not logs.has_begun(home, run.id)
    run_lines.add(run.id, "run begins", database.now())
    assert logs.has_begun(home, run.id)


@pytest.mark.usefixtures("shared")
def test_a_run_that_is_pruned_takes_its_lines_with_it(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    logs.append(home, run.id, "mine begins")
    Run.delete().where(Run.id == run.id).execute()
    assert texts() == []
    logs.append(home, run.id, "too late")
    assert not run_lines._kept


@pytest.mark.usefixtures("shared")
def test_the_log_of_a_job_of_another_machine_is_named(home: Home, make_run: MakeRun) -> None:
    """Whether the job runs there, or its run goes on here."""
    make_run("mine")
    fleets.join(this_machine.identity(home)), fleets.join("MacBook")
    job = claiming.claimed()
    for place in ({"machine": "MacBook"}, {"machine": None, "pinned_to": "MacBook"}):
        Job.update(place).where(Job.id == job.id).execute()
        answer = call(home, "logs", str(job.id))
        assert isinstance(answer.exception, JarvisError)
        assert answer.exception.exit_code == 1
        assert answer.exception.what == f"its log is on MacBook: var/logs/job-{job.id}.log"
    Job.update(machine=this_machine.identity(home)).where(Job.id == job.id).execute()
    assert log_lines.elsewhere(home, Job.get()) == ""


# ------------------------------------------------------------------------------------------------------------ reports


@pytest.fixture
def reported(home: Home, make_run: MakeRun) -> tuple[Run, Path]:
    """A run whose report job has succeeded, and the page that it wrote."""
    run = make_run("report")
    job = claiming.claimed()
    page = home.run_folder(run.id) / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<html>")
    queue.settle(job, Status.SUCCEEDED, None, database.now())
    return run, page


def test_the_files_of_a_report_job_are_the_last_word_on_one_machine(home: Home, reported: tuple[Run, Path]) -> None:
    run, _ = reported
    assert reports.is_written(home, run, "report.html")
    assert reports.is_rendered(home, run, "report.html")
    assert not reports.can_be_rendered(run)


@pytest.mark.usefixtures("shared")
def test_files_from_before_another_machine_wrote_the_report_are_rendered_again(
    home: Home, reported: tuple[Run, Path]
) -> None:
    run, page = reported
    assert not reports.is_written(home, run, "report.html")  # a vote may have been stored elsewhere since
    assert reports.is_rendered(home, run, "report.html")
    Job.update(started_at=database.now() + dt.timedelta(minutes=1)).execute()
    assert not reports.is_rendered(home, run, "report.html")
    page.unlink()
    assert not reports.is_rendered(home, run, "report.html")
    assert reports.can_be_rendered(run)
