"""Mains or battery: the answer is the same for the admission of a job and for what a measurement is noted with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jarvisd.host import machine, power


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
