"""What the machine lacks: disk, memory, time. Each is said with its numbers, and the night goes on."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.acceptance.conftest import House, until


def settings(house: House, text: str) -> None:
    folder = house.root / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.yaml").write_text(text)


def plan(house: House, text: str) -> None:
    folder = house.root / "config" / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine-own.yaml").write_text(text)


def test_too_little_disk_is_a_warning_then_a_failed_job_and_the_report_still_comes(house: House) -> None:
    settings(house, "disk: {keep_free_mb: 100000000}\n")
    plan(house, "command:\n  - run: [echo, hello]\nreport: {}\n")
    submitted = house.ctl("enqueue", "mine-own")
    assert "warning: too little disk: " in submitted.stderr
    house.daemon()
    jobs = house.settled(submitted.stdout.strip())
    assert jobs["command:echo"]["status"] == "failed"
    assert "100,000,000 MB are wanted" in jobs["command:echo"]["reason"]
    assert jobs["report"]["status"] == "succeeded"


@pytest.mark.slow
def test_a_job_waits_for_memory_visibly_and_is_then_skipped_with_both_numbers(house: House) -> None:
    settings(house, "memory: {wait_minutes: 0.15, look_every_s: 1}\n")
    run_id = house.enqueue("command", "--memory", "90000000", "--", "echo", "never")
    house.daemon()
    until(lambda: "waiting for memory" in (house.jobs(run_id)["command:echo"]["reason"] or ""), what="it says it waits")
    (job,) = house.settled(run_id).values()
    assert job["status"] == "skipped"
    assert "90,000,512 MB with its margin" in job["reason"]
    assert "MB are free" in job["reason"]


def test_the_deadline_stops_what_runs_skips_what_waits_and_the_report_comes(house: House) -> None:
    settings(house, "report: {reserve_minutes: 0}\n")
    plan(house, "command:\n  - run: [sleep, '600']\n  - run: [echo, later]\nreport: {}\n")
    house.daemon()
    soon = (dt.datetime.now().astimezone() + dt.timedelta(seconds=12)).isoformat()
    run_id = house.enqueue("mine-own", "--until", soon)
    jobs = house.settled(run_id)
    assert {name: job["status"] for name, job in jobs.items()} == {
        "command:sleep": "stopped",
        "command:echo": "skipped",
        "report": "succeeded",
    }
    assert "the run had to end by" in jobs["command:sleep"]["reason"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory: {margin: 5}\n", "settings.yaml:1: memory.margin: unknown key"),
        ("memory: {margin_mb: lots}\n", "settings.yaml:1: memory.margin_mb: must be a whole number. It is 'lots'"),
    ],
)
def test_wrong_settings_are_named_with_file_and_line(house: House, text: str, message: str) -> None:
    settings(house, text)
    assert message in house.ctl("config", code=2).stderr
    plan(house, "command:\n  - run: [echo]\n")
    assert message in house.ctl("enqueue", "mine-own", code=2).stderr


def test_a_scenario_file_without_prompts_is_refused(house: House, tmp_path: Path) -> None:
    empty = tmp_path / "none.yaml"
    empty.write_text("opening: x\nscenarios: []\n")
    refused = house.ctl("enqueue", "overnight", "--set", f"evaluate.scenarios={empty}", code=2)
    assert "none.yaml:2: scenarios" in refused.stderr
    assert not (house.root / "var" / "jarvis.db").exists()
