"""Calibration and serving follow the same rules."""

from __future__ import annotations

import datetime as dt

import pytest

from jobs.lib.imessage import Message, Turn
from jobs.lib.matching.rules import MAX_CHARACTERS, MAX_WORDS, form_of
from jobs.mine import answers, corpus

WHEN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text",
    ["ok", "one two " * 100, "x1" * 3000, " ".join(f"{number}{'ab' * 50}" for number in range(60)), "ok \udcff then"],
    ids=["short", "many words", "one long word", "forty long words", "half a character"],
)
def test_calibration_compares_the_same_part_of_a_turn_as_serving(text: str) -> None:
    own = [Message(2, 1, False, "anna", True, WHEN, "fine")]
    incoming = Message(1, 1, False, "anna", False, WHEN, text)
    turns = answers.collect([Turn((incoming,), ())], corpus.build(own, max_words=5), [WHEN.timestamp()])
    assert turns.texts == [form_of(text)]


def test_the_end_of_a_text_is_compared() -> None:
    words = [f"word{number}" for number in range(100)]
    assert form_of(" ".join(words)) == " ".join(words[-MAX_WORDS:])
    assert len(form_of("x1" * 3000)) == MAX_CHARACTERS
