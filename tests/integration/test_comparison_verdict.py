"""What the document of a run advises, from rows of a real database, and what its verdict must not hide."""

from __future__ import annotations

import pytest

from jarvisd.store.models import Job, Status
from jobs.lib.results.tables import Cause, LeftOut, Reply
from tests.integration.comparison_nights import Night


@pytest.mark.parametrize(("status", "what"), [(Status.FAILED, "failed"), (Status.CANCELLED, "was cancelled")])
def test_a_winner_whose_job_broke_in_the_last_round_says_so(night: Night, status: Status, what: str) -> None:
    """No later round could leave it out; it wins by what it answered, and is not sure."""
    night.first_round({"a": 0.9, "b": 0.3})
    Job.update(status=status).where(Job.id == night.loaded("a", 2).id).execute()
    verdict = night.document()["verdict"]
    assert (verdict["winner"], verdict["confidence"]) == ("a", "moderate")
    assert f"Model A did not finish: its job {what} in round 2." in verdict["why"]


def test_one_of_the_tied_that_was_left_out_is_said(night: Night) -> None:
    """It is in the comparison by what it answered, and it was not asked again."""
    night.first_round({"a": 0.9, "b": 0.9})
    night.job("metrics", 2)
    LeftOut.create(run=night.run, round=2, model="b", cause=Cause.NO_COMPLETE_REPLY, details={})
    verdict = night.document()["verdict"]
    assert verdict["tied"] == ["a", "b"]
    sentence = "Model B was left out after round 1 and was not asked again; on what it answered it is not separated."
    assert sentence in verdict["why"]


def test_the_order_by_the_plans_weights_stands_beside_the_winner(night: Night) -> None:
    """Quality names the winner; speed may put another one first."""
    night.first_round({"a": 0.9}, latency_ms=9000.0)
    night.first_round({"b": 0.65}, latency_ms=500.0)
    document = night.document()
    assert (document["verdict"]["winner"], document["by_weights"]) == ("a", ["b", "a"])


def test_what_would_decide_is_the_cheapest_thing_that_could(night: Night) -> None:
    """A challenger that may be a little better, and no conversations left: the owner's answers."""
    replies = night.first_round({"a": 0.6, "b": 0.67})["b"]
    Reply.update(quality=0.75).where(Reply.id == replies[0].id).execute()
    document = night.document()
    verdict = document["verdict"]
    assert (verdict["action"], verdict["pick"], verdict["present"]) == ("undecided", "b", "a")
    assert verdict["votes_wanted"] and f"{verdict['votes_wanted']} answers of yours" in document["settle"]
    assert "`jarvisctl vote --between b a`" in document["settle"]


def test_what_is_decided_asks_for_nothing(night: Night) -> None:
    night.first_round({"a": 0.2, "b": 0.9})
    document = night.document()
    assert (document["verdict"]["action"], document["verdict"]["winner"], document["settle"]) == ("switch", "b", "")
    assert document["verdict"]["votes_wanted"] is None
    assert document["models"]["b"]["stats"]["p_best"] > 0.95
