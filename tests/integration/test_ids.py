"""An id that was given once means one run or one job for ever, whatever was pruned since."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from jarvisd.daemon import recovery
from jarvisd.host import files
from jarvisd.operations import retention
from jarvisd.paths import Home
from jarvisd.store import queries, queue, transitions
from jarvisd.store.models import Job, Run
from tests.claiming import claimed, finish

MakeRun = Callable[..., Run]


def pruned(home: Home, run: Run) -> list[int]:
    """The ids of the jobs of a run, which are settled and removed with it."""
    ids = [job.id for job in queries.jobs_of(run)]
    for _ in ids:
        finish(claimed())
    assert retention.remove(home, [run]) == 1
    return ids


def test_a_pruned_run_s_id_and_number_and_its_jobs_ids_are_never_given_again(home: Home, make_run: MakeRun) -> None:
    first = make_run("command:x", plan="command")
    ids = pruned(home, first)
    second = make_run("command:x", plan="command")
    assert (first.id, second.id) == ("2026-11-22-command", "2026-11-22-command-2")
    assert second.number > first.number
    assert queries.jobs_of(second)[0].id > ids[0]
    pruned(home, second)
    assert make_run("command:x", plan="command").id == "2026-11-22-command-3"


def test_two_plans_whose_numbered_names_meet_never_share_an_id(home: Home, make_run: MakeRun) -> None:
    pruned(home, make_run("mine", plan="night-2"))
    assert [make_run("mine", plan="night").id for _ in range(2)] == ["2026-11-22-night", "2026-11-22-night-3"]


def test_jobs_of_a_next_round_get_new_ids_too(home: Home, make_run: MakeRun) -> None:
    ids = pruned(home, make_run("mine", "evaluate:a", "evaluate:b"))
    run = make_run("report")
    report = claimed()
    outcome = {"attempt": 1, "ok": True, "next_round": [{"kind": "evaluate", "name": "a", "params": {}}]}
    Job.update(outcome=outcome).where(Job.id == report.id).execute()
    finish(Job.get_by_id(report.id))
    assert [job.id for job in queries.jobs_of(run)] == [max(ids) + 1, max(ids) + 2, max(ids) + 3]


def test_a_job_whose_results_are_deleted_keeps_its_id(make_run: MakeRun) -> None:
    run = make_run("mine", "evaluate:a")
    ids = [job.id for job in queries.jobs_of(run)]
    finish(claimed())
    queue.retry(queries.jobs_of(run), fresh=True)
    assert [job.id for job in queries.jobs_of(run)] == ids


def test_a_log_that_a_killed_prune_left_is_removed_when_the_daemon_starts(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    (job,) = pruned(home, run)
    kept = queries.jobs_of(make_run("mine"))[0].id
    for number in (job, kept):
        home.job_log(number).write_text("first\n")
    recovery.recover(home)
    assert [path.name for path in home.logs.glob("job-*")] == [f"job-{kept}.log"]


def test_a_log_from_before_the_database_was_replaced_stays_and_no_job_gets_its_number(
    home: Home, make_run: MakeRun
) -> None:
    home.job_log(7).write_text("of a database that was set aside\n")
    (home.logs / f"job-{10**30}.log").write_text("of another program\n")
    (home.logs / "job-x.log").write_text("of another program\n")
    recovery.recover(home)
    assert queries.jobs_of(make_run("mine"))[0].id == 8
    assert len(list(home.logs.glob("job-*"))) == 3


@pytest.mark.sqlite
def test_a_run_s_folder_has_lost_its_name_on_the_disk_before_its_row_goes(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could bring the folder back without a row, and no later prune would find it."""
    run = make_run("mine")
    home.run_folder(run.id).mkdir(parents=True)
    flushed, flush_folder = [], files.flush_folder

    def note(folder: os.PathLike[str]) -> None:
        with closing(sqlite3.connect(home.database)) as other:
            rows = other.execute("SELECT count(*) FROM run").fetchone()[0]
        flushed.append((folder, home.run_folder(run.id).exists(), rows))
        flush_folder(home.results)

    monkeypatch.setattr(files, "flush_folder", note)
    pruned(home, run)
    assert flushed == [(home.results, False, 1)]


def test_a_lower_number_than_the_last_one_changes_nothing(home: Home) -> None:
    transitions.raise_last_number("job", 9)
    transitions.raise_last_number("job", 3)
    assert queries.last_number("job") == 9
