"""The page's room for votes: what it asks, what it hides, what it stores, and what it shows at the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run
from jobs.lib.results.tables import Reply, Vote
from jobs.verbs.vote.session import Session
from tests.integration.report_nights import home, job, model, run
from tests.web import Browser
from tests.web import Reply as Answer

KEYS = ("a", "b", "c")


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path / "home")


@pytest.fixture
def night(here: Home) -> Run:
    row = run(plan={"evaluate": {"models": [{"key": key, "name": f"Model {key.upper()}"} for key in KEYS]}})
    for key in KEYS:
        model(row, key, f"Model {key.upper()}", reply=f"a reply that {key} gave")
    return row


@pytest.fixture
def browser(here: Home, night: Run) -> Browser:
    """A browser with a session of votes."""
    opened = Browser(here)
    assert opened.post("vote/begin", {"run": night.id}).status == 303
    return opened


def pair(page: Answer) -> str:
    return re.findall(r'name="pair" value="([\d-]+)"', page.text)[0]


def vote(browser: Browser, choice: str) -> Answer:
    """Answer the pair that is shown, and return the next page."""
    browser.post("vote/answer", {"pair": pair(browser.get("vote")), "choice": choice})
    return browser.get("vote")


def test_the_first_page_stores_nothing_and_says_what_will_be_asked(here: Home, night: Run) -> None:
    page = Browser(here).get("vote")
    assert page.status == 200 and night.id in page.text and "3 models" in page.text
    assert Vote.select().count() == 0


def test_a_pair_has_two_replies_and_no_name_and_no_time(browser: Browser) -> None:
    page = browser.get("vote").text
    assert len(set(re.findall(r"a reply that \w gave", page))) == 2
    assert "1 of at most 15." in page and "can decide this at best" in page
    for word in ("Model", "850", " ms"):
        assert word not in page


def test_the_page_asks_and_stores_as_the_terminal_does(browser: Browser, night: Run) -> None:
    """The pair that a session at the terminal would ask, and the row that it would store."""
    from jobs.verbs.vote.opening import opened

    expected = opened(night).session.next()
    assert expected is not None
    assert pair(browser.get("vote")) == f"{expected.left.id}-{expected.right.id}"
    assert "2 of at most 15." in vote(browser, "right").text
    (row,) = Vote.select()
    assert (row.by, row.left_id, row.right_id, row.choice) == ("owner", expected.left.id, expected.right.id, "right")


def test_undo_takes_the_last_answer_back_and_asks_it_again(browser: Browser) -> None:
    first = pair(browser.get("vote"))
    vote(browser, "left")
    browser.post("vote/undo", {})
    page = browser.get("vote")
    assert pair(page) == first and "Taken back." in page.text and "1 of at most 15." in page.text
    assert Vote.select().count() == 0
    browser.post("vote/undo", {})
    assert "no answer of this session to take back" in browser.get("vote").text


def test_a_form_that_is_sent_twice_counts_once(browser: Browser) -> None:
    """Of the back button or of a double click; the pair that is shown then stays."""
    old = pair(browser.get("vote"))
    following = pair(vote(browser, "tie"))
    browser.post("vote/answer", {"pair": old, "choice": "left"})
    page = browser.get("vote")
    assert pair(page) == following and "was answered before" in page.text
    assert [row.choice for row in Vote.select()] == ["tie"]


def test_skip_stores_nothing_and_another_word_is_refused(browser: Browser) -> None:
    first = pair(browser.get("vote"))
    assert pair(vote(browser, "skip")) != first
    refused = browser.post("vote/answer", {"pair": pair(browser.get("vote")), "choice": "invalid"})
    assert refused.status == 400 and Vote.select().count() == 0


def test_names_are_shown_at_the_end_alone_and_then_nothing_can_be_taken_back(browser: Browser) -> None:
    for choice in ("left", "right", "both bad"):
        assert "Model" not in vote(browser, choice).text
    assert browser.get("vote/names").status == 303
    assert browser.post("vote/end", {}).headers["location"].endswith("/vote/names")
    page = browser.get("vote/names").text
    assert "3 votes stored, 3 in all." in page and "Your answer: both bad." in page
    assert {f"Model {key}" for key in "ABC"} >= set(re.findall(r"<strong>(Model \w)</strong>", page)) != set()
    assert "Of 2 pairs with a preference you took the first reply in 1, and the longer one in 0 of 0." in page
    browser.post("vote/undo", {})
    assert Vote.select().count() == 3


def test_a_session_of_two_models_asks_about_no_other(here: Home, night: Run) -> None:
    browser = Browser(here)
    browser.post("vote/begin", {"run": night.id, "first": "a", "second": "c"})
    for _ in range(4):
        assert "that b gave" not in vote(browser, "left").text
    assert {frozenset((row.left.model, row.right.model)) for row in Vote.select()} == {frozenset("ac")}
    assert browser.post("vote/begin", {"run": night.id, "first": "a"}).status == 400


def test_where_nothing_is_left_it_says_why(here: Home) -> None:
    row = run("2026-11-23-overnight")
    for key in "ab":
        model(row, key, reply="the same")
    browser = Browser(here)
    browser.post("vote/begin", {"run": row.id})
    assert "no two models gave different replies" in browser.get(f"vote/run/{row.id}").text


def test_a_reply_that_names_its_model_or_maker_is_never_asked_about(here: Home) -> None:
    """Neither at the terminal nor on the page."""
    row = run("2026-11-23-overnight")
    for key, reply in (("tiny-talker", "Sure"), ("b", "I am Qwen, made by Alibaba"), ("c", "ask Tiny-Talker instead")):
        model(row, key, reply=reply)
    assert asked(row) == set()
    Reply.update(reply="No thanks").where(Reply.model == "c", Reply.prompt == 0).execute()
    assert asked(row) == {"Sure", "No thanks"}


def asked(row: Run) -> set[str]:
    """The texts of all pairs that may be asked about."""
    pairs = Session(row, ("tiny-talker", "b", "c"))._left
    return {text for pair in pairs for text in (pair.left.text, pair.right.text)}


def test_what_a_reply_holds_is_text(here: Home) -> None:
    """A script, Markdown, an escape sequence and a change of direction."""
    row = run("2026-11-23-overnight")
    hostile = "<script>alert(1)</script> **bold** \x1b[31mred \u202egnp.exe"
    model(row, "a", reply=hostile)
    model(row, "b", reply="fine")
    browser = Browser(here)
    browser.post("vote/begin", {"run": row.id})
    page = browser.get("vote").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; **bold** " in page and "gnp.exe" in page
    assert "<script>alert" not in page and "\u202e" not in page and "\x1b" not in page


def test_the_report_counts_the_votes_of_the_page(here: Home, night: Run, browser: Browser) -> None:
    """A child writes it again; without a report job there is none to write."""
    job(night, "report")
    vote(browser, "left")
    browser.post("vote/end", {})
    assert "The report counts them." in browser.get("vote/names").text
    assert '"by_owner": 1' in (here.run_folder(night.id) / "mlx_comparison_results.json").read_text()
