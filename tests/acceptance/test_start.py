"""When a run starts: --at, --after, --after-any and --priority, and what `enqueue` and `wait` say of it."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from tests.acceptance.conftest import House, until
from tests.acceptance.test_status import terminal


def refused(house: House, *words: str) -> str:
    done = house.ctl("enqueue", "command", *words, "--", "true", code=2)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    return done.stderr


def the_job(house: House, run_id: str) -> dict[str, Any]:
    (job,) = house.run(run_id)["jobs"]
    return job


def test_a_run_starts_at_its_time_and_says_so_until_then(house: House) -> None:
    house.daemon()
    start = dt.datetime.now().astimezone() + dt.timedelta(seconds=12)
    late = house.enqueue("command", "--at", start.isoformat(), "--", "true")
    assert f"from {start:%H:%M}" in house.ctl("status").stdout
    house.settled(house.enqueue("command", "--", "true"))
    started = dt.datetime.fromisoformat(house.settled(late)["command:true"]["started_at"])
    assert dt.timedelta(seconds=-1) <= started - start < dt.timedelta(seconds=10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "2020-01-01T22:30"], "--at: 2020-01-01T22:30 is in the past"),
        (["--at", "soon"], "--at: 'soon' is not a time; write it as 07:00"),
        (["--at", "25:00"], "--at: 25:00 is not a time of day"),
        (["--after", "nothing"], "no job and no run is called 'nothing'"),
        (["--after", "99"], "no job has the number 99"),
        (["--after", ""], "an empty name names no job and no run"),
        (["--after-any"], "--after-any without a job or run"),
        (["--priority", "high"], "Invalid value for '--priority'"),
        (["--priority", "1001"], "'1001' is not a whole number from -1,000 to 1,000"),
    ],
)
def test_a_wrong_start_is_refused_in_one_line(house: House, words: list[str], message: str) -> None:
    house.enqueue("command", "--", "true")
    assert message in refused(house, *words)
    assert len(house.status()["runs"]) == 1


def test_a_deadline_before_the_start_is_refused(house: House) -> None:
    start = dt.datetime.now().astimezone() + dt.timedelta(hours=3)
    early = (start - dt.timedelta(hours=1)).isoformat()
    assert "--until" in refused(house, "--at", start.isoformat(), "--until", early)


def test_a_run_after_a_job_that_failed_is_skipped_with_the_reason_and_with_any_it_runs(house: House) -> None:
    first = house.enqueue("command", "--name", "build", "--", "false")
    skipped = house.enqueue("command", "--after", "build", "--", "true")
    third = house.enqueue("command", "--after", skipped, "--", "true")
    runs = house.enqueue("command", "--after-any", first, "--", "true")
    both = house.enqueue("command", "--after", "1", "--after-any", "--", "true")
    house.daemon()
    assert house.settled(skipped)["command:true"]["reason"] == "not started: 1 command:build failed"
    assert house.settled(third)["command:true"]["reason"] == "not started: 2 command:true skipped"
    assert house.settled(runs)["command:true"]["status"] == "succeeded"
    assert house.settled(both)["command:true"]["status"] == "succeeded"
    later = house.ctl("enqueue", "command", "--after", "build", "--", "true")
    assert "warning: it will be skipped: 1 command:build failed. With --after-any it runs all the same" in later.stderr
    assert house.settled(later.stdout.strip())["command:true"]["status"] == "skipped"


def test_a_run_after_a_job_that_is_cancelled_is_skipped_at_once(house: House) -> None:
    house.daemon()
    running = house.enqueue("command", "--name", "long", "--", "sleep", "600")
    until(lambda: the_job(house, running)["status"] == "running", what="the job runs")
    after = house.enqueue("command", "--after", "long", "--", "true")
    assert "after 1 command:long" in house.ctl("status").stdout
    house.ctl("cancel", "long")
    assert house.settled(after)["command:true"]["reason"] == "not started: 1 command:long cancelled"


def test_names_mean_the_job_on_the_screen_whatever_was_submitted_since(house: House) -> None:
    """The running job of an older run is named by `logs` and `cancel`, and no other job is proposed."""
    house.daemon()
    run_id = house.enqueue("command", "--name", "evaluation", "--", "sh", "-c", "echo here; sleep 600")
    until(lambda: the_job(house, run_id)["status"] == "running", what="the job runs")
    house.enqueue("command", "--name", "second", "--", "true")
    assert house.ctl("logs", "command:evaluation").stdout == "here\n"
    assert "second" not in house.ctl("cancel", "command:evolution", code=2).stderr
    assert house.ctl("cancel", "command:evaluation").stdout == "1 command:evaluation: being cancelled\n"
    again = [house.enqueue("command", "--name", "twin", "--at", "23:59", "--", "true") for _ in range(2)]
    listed = house.ctl("cancel", "twin", code=2)
    assert listed.stdout == ""
    assert [line.split()[1] for line in listed.stderr.splitlines()[1:]] == again


def test_wait_says_what_is_ahead_and_waits_for_the_run_that_was_submitted_last(house: House) -> None:
    house.daemon()
    running = house.enqueue("command", "--name", "first", "--", "sleep", "600")
    until(lambda: the_job(house, running)["status"] == "running", what="the job runs")
    house.enqueue("command", "--name", "last", "--", "true")
    waited = house.ctl("wait", "--timeout", "0.1", code=124)
    assert waited.stderr.startswith("1 job is ahead: 1 command:first (running).\n")
    house.ctl("cancel", "first")
    assert house.ctl("wait", "--timeout", "30").returncode == 0


def test_on_a_terminal_enqueue_says_what_was_submitted_and_when_it_starts(house: House) -> None:
    house.daemon()
    with terminal(house, "enqueue", "command", "--name", "long", "--", "sleep", "600") as screen:
        assert screen.ends() == 0
        assert re.fullmatch(
            r"Submitted: job 1, command:long, in \d{4}-\d\d-\d\d-command\.\n"
            r"It (starts now|runs)\.\nFollow it: jarvisctl logs -f 1\n",
            screen.read(),
        )
    with terminal(house, "enqueue", "templates", "--until", "07:00") as screen:
        screen.ends()
        told = screen.read()
    assert re.search(r"Submitted: \d{4}-\d\d-\d\d-templates, 2 jobs: 2 to 3, report by \w{3} 07:00\.", told)
    assert "It starts after 1 job: 1 command:long runs." in told
    assert "Watch it: jarvisctl status --watch" in told


def test_a_run_by_day_is_dated_by_that_day(house: House) -> None:
    morning = (dt.datetime.now() + dt.timedelta(days=1)).replace(hour=10, minute=39)
    night = (dt.datetime.now() + dt.timedelta(days=3)).replace(hour=2, minute=0)
    assert house.enqueue("command", "--at", f"{morning:%Y-%m-%dT%H:%M}", "--", "true").startswith(
        f"{morning:%Y-%m-%d}-"
    )
    before = night - dt.timedelta(days=1)
    assert house.enqueue("command", "--at", f"{night:%Y-%m-%dT%H:%M}", "--", "true").startswith(f"{before:%Y-%m-%d}-")


def test_without_a_plan_the_plans_are_listed(house: House) -> None:
    assert "no plan given. Plans: demo, overnight, templates." in house.ctl("enqueue", code=2).stderr


def test_the_json_of_status_has_start_priority_dependencies_and_positions(house: House) -> None:
    first = house.enqueue("command", "--priority", "2", "--at", "23:59", "--", "true")
    second = house.enqueue("command", "--after-any", "1", "--after", first, "--", "true")
    runs = {run["id"]: run for run in house.status()["runs"]}
    assert (runs[first]["priority"], runs[first]["after"]) == (2, [])
    assert dt.datetime.fromisoformat(runs[first]["start_at"]).minute == 59
    assert runs[second]["after"] == [
        {"run": first, "job": None, "any": False},
        {"run": first, "job": 1, "any": True},
    ]
    assert [runs[run_id]["jobs"][0]["position"] for run_id in (first, second)] == [1, 2]
