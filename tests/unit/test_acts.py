"""Plain words and acts: what the second reader sees of slang, of openers and of yes and no."""

from __future__ import annotations

import pytest

from jobs.evaluate.acts import ACTS, acts
from jobs.evaluate.plain_words import LONGEST, plain_words, split_opener


@pytest.mark.parametrize(
    ("reply", "plain"),
    [
        ("cant rn sry", "can not right now sorry"),
        ("I can’t right now, sorry!", "i can not right now, sorry!"),
        ("kk c u soon", "okay see you soon"),
        ("LMAOOOO yeppp", "haha yes"),
        ("ur fine, take ur time", "you are fine, take your time"),
        ("thx mum!! 😊", "thanks mom!! 😊"),
        ("yes ma'am, classic Tom", "yes ma'am, classic tom"),
    ],
)
def test_slang_and_contractions_are_spelled_out(reply: str, plain: str) -> None:
    assert plain_words(reply) == plain


def test_an_opener_is_taken_off_only_where_a_clause_follows() -> None:
    assert split_opener("sure, i already got it.") == ("sure,", "i already got it.")
    assert split_opener("sure thing, mom!") == ("", "sure thing, mom!")
    assert split_opener("yes") == ("", "yes")


def _done(reply: str) -> set[str]:
    return {name for name, value in zip(ACTS, acts(reply), strict=False) if value}


@pytest.mark.parametrize(
    ("reply", "does", "does_not"),
    [
        ("I can't make it tomorrow, how about Friday?", {"declines", "another time"}, {"accepts"}),
        ("I can't wait to see you!", {"see you"}, {"declines"}),
        ("No worries, take your time", {"it is fine"}, {"declines", "comes late"}),
        ("No worries, I'll be there in 10", {"it is fine", "comes late"}, set()),
        ("What time works for you?", {"asks a time"}, {"names a time"}),
        ("havent seen it yet, will look later", {"has not", "will check"}, {"accepts"}),
        ("Thanks for reading my update", {"is thanked"}, set()),
    ],
)
def test_acts_are_found_whatever_the_spelling(reply: str, does: set[str], does_not: set[str]) -> None:
    assert does <= _done(reply)
    assert not does_not & _done(reply)


def test_a_consent_that_opens_a_refusal_stays_visible() -> None:
    plain, contradicting = acts("I can't pick up milk now"), acts("Sure, I can't pick up milk now")
    assert plain != contradicting
    assert len(plain) == len(contradicting)


def test_of_a_text_of_any_length_the_beginning_is_read() -> None:
    """The patterns would take hours for a line of a megabyte."""
    assert len(plain_words("will " * 200_000)) <= LONGEST
    assert acts("will " * 200_000) == acts("will " * (LONGEST // 5))
