"""Mains or battery: the answer is the same for the admission of a job and for what a measurement is noted with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jarvisd.host import linux, machine, power, processes


@pytest.mark.parametrize(("drawn", "source"), [("AC", "mains"), ("Battery", "battery"), ("UPS", "battery")])
def test_what_a_measurement_is_noted_with_is_what_macos_says_of_its_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: str, source: str
) -> None:
    program = tmp_path / "pmset"
    program.write_text(f"#!/bin/sh\necho \"Now drawing from '{drawn} Power'\"\necho ' -InternalBattery-0 40%;'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(machine, "MACOS", True)
    assert power.power() == (source, 40)
    assert power.conditions()["power"] == source


@pytest.mark.parametrize(("line", "expected"), [("lowpowermode 1", True), ("lowpowermode 0", False), ("sleep 1", None)])
@pytest.mark.parametrize(
    ("name", "is_service"), [("org.jarvisd.daemon", True), ("0", False), ("application.com.apple.Terminal.7", False)]
)
def test_a_measurement_is_noted_with_low_power_mode_and_launchd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, expected: bool | None, name: str, is_service: bool
) -> None:
    program = tmp_path / "pmset"
    program.write_text(f"#!/bin/sh\necho ' {line}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XPC_SERVICE_NAME", name)
    monkeypatch.setattr(machine, "MACOS", True)
    noted = power.conditions()
    assert (noted["low_power_mode"], noted["launchd"]) == (expected, is_service)
    assert processes.child_environment()["XPC_SERVICE_NAME"] == name


def test_linux_says_by_its_power_profile_whether_it_saves_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "PROFILE", tmp_path / "platform_profile")
    assert power.low_power_mode() is None
    linux.PROFILE.write_text("low-power\n")
    assert power.low_power_mode() is True
    assert power.conditions()["launchd"] is None


def test_a_click_on_a_notification_opens_the_page_where_a_program_for_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "terminal-notifier"
    program.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done > {tmp_path}/words\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(machine, "MACOS", True)
    power.notify("jarvisd", "-Keep it", opens=tmp_path / "a page.html")
    title, name, message, text, opens, url, *_ = (tmp_path / "words").read_text().splitlines()
    assert (title, name, message, text) == ("-title", "jarvisd", "-message", "\u200b-Keep it")
    assert (opens, url) == ("-open", f"file://{tmp_path}/a%20page.html")
