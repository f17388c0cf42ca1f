"""Blind votes: what a key means, and how replies are shown."""

from __future__ import annotations

import pytest

from jobs.verbs.vote import commands, keys, words


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("1", "left"),
        ("2\n", "right"),
        ("T", "tie"),
        ("0", "tie"),
        (" tie ", "tie"),
        ("b", "both bad"),
        ("Both  bad\n", "both bad"),
        ("s", "skip"),
        ("q", "quit"),
        ("\x04", "quit"),
        ("", "quit"),
        ("\n", "unknown"),
        ("3", "unknown"),
        ("\x1b[31m", "unknown"),
    ],
)
def test_what_was_typed_means_one_thing(typed: str, means: str) -> None:
    """An empty line is a slip, the end of the input is the end of the session."""
    assert keys.meaning(typed) == means


def test_hostile_text_is_shown_as_harmless_and_short_text() -> None:
    shown = words.shown("\x1b[31mred\u202egnp.exe\x07\nnext " + "x" * 10_000)
    assert not set("\x1b\u202e\x07\n") & set(shown)
    assert shown.startswith("[31mredgnp.exe ⏎ next xxx")
    assert len(shown) < 1100
    assert shown.endswith("more characters)")
    assert max(map(len, commands._wrapped("  1  ", shown).splitlines())) <= 100
