"""settings.yaml is parsed once, and again when it has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jarvisd.errors import PlanError
from jarvisd.paths import Home
from jarvisd.plan import settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "settings.yaml"


def test_a_file_that_did_not_change_is_not_parsed_again_and_one_that_did_is(tmp_path: Path, file: Path) -> None:
    home = Home(tmp_path, "--home")
    file.write_text("memory: {margin_mb: 111}\n")
    first = settings.read(home)
    assert first.memory.margin_mb == 111
    assert settings.read(home) is first
    before = file.stat().st_mtime_ns
    file.write_text("memory: {margin_mb: 222}\n")  # as long as before
    os.utime(file, ns=(before, before + 1))
    assert settings.read(home).memory.margin_mb == 222


def test_a_wrong_file_is_refused_each_time_until_it_is_mended(tmp_path: Path, file: Path) -> None:
    home = Home(tmp_path, "--home")
    file.write_text("memory: {margin: 1}\n")
    for _ in range(2):
        with pytest.raises(PlanError, match="margin"):
            settings.read(home)
    file.write_text("memory: {margin_mb: 333}\n")
    assert settings.read(home).memory.margin_mb == 333
