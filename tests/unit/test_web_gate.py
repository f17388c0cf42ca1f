"""The gate of the local page: every rule refuses what breaks it, and nothing that a browser of the owner's sends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.web import keys
from jarvisd.web.gate import HEADERS, LARGEST_BODY
from jarvisd.web.keys import Keys, new_ticket
from tests.web import Browser


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """Logged in to the page of a home in which nothing was submitted yet."""
    return Browser(Home(tmp_path, "test"))


def test_the_owners_own_browser_passes(browser: Browser) -> None:
    """A page that was typed as an address, one that a link led to, and a form."""
    for site in ("none", "same-origin"):
        assert browser.get("tonight", {"sec-fetch-site": site}).status == 200
    assert browser.post("act/pause", {}).status == 200
    assert browser.touched == 3


@pytest.mark.parametrize(
    "host", ["evil.example:4711", "127.0.0.1.evil.example:4711", "127.0.0.1", "127.0.0.1:4712", "localhost:4711", ""]
)
def test_another_host_is_refused_before_anything_else(browser: Browser, host: str) -> None:
    """A name that an attacker's DNS points to this computer, compared whole."""
    assert browser.get("tonight", {"host": host}).status == 421
    assert browser.send("DELETE", "tonight", b"", {"host": host}).status == 421
    assert browser.touched == 0


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("http://127.0.0.1:4712", "same-site"),
        ("https://evil.example", "cross-site"),
        ("http://127.0.0.1:4711.evil.example", "same-origin"),
        ("null", "cross-site"),
        ("", "same-origin"),
        ("http://127.0.0.1:4711", "same-site"),
        ("http://127.0.0.1:4711", "none"),
        ("http://127.0.0.1:4711", ""),
    ],
)
def test_a_form_of_another_origin_is_refused(browser: Browser, origin: str, site: str) -> None:
    """Another port of 127.0.0.1 sends the cookie: the origin and the site decide, both."""
    assert browser.post("act/pause", {}, {"origin": origin, "sec-fetch-site": site}).status == 403


@pytest.mark.parametrize("site", ["same-site", "cross-site", ""])
def test_a_read_of_another_page_is_refused(browser: Browser, site: str) -> None:
    assert browser.get("tonight", {"sec-fetch-site": site}).status == 403
    assert browser.get("/page.js", {"sec-fetch-site": site}).status == 403


@pytest.mark.parametrize("cookie", ["", "jarvisd=", "jarvisd=guess", "other=1"])
def test_without_the_cookie_nothing_is_shown(browser: Browser, cookie: str) -> None:
    """The random path alone is not enough, and the cookie is not enough under another path."""
    assert browser.get("tonight", {"cookie": cookie}).status == 403
    assert browser.get("/other/tonight").status == 403
    assert browser.get("/login", {"cookie": cookie}).status == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_get_and_post_are_methods(browser: Browser, method: str) -> None:
    assert browser.send(method, "tonight", b"", {"sec-fetch-site": "same-origin"}).status == 405


def test_a_form_may_not_be_large(browser: Browser) -> None:
    """Whether it says so, or sends more than it said."""
    own = {"origin": browser.keys.origin, "sec-fetch-site": "same-origin"}
    assert browser.send("POST", "act/pause", b"", own | {"content-length": str(LARGEST_BODY + 1)}).status == 413
    assert browser.send("POST", "act/pause", b"", own | {"content-length": "-1"}).status == 413
    assert browser.send("POST", "act/pause", b"a=" + b"x" * LARGEST_BODY, own).status == 413


def test_every_answer_has_the_headers(browser: Browser) -> None:
    """The pages, the static files, the refusals; and no answer allows another origin."""
    for reply in (
        browser.get("tonight"),
        browser.get("/page.css"),
        browser.get("/login"),
        browser.get("nothing"),
        browser.get("tonight", {"host": "evil.example"}),
    ):
        assert {name: reply.headers.get(name.lower()) for name in HEADERS} == HEADERS
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_no_get_changes_anything(browser: Browser) -> None:
    """What a form does is not done by its address."""
    for path in ("act/cancel", "act/retry", "act/pause", "act/resume", "act/start"):
        assert browser.get(path).status == 404


def test_a_ticket_logs_in_once(browser: Browser) -> None:
    """The cookie is for scripts of no page, for no other site and for the random path alone."""
    ticket = new_ticket(browser.keys.secret, "history/run/2026-11-22-overnight")
    headers = {"origin": "null", "sec-fetch-site": "cross-site", "cookie": ""}
    first = browser.post("/login", {"ticket": ticket}, headers)
    assert first.status == 200
    assert f"url={browser.keys.root}/history/run/2026-11-22-overnight" in first.text
    name, *attributes = first.headers["set-cookie"].split("; ")
    assert set(attributes) == {f"Path={browser.keys.root}/", "HttpOnly", "SameSite=Strict"}
    assert browser.get("tonight", {"cookie": name}).status == 200
    again = browser.post("/login", {"ticket": ticket}, headers)
    assert again.status == 403 and "set-cookie" not in again.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:4712", ""])
def test_a_ticket_is_taken_from_no_website(browser: Browser, origin: str) -> None:
    ticket = new_ticket(browser.keys.secret)
    assert browser.post("/login", {"ticket": ticket}, {"origin": origin}).status == 403


def test_a_ticket_expires_and_cannot_be_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    door, now = Keys(port=4711), time.time()
    ticket, old = new_ticket(door.secret), new_ticket(door.secret)
    assert door.redeem(new_ticket(b"another secret")) is None
    assert door.redeem(ticket[:-1] + ("A" if ticket[-1] != "A" else "B")) is None
    assert [door.redeem(text) for text in ("", ".", "ä.ä", "W10.", "x" * 5000)] == [None] * 5
    assert door.redeem(ticket) == ""
    monkeypatch.setattr(time, "time", lambda: now + keys.TICKET_S + 2)
    assert door.redeem(old) is None


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "../login", "/x", 'a"onload="', "a b"])
def test_a_ticket_leads_to_no_other_place(to: str) -> None:
    """It is signed; but a wrong path must not leave the page either."""
    door = Keys(port=4711)
    assert door.redeem(new_ticket(door.secret, to)) == ""
