"""What `status` and `runs` say of several runs: the order of the queue, what waits for what, and when."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from jarvisd.cli import cli
from jarvisd.cli.table import Screen, page_lines
from jarvisd.operations import history, moments, queue_order, status, status_page
from jarvisd.paths import Home
from jarvisd.store import database, queries
from jarvisd.store.models import Dependency, Job, Run, Status
from tests.claiming import claimed, finish

MakeRun = Callable[..., Run]


def job_of(run: Run) -> Job:
    return queries.jobs_of(run)[0]


def page() -> dict[str, str]:
    """The facts of each job of the page, by its name."""
    return {row.name: row.told for row in status_page.of_queue().rows}


def test_queued_jobs_of_all_runs_are_one_list_with_their_places(make_run: MakeRun) -> None:
    make_run("command:running")
    running = claimed()
    make_run("command:low", priority=-1)
    make_run("mine", "report")
    make_run("command:urgent", deadline=database.now() + dt.timedelta(hours=1))
    rows = status_page.of_queue().rows
    assert [(row.name, row.told) for row in rows[1:]] == [
        ("command:urgent", f"next, after {running.id}"),
        ("mine", "2nd"),
        ("report", "3rd"),
        ("command:low", "4th"),
    ]


def test_a_job_that_waits_for_another_or_for_a_time_is_placed_behind_it(make_run: MakeRun) -> None:
    first = make_run("command:first", priority=-1)
    awaited = Dependency(of_run=first.id, of_job=job_of(first).id, any_end=False)
    make_run("command:after", after=[awaited])
    late = database.now() + dt.timedelta(hours=2)
    make_run("command:late", start_at=late)
    facts = page()
    assert list(facts) == ["command:first", "command:after", "command:late"]
    assert facts["command:after"] == f"2nd, after {job_of(first).id} command:first"
    assert facts["command:late"] == f"3rd, from {late.astimezone():%H:%M}"


def test_the_order_that_is_shown_is_the_order_of_the_claims(make_run: MakeRun) -> None:
    first = make_run("command:a", priority=-2)
    make_run("command:b", after=[Dependency(of_run=first.id, of_job=None, any_end=True)], priority=1)
    make_run("mine", "report", deadline=database.now() + dt.timedelta(hours=3))
    make_run("command:c")
    shown = [place.job.id for place in queue_order.now(database.now()).places]
    order = []
    for _ in shown:
        job = claimed()
        order.append(job.id)
        finish(job)
    assert shown == order


def test_a_failed_job_of_an_older_run_is_shown_with_the_verbs_that_help(make_run: MakeRun) -> None:
    failed, cancelled, old = make_run("command:bad"), make_run("command:mine"), make_run("command:old")
    make_run("command:newest")
    finish(claimed(), Status.FAILED)
    finish(claimed(), Status.CANCELLED)
    finish(claimed(), Status.FAILED)
    long_ago = database.now() - dt.timedelta(days=3)
    Job.update(ended_at=long_ago).where(Job.run == old.id).execute()
    assert list(page()) == ["command:newest", "command:bad"]
    assert page()["command:bad"].endswith(f"logs {job_of(failed).id} / retry {job_of(failed).id}")
    assert "Since yesterday: 1 failed, 1 cancelled." in status_page.of_queue().summaries
    assert job_of(cancelled).status == Status.CANCELLED


def test_the_time_of_the_report_is_told_from_progress_and_from_earlier_runs(make_run: MakeRun) -> None:
    make_run("mine", "evaluate:a", "report")
    for seconds in (60.0, 600.0, 30.0):
        job = claimed()
        finish(job)
        Job.update(took_s=seconds).where(Job.id == job.id).execute()
    run = make_run("mine", "evaluate:a", "report")
    at = database.now()
    ready = queue_order.now(at).reports[run.id]
    assert (ready - at).total_seconds() == pytest.approx(690, abs=1)
    assert f"report about {moments.clock_time(ready)}" in status_page.of_queue().summaries[0]
    job = claimed()
    assert queue_order.now(at).reports == {}, "nothing is told before the running job reports progress"
    Job.update(done=1, total=3, started_at=at - dt.timedelta(seconds=20)).where(Job.id == job.id).execute()
    assert (queue_order.now(at).reports[run.id] - at).total_seconds() == pytest.approx(40 + 630, abs=1)


def test_a_run_that_has_ended_is_finished_or_failed(make_run: MakeRun) -> None:
    make_run("mine", "report")
    finish(claimed())
    assert "running, 1 of 2 jobs done" in status_page.of_queue().summaries[0]
    finish(claimed())
    assert ": finished, 2 of 2 jobs finished." in status_page.of_queue().summaries[0]
    make_run("command:bad", "command:good")
    finish(claimed(), Status.FAILED)
    finish(claimed())
    assert ": failed, 1 of 2 jobs finished, 1 failed." in status_page.of_queue().summaries[0]


def test_a_narrow_terminal_folds_the_last_column_and_no_line_is_wider(make_run: MakeRun) -> None:
    make_run("command:evaluation-with-a-long-name")
    job = claimed()
    Job.update(done=3, total=13, note="a reply of a model " * 4).where(Job.id == job.id).execute()
    for width in (40, 60, 70, 100, 140):
        lines = page_lines(status_page.of_queue(), Screen(width, colour=False))
        assert max(map(len, lines)) <= width
        assert "a reply of a model" in " ".join(" ".join(lines).split())
        assert "███░" in " ".join(lines)


def test_runs_have_a_header_and_say_when_how_long_and_the_verdict(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine", "report", title="Overnight")
    finish(claimed())
    report = claimed()
    outcome = {"attempt": 1, "ok": True, "reason": "", "summary": {"verdict": "Keep Qwen2.5-1.5B"}}
    Job.update(outcome=outcome).where(Job.id == report.id).execute()
    finish(Job.get_by_id(report.id))
    (entry,) = history.newest(5)
    assert (entry.state, entry.title, entry.verdict) == ("finished", "Overnight", "Keep Qwen2.5-1.5B")
    out = CliRunner().invoke(cli, ["--home", str(home.root), "runs"]).output.splitlines()
    assert out[0].split() == ["Run", "Submitted", "Took", "State", "Jobs", "Title", "Verdict"]
    assert re.search(rf"^{run.id}  today \d\d:\d\d \(just now\)  0 s .* Keep Qwen2.5-1.5B$", out[1])


def test_the_moment_of_a_run_is_told_by_the_local_day() -> None:
    noon = dt.datetime(2026, 11, 27, 12).astimezone()
    told = [moments.day_and_time(noon - dt.timedelta(hours=hours), noon) for hours in (0.1, 3, 13, 60, 24 * 20)]
    assert told == [
        "today 11:54 (6 min ago)",
        "today 09:00 (3 h ago)",
        "yesterday 23:00",
        "Wed 00:00",
        "2026-11-07 12:00",
    ]


def asked(caplog: pytest.LogCaptureFixture, show: Callable[[], object]) -> list[str]:
    """The statements that peewee gives the database meanwhile."""
    caplog.clear()
    with caplog.at_level("DEBUG", "peewee"):
        show()
    return [record.getMessage() for record in caplog.records if record.name == "peewee"]


def test_the_page_asks_the_database_as_often_for_thirty_runs_as_for_three(
    make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        make_run(f"command:{number}")
    few = asked(caplog, status_page.of_queue)
    assert few
    for number in range(27):
        make_run(f"command:more-{number}")
    assert len(asked(caplog, status_page.of_queue)) == len(few)
    assert len(status_page.of_queue().rows) == 30


def test_the_document_puts_the_queue_in_order_once_for_all_runs(
    home: Home, make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        make_run(f"command:{number}")
    statements = asked(caplog, lambda: status.document(home, None))
    assert sum('"priority" DESC' in statement for statement in statements) == 1
    assert [job["position"] for run in status.document(home, None)["runs"] for job in run["jobs"]] == [1, 2, 3, 4, 5]


def test_of_many_runs_only_the_running_and_the_newest_have_a_sentence(make_run: MakeRun) -> None:
    """The others are counted, and `runs` has them."""
    first = make_run("mine", "report")
    claimed()
    later = [make_run("mine", "report") for _ in range(20)]
    sentences = status_page.of_queue().summaries
    assert sentences[0] == "13 more runs of several jobs: `jarvisctl runs` lists them."
    told = [sentence.partition(":")[0] for sentence in sentences[1:]]
    assert told == [first.id, *(run.id for run in later[-7:])]
