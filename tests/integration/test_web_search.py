"""Search in replies and templates on the local page; and rooms that other packages bring."""

from __future__ import annotations

import logging

import pytest

from jarvisd import registry
from jarvisd.paths import Home
from jarvisd.web import rooms
from jobs.lib.results.tables import Template
from tests.integration.comparison_nights import Night
from tests.web import Browser


def test_a_text_finds_replies_and_each_template_once(home: Home, night: Night) -> None:
    """Also one with a character that means something to LIKE; other replies are not shown."""
    job = night.job("evaluate:qwen", model="qwen")
    night.reply(job, "greeting", 0, reply="see you at 100% sharp <b>")
    night.reply(job, "greeting", 1, reply="at 1000 then")
    for number in (1, 2):
        mining = night.job("mine", round_=number)
        Template.create(
            uuid="u",
            job=mining,
            run=night.run,
            rank=1,
            representative="100% agreed",
            frequency=3,
            uses=1,
            people=1,
            examples=[],
            triggers=[],
            tier="suggest",
        )
    browser = Browser(home)
    answer = browser.post("search", {"text": "100%"})
    assert "see you at 100% sharp &lt;b&gt;" in answer.text and "at 1000 then" not in answer.text
    assert answer.text.count("100% agreed") == 1 and "Templates: 1" in answer.text
    assert browser.get("search").status == 200 and browser.post("search", {"text": " "}).status == 400


def test_what_is_searched_for_is_never_in_an_address(home: Home, night: Night) -> None:
    night.job("evaluate:qwen")
    text = Browser(home).post("search", {"text": "sesame"}).text
    assert 'method="post"' in text and "?text=" not in text and "sesame" in text


def test_a_room_that_cannot_be_imported_is_left_out(
    home: Home, night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page of everything else works, and the log says what is missing."""
    monkeypatch.setitem(registry.WEB, "broken", "no.such.module:WEB")
    with caplog.at_level(logging.ERROR):
        names = [room.name for room in rooms.load()]
    assert "tonight" in names and "search" in names and "broken" not in names
    assert "no.such.module:WEB" in caplog.text
    assert Browser(home).get("tonight").status == 200
