"""What a mistyped command prints, and that it changes nothing."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import ROOT, House

SMALL = "once: nightly\ncommand:\n  - run: [echo, night]\nreport: {}\n"


def plan(house: House, text: str, name: str = "overnight") -> Path:
    path = house.root / "config" / "plans" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refused(house: House, *words: str) -> str:
    """What a refusal says: one line, and exit code 2."""
    message = house.ctl(*words, code=2).stderr
    assert message.count("\n") == 1
    return message


@pytest.mark.parametrize("verb", ["cancel", "retry", "wait"])
def test_an_empty_name_is_no_job_and_no_run(house: House, verb: str) -> None:
    run_id = house.enqueue("command", "--", "echo", "kept")
    assert "an empty name names no job and no run. Is a variable" in refused(house, verb, "")
    assert house.run(run_id)["state"] == "queued"


def test_a_job_is_found_without_its_kind_where_only_one_is_meant(house: House) -> None:
    plan(house, "command:\n  - {run: [echo], name: sleepy}\n  - {run: [echo], name: sleepy-too}\nreport: {}\n")
    house.enqueue("overnight")
    assert house.ctl("cancel", "sleepy").stdout.endswith(" command:sleepy: cancelled\n")
    assert "no job and no run is called 'sleppy'. Did you mean command:sleepy?" in refused(house, "cancel", "sleppy")
    assert "`jarvisctl status` lists the jobs, `jarvisctl runs` the runs." in refused(house, "logs", "zzz")


def test_until_for_a_run_that_is_there_is_said_to_be_not_applied(house: House) -> None:
    plan(house, SMALL)
    first = house.ctl("enqueue", "overnight", "--until", "05:00")
    second = house.ctl("enqueue", "overnight", "--until", "06:00")
    run_id = first.stdout.strip()
    assert "not applied" not in first.stderr
    assert second.stdout == first.stdout
    assert "--until 06:00 was not applied: the run keeps its time." in second.stderr
    assert "`jarvisctl enqueue overnight --until 06:00 --again`" in second.stderr
    assert dt.datetime.fromisoformat(house.run(run_id)["deadline"]).astimezone().hour == 5


def test_a_file_among_the_plans_that_can_be_none_is_said_to_be_there(house: House) -> None:
    folder = plan(house, SMALL).parent
    for name in ("Mine", "My Plan"):
        plan(house, SMALL, name)
        assert f"{name}.yaml: '{name}' cannot be a plan's name. Rename the file" in refused(house, "enqueue", name)
    (folder / "gone.yaml").symlink_to("nowhere.yaml")
    (folder / "folder.yaml").mkdir()
    assert "gone.yaml: a link to nowhere.yaml, which is not there" in refused(house, "enqueue", "gone")
    assert "folder.yaml: not a file. A plan is a text file." in refused(house, "enqueue", "folder")
    listed = house.ctl("models", code=None)
    assert listed.stderr.count("Mine.yaml: ") == listed.stderr.count("folder.yaml: ") == 1
    assert "minilm" in listed.stdout


def test_a_plan_is_named_and_not_given_as_a_path(house: House) -> None:
    message = refused(house, "enqueue", "config/plans/demo.yaml")
    assert "no plan is called 'config/plans/demo.yaml'. A plan is named, not given as a path: demo." in message


def test_a_database_that_was_set_aside_is_seen_by_doctor(house: House) -> None:
    plan(house, SMALL)
    (house.root / "var").mkdir()
    aside = house.root / "var" / "jarvis-damaged-20261122-220000.db"
    assert "set aside" not in house.ctl("doctor", code=None, timeout_s=90).stdout
    aside.touch()
    assert f"it was damaged, and is kept as {aside}" in house.ctl("doctor", code=None, timeout_s=90).stdout


def test_a_kind_that_was_uninstalled_is_the_jobs_reason(house: House, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(ROOT / "docs" / "examples" / "wordcount" / "wordcount", site / "wordcount")
    (site / "wordcount-1.dist-info").mkdir()
    (site / "wordcount-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: wordcount\nVersion: 1\n")
    (site / "wordcount-1.dist-info" / "entry_points.txt").write_text("[jarvisd.jobs]\nwordcount = wordcount\n")
    plan(house, f"wordcount: {{folder: {tmp_path}}}\n")
    house.environment["PYTHONPATH"] = str(site)
    run_id = house.enqueue("overnight")
    del house.environment["PYTHONPATH"]
    house.daemon()
    job = house.settled(run_id)["wordcount"]
    assert job["status"] == "failed"
    assert job["reason"].startswith("no kind of job is called 'wordcount'. Known kinds: mine, ")


def test_a_job_that_can_never_fit_is_said_at_once(house: House) -> None:
    wanted = int(psutil.virtual_memory().total >> 20)
    message = house.ctl("enqueue", "command", "--memory", str(wanted), "--", "echo").stderr
    assert f"warning: command:echo: it can never fit: it needs {wanted:,} MB beside 512 that are kept free" in message
    assert "never fit" not in house.ctl("enqueue", "command", "--memory", "10", "--", "echo").stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["echo", "hi there"], "the program echo must follow --. Write `… command -- echo 'hi there'`."),
        (["--", ""], "no program given"),
    ],
)
def test_a_program_follows_two_dashes_and_has_a_name(house: House, words: list[str], message: str) -> None:
    assert message in refused(house, "enqueue", "command", *words)


def test_a_file_is_no_folder_to_run_in(house: House) -> None:
    message = house.ctl("enqueue", "command", "--cwd", sys.executable, "--", "echo").stderr
    assert f"not a folder: {Path(sys.executable).resolve()}. Name a folder." in message
