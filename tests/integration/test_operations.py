"""Rules of the operations: what cancel, retry, pause and waiting do beside the change of status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from jarvisd.errors import Ambiguous, JarvisError, UsageError
from jarvisd.operations import control, lookup, report, submit, wait
from jarvisd.paths import Home
from jarvisd.store import database, queries
from jarvisd.store.models import Job, Run, Status
from tests.claiming import HERE, claimed

MakeRun = Callable[..., Run]


def settle(run: Run, **statuses: Status) -> None:
    """Give jobs of the run, named by kind, these statuses, in the order of the run."""
    for job in queries.jobs_of(run):
        if job.kind in statuses:
            Job.update(status=statuses[job.kind], ended_at=database.now()).where(Job.id == job.id).execute()


def test_a_cancelled_report_leaves_a_page_that_says_so(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine", "report")
    home.run_folder(run.id).mkdir(parents=True)
    assert {job.name for job in control.cancel(home, run)} == {"mine", "report"}
    assert "it was cancelled" in (home.run_folder(run.id) / "REPORT.md").read_text()


def test_cancelling_a_report_keeps_the_finished_one(home: Home, make_run: MakeRun) -> None:
    run = make_run("report")
    folder = home.run_folder(run.id)
    folder.mkdir(parents=True)
    for name in ("report.html", "REPORT.md"):
        (folder / name).write_text("finished")
    control.cancel(home, run)
    assert (folder / "REPORT.md").read_text() == "finished"


def test_a_settled_run_has_nothing_to_cancel(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    control.cancel(home, run)
    with pytest.raises(JarvisError, match=r"nothing to cancel: .* has ended") as refused:
        control.cancel(home, run)
    assert refused.value.exit_code == 1


def test_only_jobs_that_did_not_succeed_are_retried(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine", "evaluate:a", "report")
    settle(run, mine=Status.SUCCEEDED, evaluate=Status.FAILED, report=Status.SUCCEEDED)
    retried = control.retry(home, run)
    assert [job.name for job in retried.jobs] == ["evaluate:a", "report"]
    assert retried.start_error is None


def test_with_fresh_all_jobs_are_retried(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine", "report")
    settle(run, mine=Status.SUCCEEDED, report=Status.SUCCEEDED)
    with pytest.raises(UsageError, match="nothing to retry"):
        control.retry(home, run)
    assert len(control.retry(home, run, fresh=True).jobs) == 2


def test_a_deadline_that_is_no_time_queues_nothing(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    control.cancel(home, run)
    with pytest.raises(UsageError, match="--until: 'soon' is not a time"):
        control.retry(home, run, until="soon")
    assert queries.is_settled(run)


def test_a_daemon_that_cannot_start_is_reported_beside_the_queued_jobs(
    home: Home, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On demand, retry starts the daemon; here its program does not run."""
    run = make_run("mine")
    control.cancel(home, run)
    (home.root / "config").mkdir(exist_ok=True)
    with (home.root / "config" / "settings.yaml").open("a") as settings:
        settings.write("daemon: on-demand\n")
    monkeypatch.setattr("sys.executable", "/bin/false")
    retried = control.retry(home, run)
    assert [job.name for job in retried.jobs] == ["mine"]
    assert retried.start_error is not None
    assert "the daemon did not start" in str(retried.start_error)
    assert not queries.is_settled(run)


def test_a_pause_names_its_end_and_the_running_job(home: Home, make_run: MakeRun) -> None:
    job = queries.jobs_of(make_run("mine"))[0]
    Job.update(status=Status.RUNNING, machine=HERE).where(Job.id == job.id).execute()
    paused = control.pause(home, dt.timedelta(hours=2))
    assert paused.until is not None
    assert paused.until - database.now() > dt.timedelta(minutes=119)
    assert paused.running is not None
    assert paused.running.name == "mine"
    assert control.resume(home).was_paused
    assert not control.resume(home).was_paused


def test_waiting_ends_when_the_run_is_settled_and_says_whether_all_succeeded(make_run: MakeRun) -> None:
    run = make_run("mine", "report")
    with pytest.raises(TimeoutError, match="is not settled after 0 s"):
        wait.until_settled(run.id, lambda: None, timeout_s=0)
    settle(run, mine=Status.SUCCEEDED, report=Status.SUCCEEDED)
    assert wait.until_settled(run.id, lambda: None)
    settle(run, mine=Status.FAILED)
    assert not wait.until_settled(run.id, lambda: None)


