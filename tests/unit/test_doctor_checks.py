"""Checks of doctor: one that fails itself, and the one look at the Messages database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from jarvisd import registry
from jarvisd.host import machine, power
from jarvisd.operations import doctor
from jarvisd.operations.doctor import mac
from jarvisd.plugin import Home, free_disk_mb

_LOADED = (
    free_disk_mb  #: plugin takes a function of machine when it is first asked for it: before a test patches that one
)


def broken(folder: Path) -> NoReturn:
    raise LookupError(folder)


def test_a_check_that_fails_itself_is_a_problem_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_disk_mb", broken)
    monkeypatch.delenv("JARVISD_DEBUG", raising=False)
    made = {check.name: check for check in doctor.examine(Home(tmp_path, "--home"))}
    assert made["disk"].what == "could not be checked (LookupError), which is a bug in jarvisd"
    assert made["disk"].remedy == "`JARVISD_DEBUG=1 jarvisctl doctor` shows where."
    assert made["sqlite"].state == "ok"


def test_the_remedy_of_such_a_check_shows_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_disk_mb", broken)
    monkeypatch.setenv("JARVISD_DEBUG", "1")
    with pytest.raises(LookupError):
        list(doctor.examine(Home(tmp_path, "--home")))


def overnight(folder: Path, text: str) -> Home:
    plan = folder / "config" / "plans" / "overnight.yaml"
    plan.parent.mkdir(parents=True)
    plan.write_text(text)
    return Home(folder, "--home")


def test_a_database_that_is_not_of_messages_is_one_problem_and_not_also_the_job_s(tmp_path: Path) -> None:
    """The file opens and has rows, so that counting them succeeds; what mining needs is not there."""
    database = sqlite3.connect(tmp_path / "chat.db")
    database.execute("CREATE TABLE message (ROWID INTEGER PRIMARY KEY)")
    database.execute("INSERT INTO message VALUES (1)")
    database.commit()
    database.close()
    home = overnight(tmp_path, f"messages: {tmp_path / 'chat.db'}\nmine: {{}}\nreport: {{}}\n")
    about = [check for check in doctor.examine(home) if "chat.db" in check.what]
    assert [(check.name, check.state) for check in about] == [("messages", "problem")]
    assert "is not a Messages database" in about[0].what


def test_messages_are_checked_for_every_kind_of_job_that_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reads_chats").mkdir()
    (tmp_path / "reads_chats" / "__init__.py").touch()
    (tmp_path / "reads_chats" / "plan.py").write_text(
        "from pydantic import BaseModel\nclass Section(BaseModel): pass\n"
        "from jarvisd.plugin import JobSpec\n"
        "def jobs(section, context): return [JobSpec(name='reads_chats', reads_messages=True)]\n"
        "def check(section, context): return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.registry(), "reads_chats", registry.Kind("reads_chats", "reads_chats"))
    home = overnight(tmp_path, f"messages: {tmp_path / 'none.db'}\nreads_chats: {{}}\n")
    checks = {check.name: check for check in doctor.examine(home)}
    assert checks["messages"].state == "problem"
    assert "reads_chats" not in getattr(checks.get("jobs"), "what", "")


@pytest.mark.parametrize(
    ("folder", "is_guarded"),
    [("Documents/jarvisd", True), ("Desktop", True), ("jarvisd", False), ("Documents2", False)],
)
def test_a_home_in_a_folder_that_macos_guards_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, is_guarded: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    checks = mac._protected(Home(tmp_path / folder, "--home"))
    assert [check.state for check in checks] == ["warning"] * is_guarded
    assert not is_guarded or "permission" in checks[0].what


def test_low_power_mode_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "low_power_mode", lambda: True)
    monkeypatch.setattr(power, "power", lambda: ("mains", 80))
    check = mac._power()
    assert (check.state, check.what) == ("warning", "Low Power Mode is on, battery 80 %")
