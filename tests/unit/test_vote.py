"""Blind votes: what a key means, and which pair of models is asked about next."""

from __future__ import annotations

import random

import pytest

from jobs.verbs.vote import commands, keys
from jobs.verbs.vote.session import gains

PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]


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


def test_without_votes_every_pair_teaches_the_same() -> None:
    assert len(set(gains([], PAIRS).values())) == 1


def test_models_that_were_never_compared_come_first() -> None:
    worth = gains([("a", "b", 1.0), ("a", "b", 0.0)], PAIRS)
    assert worth["a", "b"] < worth["a", "c"] == worth["b", "c"]


def test_what_is_decided_teaches_less_than_what_is_open() -> None:
    decided = [("a", "b", 1.0)] * 8
    split = [("a", "c", 1.0), ("a", "c", 0.0)] * 4
    worth = gains(decided + split, PAIRS)
    assert worth["a", "b"] < worth["b", "c"]


def test_a_vote_always_lowers_what_the_next_one_of_its_pair_teaches() -> None:
    votes: list[tuple[str, str, float]] = []
    last = gains(votes, PAIRS)["a", "b"]
    for _ in range(6):
        votes.append(("a", "b", 0.5))
        now = gains(votes, PAIRS)["a", "b"]
        assert 0 < now < last
        last = now


def test_the_order_of_votes_and_their_sides_change_nothing() -> None:
    votes = [("a", "b", 1.0), ("b", "c", 0.5), ("c", "a", 0.0), ("a", "b", 0.0), ("a", "c", 1.0)]
    turned = [(two, one, 1 - share) for one, two, share in votes]
    random.Random(1).shuffle(turned)
    assert gains(turned, PAIRS) == gains(votes, PAIRS)


def test_models_that_may_no_longer_be_asked_about_do_not_disturb() -> None:
    assert set(gains([("a", "gone", 1.0)], PAIRS)) == set(PAIRS)


def test_hostile_text_is_shown_as_harmless_and_short_text() -> None:
    shown = commands._shown("\x1b[31mred\u202egnp.exe\x07\nnext " + "x" * 10_000)
    assert not set("\x1b\u202e\x07\n") & set(shown)
    assert shown.startswith("[31mredgnp.exe ⏎ next xxx")
    assert len(shown) < 1100
    assert shown.endswith("more characters)")
    assert max(map(len, commands._wrapped("  1  ", shown).splitlines())) <= 100