def test_each_change_of_status_is_shown_once(make_run: MakeRun) -> None:
    run = make_run("mine", "report")
    changes = wait.StatusChanges(run.id)
    assert changes.next() == []
    settle(run, mine=Status.SUCCEEDED)
    assert [job.name for job in changes.next()] == ["mine"]
    assert changes.next() == []


def test_a_vote_writes_no_report_where_none_is_settled(home: Home, make_run: MakeRun) -> None:
    assert report.write_after_vote(home, make_run("mine", "report")) is None


def test_the_newest_reported_run_is_the_newest_whose_report_was_written(make_run: MakeRun) -> None:
    with pytest.raises(UsageError, match="no report is finished yet"):
        report.newest_reported_run()
    older, newer = make_run("report"), make_run("report")
    settle(newer, report=Status.CANCELLED)
    assert report.newest_reported_run().id == newer.id
    settle(older, report=Status.SUCCEEDED)
    assert report.newest_reported_run().id == older.id
    assert report.is_current(older)
    assert not report.is_current(newer)


def test_a_name_that_nothing_has_gets_one_suggestion(make_run: MakeRun) -> None:
    make_run("command:sleepy")
    with pytest.raises(UsageError, match=r"Did you mean command:sleepy\?"):
        lookup.find_job_or_run("Sleppy")


def test_a_name_means_the_running_job_before_one_of_a_newer_run(make_run: MakeRun) -> None:
    running, _newer = make_run("command:build"), make_run("command:build")
    claimed()
    assert lookup.find_job("command:build").run_id == running.id
    assert lookup.find_job("build").run_id == running.id
    assert lookup.find_run("command:build").id == running.id


def test_a_name_means_a_job_of_an_open_run_before_the_newest_run(make_run: MakeRun) -> None:
    night, newer = make_run("mine", "evaluate:a", "report"), make_run("mine")
    settle(newer, mine=Status.SUCCEEDED)
    settle(night, mine=Status.SUCCEEDED)
    assert lookup.find_job("mine").run_id == night.id
    settle(night, evaluate=Status.SUCCEEDED, report=Status.SUCCEEDED)
    assert lookup.find_job("mine").run_id == newer.id
    assert lookup.find_job("evaluate:a").run_id == night.id


def test_a_name_that_two_open_runs_have_is_refused_with_a_list(make_run: MakeRun) -> None:
    first, second = make_run("command:build"), make_run("command:build")
    with pytest.raises(Ambiguous, match=r"'build' is the name of 2 jobs\. Give the number of one") as refused:
        lookup.find_job_or_run("build")
    assert [line.split()[:3] for line in refused.value.choices] == [
        [str(queries.jobs_of(run)[0].id), run.id, "command:build"] for run in (first, second)
    ]


def test_a_verb_that_ends_something_proposes_only_nearly_the_same_word(make_run: MakeRun) -> None:
    make_run("command:second")
    with pytest.raises(UsageError, match=r"Did you mean command:second\?"):
        lookup.find_job_or_run("command:seconds-later")
    for name in ("command:seconds-later", "command:beyond", "command:evaluation"):
        with pytest.raises(UsageError) as refused:
            lookup.find_job_or_run(name, ends_it=True)
        assert "Did you mean" not in str(refused.value)
    with pytest.raises(UsageError, match=r"Did you mean command:second\?"):
        lookup.find_job_or_run("command:secnod", ends_it=True)


def test_latest_is_the_newest_run_with_a_report_whatever_was_submitted_since(make_run: MakeRun) -> None:
    command = make_run("command:first")
    assert lookup.find_run("latest").id == command.id
    night = make_run("mine", "report")
    make_run("command:later")
    assert lookup.find_run("latest").id == night.id


def test_a_submitted_night_is_latest_at_once(home: Home, make_run: MakeRun) -> None:
    """The folder of that name means the same run as the verbs do."""
    for names in (("mine", "report"), ("command:later",)):
        run = make_run(*names)
        submit.show_as_latest(home, run)
    assert home.latest.readlink().name == lookup.find_run("latest").id
    assert "is waiting" in (home.latest / "REPORT.md").read_text()
