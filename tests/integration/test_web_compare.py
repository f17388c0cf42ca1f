"""Two nights side by side, on the local page."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.paths import Home
from tests.integration.report_nights import home, job, model, run
from tests.web import Browser

SECOND = "2026-11-23-overnight"


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path / "home")


def night(name: str, **replies: str) -> None:
    """A night with a report, and a model per name that gives one reply to all prompts."""
    row = run(name)
    for key, reply in replies.items():
        model(row, key, reply=reply)
    job(row, "report")


def test_replies_that_differ_stand_side_by_side_and_equal_ones_are_counted(here: Home) -> None:
    night("2026-11-22-overnight", a="no worries", b="see you", gone="old")
    night(SECOND, a="no worries", b="<b>see ya</b>", new="new")
    text = Browser(here).get("compare").text
    assert "13 of 26 first replies differ, of 2 models" in text
    assert text.count("<td>see you</td><td>&lt;b&gt;see ya&lt;/b&gt;</td>") == 13
    assert "<td>no worries</td>" not in text and "old" not in text.partition("<tbody>")[2]


def test_a_failed_reply_differs_from_one_that_was_given(here: Home) -> None:
    night("2026-11-22-overnight", a="no worries")
    row = run(SECOND)
    model(row, "a", failure="empty")
    job(row, "report")
    assert "failed: empty" in Browser(here).get("compare").text


def test_other_nights_can_be_chosen(here: Home) -> None:
    for name, reply in (("2026-11-21-overnight", "first"), ("2026-11-22-overnight", "second"), (SECOND, "third")):
        night(name, a=reply)
    newest = Browser(here).get("compare").text
    assert "<td>second</td><td>third</td>" in newest
    chosen = Browser(here).get(f"compare?earlier=2026-11-21-overnight&later={SECOND}").text
    assert "<td>first</td><td>third</td>" in chosen
    assert "No model answered the same prompt" in Browser(here).get("compare?earlier=nowhere").text


def test_one_night_alone_cannot_be_compared(here: Home) -> None:
    night(SECOND, a="no worries")
    assert "Two nights with a report are needed; there is one." in Browser(here).get("compare").text
