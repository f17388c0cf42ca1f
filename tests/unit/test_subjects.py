"""Turns about death, suicide, illness and the law get no draft; turns that only look like them do."""

from __future__ import annotations

import pytest

from jobs.lib.matching.subjects import sensitive
from tests.sensitive_turns import LOOK_ALIKES, SENSITIVE, held_out, written_for


@pytest.mark.parametrize("text", written_for(SENSITIVE))
def test_a_turn_about_death_suicide_illness_or_the_law_is_not_answered(text: str) -> None:
    assert sensitive(text) is not None


@pytest.mark.parametrize("text", written_for(LOOK_ALIKES))
def test_a_turn_that_only_looks_like_it_is_answered(text: str) -> None:
    assert sensitive(text) is None


def test_the_rule_holds_on_turns_that_it_was_not_written_with() -> None:
    """At most two of 33 are missed, at most two of 33 are refused in vain; 16 were missed before."""
    unseen, alike = held_out(SENSITIVE), held_out(LOOK_ALIKES)
    assert len(unseen) == len(alike) == 33
    assert sum(sensitive(text) is None for text in unseen) <= 2
    assert sum(sensitive(text) is not None for text in alike) <= 2
