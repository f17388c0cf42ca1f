"""The page's room for reviews: cards and templates, stored as `jarvisctl review` stores them."""

from __future__ import annotations

import re

import pytest

from jarvisd.paths import Home
from jobs.lib.results.tables import DraftReview, HeldOutDraft, Mining, TemplateReview
from jobs.lib.reviews.session import CardSession
from tests import review_rows
from tests.integration import report_nights
from tests.web import Browser
from tests.web import Reply as Answer


@pytest.fixture
def mined(home: Home) -> Mining:
    return review_rows.mining(400)


@pytest.fixture
def browser(home: Home, mined: Mining) -> Browser:
    return Browser(home)


def value(page: Answer, name: str) -> str:
    return re.findall(rf'name="{name}" value="([^"]*)"', page.text)[0]


def answer(browser: Browser, choice: str, **fields: str) -> Answer:
    """Answer the card that is shown, and return the next page."""
    page = browser.get("review/cards")
    names = {"turn": value(page, "turn"), "text": value(page, "text")}
    browser.post("review/card", names | {"answer": choice} | fields)
    return browser.get("review/cards")


def decide(browser: Browser, choice: str, **fields: str) -> Answer:
    page = browser.get("review/templates")
    browser.post("review/template", {"template": value(page, "template"), "answer": choice} | fields)
    return browser.get("review/templates")


def test_the_first_page_says_what_is_known_and_stores_nothing(browser: Browser) -> None:
    page = browser.get("review")
    assert page.status == 200 and "0 of 100 cards answered" in page.text
    assert "No draft may" in page.text
    assert DraftReview.select().count() == TemplateReview.select().count() == 0


def test_a_card_is_the_one_that_the_terminal_asks_with_what_came_before(browser: Browser, mined: Mining) -> None:
    card = CardSession(mined).next()
    assert card is not None
    page = browser.get("review/cards")
    assert value(page, "turn") == card.turn and "1 of 100" in page.text
    for line in (*card.incoming.splitlines(), card.reply, *filter(None, [card.previous])):
        assert line in page.text


def test_each_answer_is_one_row(browser: Browser, mined: Mining) -> None:
    for choice in ("send", "not", "never"):
        answer(browser, choice)
    assert [row.answer for row in DraftReview.select().order_by(DraftReview.id)] == ["send", "not", "never"]
    assert {row.run for row in DraftReview.select()} == {mined.run_id}


def test_the_draft_in_other_words_is_stored_for_its_template(browser: Browser) -> None:
    """Words that may not be a template change nothing, and the page says why."""
    refused = answer(browser, "edit", edited="my password is hunter2")
    assert "That cannot be a template" in refused.text and DraftReview.select().count() == 0
    assert "Nothing was changed." in answer(browser, "edit", edited="").text
    answer(browser, "edit", edited="  be right   there ")
    assert [row.edited for row in TemplateReview.select()] == ["be right there"]
    assert [row.answer for row in DraftReview.select()] == ["edit"]


def test_undo_takes_back_the_answer_and_the_wording(browser: Browser) -> None:
    first = value(browser.get("review/cards"), "turn")
    answer(browser, "edit", edited="be right there")
    browser.post("review/card/undo", {})
    assert value(browser.get("review/cards"), "turn") == first
    assert DraftReview.select().count() == TemplateReview.select().count() == 0


def test_a_form_that_is_sent_twice_counts_once(browser: Browser) -> None:
    page = browser.get("review/cards")
    old = {"turn": value(page, "turn"), "text": value(page, "text")}
    answer(browser, "send")
    browser.post("review/card", old | {"answer": "not"})
    assert [row.answer for row in DraftReview.select()] == ["send"]
    assert browser.post("review/card", {"answer": "maybe"}).status == 303


def test_templates_are_kept_rejected_and_edited_the_most_used_first(browser: Browser) -> None:
    assert "haha" in browser.get("review/templates").text
    decide(browser, "kept")
    decide(browser, "rejected")
    decide(browser, "skip")
    decide(browser, "edited", edited="thank you!")
    rows = [(row.reply, row.verdict, row.edited) for row in TemplateReview.select().order_by(TemplateReview.id)]
    kept, rejected, edited = rows
    assert (kept, rejected) == (("haha", "kept", None), ("On my way", "rejected", None))
    assert edited == ("thanks!", "edited", "thank you!")
    browser.post("review/template/undo", {})
    assert TemplateReview.select().count() == 2


def test_a_template_shows_where_it_would_have_been_wrong(browser: Browser, mined: Mining) -> None:
    """The turns for which it is the first draft, the most confident first, without those that it answers rightly."""
    first = review_rows.template_uuid(1)
    rows = HeldOutDraft.select().order_by(HeldOutDraft.probability.desc())
    turns = [row for row in rows if row.drafts[0][0] == first]
    HeldOutDraft.update(answer="Haha!").where(HeldOutDraft.id == turns[0].id).execute()
    wrong = browser.get("review/templates").text.partition("Where it would have been wrong")[2]
    assert f"what I really said {turns[1].place}" in wrong and "Haha!" not in wrong
    assert wrong.count("what I really said") == 3
    assert "Haha!" in browser.get("review/templates").text.partition("Where it would have been wrong")[0]


def test_the_end_writes_the_report_again(home: Home, mined: Mining, browser: Browser) -> None:
    report_nights.job(mined.run, "report")
    Mining.update(stats={"total_messages": 300}).execute()
    decide(browser, "kept")
    browser.post("review/end", {})
    assert "1 answer stored. The report counts them." in browser.get("review").text
    assert '"reviewed": "kept"' in (home.run_folder(mined.run_id) / "templates.json").read_text()


def test_a_run_without_held_out_turns_says_so(home: Home) -> None:
    review_rows.mining(0)
    page = Browser(home).post("review/begin", {"part": "cards"})
    assert page.status == 409 and "has no held-out turns to review" in page.text
