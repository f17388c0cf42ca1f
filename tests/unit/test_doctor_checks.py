"""A check of doctor's that fails itself."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from jarvisd.host import machine
from jarvisd.operations import doctor
from jarvisd.paths import Home


def broken(folder: Path) -> NoReturn:
    raise LookupError(folder)


def test_a_check_that_fails_itself_is_a_problem_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_disk_mb", broken)
    monkeypatch.delenv("JARVISD_DEBUG", raising=False)
    found = {check.name: check for check in doctor.examine(Home(tmp_path, "--home"))}
    assert found["disk"].what == "could not be checked (LookupError), which is a fault of ours"
    assert found["disk"].remedy == "`JARVISD_DEBUG=1 jarvisctl doctor` shows where."
    assert found["sqlite"].state == "ok"


def test_the_remedy_of_such_a_check_shows_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_disk_mb", broken)
    monkeypatch.setenv("JARVISD_DEBUG", "1")
    with pytest.raises(LookupError):
        list(doctor.examine(Home(tmp_path, "--home")))
