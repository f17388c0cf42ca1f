"""What votes change in the document of a run, from rows of a real database."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jarvisd.store import database
from jobs.lib.results.tables import OWNER, Vote
from tests.integration.comparison_nights import Night


@pytest.fixture
def vote(night: Night) -> Callable[..., None]:
    replies = night.first_round({"a": 0.8, "b": 0.8})
    pairs = iter(zip(replies["a"] * 2, replies["b"] * 2, strict=True))

    def cast(choice: str, *, by: str = OWNER, swap: bool = False) -> None:
        one, other = next(pairs)
        left, right = (other, one) if swap else (one, other)
        Vote.create(run=night.run, by=by, left=left, right=right, choice=choice, created_at=database.now())

    return cast


def test_votes_have_a_ranking_of_their_own_and_decide_a_tie(night: Night, vote: Callable[..., None]) -> None:
    """Eleven of twelve for A, on whichever side it was shown."""
    for number in range(11):
        vote("right" if number % 2 else "left", swap=bool(number % 2))
    vote("both bad")
    document = night.document()
    assert (document["verdict"]["winner"], document["verdict"]["confidence"]) == ("a", "moderate")
    assert "12 votes of the owner decide" in document["verdict"]["why"]
    counted = document["votes"]
    assert (counted["n"], counted["by_owner"], counted["both_bad"], counted["invalid"]) == (12, 12, 1, 0)
    assert list(counted["ratings"]) == ["a", "b"] and counted["ratings"]["a"]["n"] == 12
    assert counted["ratings"]["a"]["strength"] == pytest.approx(-counted["ratings"]["b"]["strength"])
    assert counted["wins"] == {"a": {"b": 11.5}, "b": {"a": 0.5}}
    assert "11 of 11 decided votes against Model B)" in document["verdict"]["why"]
    assert "against Model B, preferred to it with a chance of 0.99" in document["verdict"]["details"]
    assert 0.7 < counted["ratings"]["a"]["preferred"] < 1


def test_a_judges_votes_decide_nothing(night: Night, vote: Callable[..., None]) -> None:
    """They are counted, with those in another form, and stay out of the owner's ranking."""
    for _ in range(12):
        vote("left", by="judge:x")
    vote("invalid", by="judge:x")
    document = night.document()
    assert document["verdict"]["winner"] is None
    assert (document["votes"]["n"], document["votes"]["by_owner"], document["votes"]["invalid"]) == (13, 0, 1)
    assert document["votes"]["ratings"] == {} and document["votes"]["agreement"] is None


def test_agreement_is_shown_where_both_judged_a_pair(night: Night, vote: Callable[..., None]) -> None:
    """The same pair of replies, seen by the owner and by the judge."""
    vote("left")
    vote("right")
    for row in list(Vote.select()):
        Vote.create(
            run=night.run, by="judge:x", left=row.left, right=row.right, choice=row.choice, created_at=database.now()
        )
    assert night.document()["votes"]["agreement"] == {"judge": 1.0, "n": 2, "same": 2}


def test_the_order_of_answers_changes_nothing(night: Night, vote: Callable[..., None]) -> None:
    """The ranking of a run is the same whichever answer came first."""
    for choice in ("left", "left", "right", "tie", "left"):
        vote(choice)
    before = night.document()["votes"]["ratings"]
    rows = [vote_.__data__ for vote_ in Vote.select().order_by(Vote.id.desc())]
    Vote.delete().execute()
    for row in rows:
        Vote.create(**{name: value for name, value in row.items() if name != "id"})
    assert night.document()["votes"]["ratings"] == before
