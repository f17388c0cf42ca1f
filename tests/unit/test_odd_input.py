"""Values that nobody means to write: each is refused in words that blame the right thing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click
import pytest

from jarvisd import paths
from jarvisd.cli import main
from jarvisd.cli.common import Seconds
from jarvisd.errors import PlanError, UsageError
from jarvisd.plan import times, yamlfile

VALUES = [
    ("2026-13-45", "a value in it cannot be read: month must be in 1..12"),
    ("9" * 5000, "a value in it cannot be read"),
    ("[" * 3000, "it is nested too deeply"),
    (".nan", "must be a finite number, not nan"),
    ("[1, -.inf]", "must be a finite number, not -inf"),
    ("99999999999999999999", "the number is too large"),
    ('"\\ud800"', "the text holds a character that cannot be stored"),
    ('"\\0"', "the text holds a character that cannot be stored"),
]


@pytest.mark.parametrize(("value", "message"), VALUES)
def test_a_value_that_cannot_be_stored_is_refused_in_a_file(tmp_path: Path, value: str, message: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(f"title: {value}\n")
    with pytest.raises(PlanError) as refused:
        yamlfile.read(path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("value", "message"), VALUES)
def test_a_value_that_cannot_be_stored_is_refused_in_an_override(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("..", r"\.\.")):
        yamlfile.value(value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"title: \xff\n")
    with pytest.raises(PlanError, match="not text in UTF-8"):
        yamlfile.read(path)


@pytest.mark.parametrize(
    ("limit", "most", "text", "message"),
    [
        ("MAX_NODES", 7, "a: [1, 2, 3]\nb: [4, 5, 6]\n", "yaml:2: more than 7 values"),
        ("MAX_NODES", 14, "a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, *b]\n", "too many values. Aliases that multiply"),
        ("MAX_ENTRIES", 7, "a:\n" + "  - 1\n" * 8, "yaml:9: a list of more than 7 entries"),
    ],
)
def test_reading_stops_at_the_first_value_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, text: str, message: str
) -> None:
    monkeypatch.setattr(yamlfile, limit, most)
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(PlanError) as refused:
        yamlfile.read(tmp_path / "plan.yaml")
    assert message in str(refused.value)


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e999", "-1", "x"])
def test_a_time_in_seconds_is_a_finite_number(seconds: str) -> None:
    with pytest.raises(click.BadParameter):
        Seconds(0).convert(seconds, None, None)
    assert Seconds(0).convert("1.5", None, None) == 1.5


def test_a_time_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the calendar"):
        times.deadline("9999-12-31T23:59:59-23:59", dt.datetime.now(dt.UTC))


def test_a_user_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="~nobody-of-that-name/x: there is no such user"):
        paths.expand("~nobody-of-that-name/x")


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_home_whose_name_is_not_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("JARVISD_HOME", "/tmp/\udcff")
    with pytest.raises(UsageError, match="is not named in UTF-8"):
        paths.find("/tmp/\udcff" if way == "option" else None)


def test_an_argument_that_is_not_utf_8_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(tmp_path), "enqueue", "command", "--", "\udcff"])
    assert ended.value.code == 2
    assert "is not UTF-8. Rename what it names." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
