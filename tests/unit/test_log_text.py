"""Logs in parts, as the local page shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.web import log_text


@pytest.mark.parametrize("line", ["wörd 👋 {}\n", "x" * 999 + "{}\n", "no end of a line {}"])
def test_the_parts_of_a_log_are_the_whole_of_it(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log"
    log.write_text("".join(line.format(number) for number in range(9000)))
    parts = [log_text.part(log, number) for number in range(1, log_text.part(log, None).of + 1)]
    assert len(parts) > 2
    assert "".join(part.text for part in parts) == log.read_text()
    if line.endswith("\n"):
        assert all(part.text.endswith("\n") for part in parts)


def test_a_missing_log_has_one_empty_part(tmp_path: Path) -> None:
    assert log_text.part(tmp_path / "none", 3) == log_text.Part("", 1, 1, 0)
