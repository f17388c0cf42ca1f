"""Suggestions for mistyped names, and numbers and times as text."""

from __future__ import annotations

import pytest

from jarvisd import words


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("stauts", "Did you mean status?"),
        ("STATUS", "Did you mean status?"),
        ("zebra", "Known: status, logs."),
        ("status", "Known: status, logs."),
    ],
)
def test_a_close_name_is_suggested_and_else_all_are_listed(word: str, hint: str) -> None:
    """The word itself is no suggestion: it was refused for another reason than its spelling."""
    assert words.nearest(word, ["status", "logs"]) == hint


def test_a_caller_may_say_something_else_where_nothing_is_close() -> None:
    assert words.nearest("zebra", ["status"], otherwise="Name a file.") == "Name a file."
    assert words.nearest("x", []) == "Known: none."


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (4000, "1:06:40"), (59.9, "0:59")])
def test_a_measured_time_has_minutes_and_seconds(seconds: float, text: str) -> None:
    assert words.took(seconds) == text
