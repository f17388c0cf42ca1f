"""What a website, another port, another account or a stranger's text may try on the local page, in a real browser.

Each test fails without the rule that it is about; `tests/unit/test_web_gate.py` has the same rules one by one.
"""

from __future__ import annotations

import http.server
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.browsing import NEEDS_BROWSER, REBOUND, Opened, chromium, log_in
from tests.acceptance.conftest import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

__all__ = ["chromium"]
pytestmark = NEEDS_BROWSER


@dataclass
class Website:
    """Another server on this computer, as any program or account may start one."""

    port: int = 0
    pages: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)  #: that browsers have sent to it

    def serve(self, path: str, text: str) -> str:
        """The address of a page with this text."""
        self.pages[path] = text
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def website() -> Iterator[Website]:
    site = Website()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.cookies.append(self.headers.get("Cookie", ""))
            text = site.pages.get(self.path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: Any) -> None:
            """Nothing on stderr."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture
def opened(house: House, chromium: Browser) -> Iterator[Opened]:
    """The owner is logged in; one job waits."""
    house.enqueue("command", "--name", "victim", "--", "true")
    browser = log_in(house, chromium)
    yield browser
    browser.context.close()


def status(house: House) -> str:
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db")) as database:
        return str(database.execute("SELECT status FROM job WHERE id = 1").fetchone()[0])


def new_page(opened: Opened) -> Page:
    """Another tab of the same browser: it has the session's cookie."""
    return opened.context.new_page()


FORM = """<form method="post" action="{root}act/cancel">
<input name="target" value="1"><input name="seen" value="{seen}"></form><script>document.forms[0].submit()</script>"""


def seal(opened: Opened) -> str:
    """What the answer to the question must hold, read as the owner would."""
    return str(
        opened.page.evaluate(
            """async (root) => {
              const body = new URLSearchParams({ target: "1" });
              const headers = { Accept: "application/json" };
              const answer = await fetch(root + "act/cancel", { method: "POST", body, headers });
              return (await answer.json()).seen;
            }""",
            opened.root,
        )
    )


def test_the_owner_can_do_what_the_attacks_try(house: House, opened: Opened) -> None:
    """Else a refused attack would prove nothing."""
    body = {"target": "1", "seen": seal(opened)}
    code = opened.page.evaluate(
        """async ([root, body]) => (await fetch(root + "act/cancel",
             { method: "POST", body: new URLSearchParams(body) })).status""",
        [opened.root, body],
    )
    assert code == 200 and status(house) == "cancelled"


def test_a_form_of_another_port_changes_nothing(house: House, opened: Opened, website: Website) -> None:
    """The same site to a browser: it sends the strict cookie along. The attacker even knows the random path."""
    text = FORM.format(root=opened.root, seen=seal(opened))
    page = new_page(opened)
    page.goto(website.serve("/form", text))
    page.get_by_text("This request came from another page").wait_for()
    assert status(house) == "queued"


def test_a_script_of_another_port_reads_and_changes_nothing(house: House, opened: Opened, website: Website) -> None:
    page = new_page(opened)
    page.goto(website.serve("/script", "<p>hello"))
    outcome = page.evaluate(
        """async ([root, seen]) => {
          const body = new URLSearchParams({ target: "1", seen });
          const read = await fetch(root + "tonight", { credentials: "include" }).then((a) => a.text(), () => "refused");
          const options = { method: "POST", mode: "no-cors", credentials: "include", body };
          const sent = await fetch(root + "act/cancel", options).then((a) => a.type, () => "refused");
          return [read, sent];
        }""",
        [opened.root, seal(opened)],
    )
    assert outcome[0] == "refused"
    assert status(house) == "queued"


def test_the_cookie_is_sent_to_no_other_port(opened: Opened, website: Website) -> None:
    """Cookies know no port: its random path keeps it from another server of this computer."""
    page = new_page(opened)
    page.goto(website.serve("/", "<p>hello"))
    page.goto(website.serve("/tonight", "<p>hello"))
    assert website.cookies and not any(website.cookies)


def test_a_rebound_name_is_refused(opened: Opened) -> None:
    """A name that the attacker's DNS points to this computer makes his page the same origin as its answers."""
    page = new_page(opened)
    for path in ("login", opened.root.split("/")[3] + "/tonight"):
        answer = page.goto(f"http://{opened.root.split('/')[2].replace('127.0.0.1', REBOUND)}/{path}")
        assert answer is not None and answer.status == 421


def test_the_page_is_shown_in_no_frame(opened: Opened, website: Website) -> None:
    """Else a click of the owner's could be stolen; also where a website frames only the login."""
    page = new_page(opened)
    page.goto(website.serve("/frame", f'<iframe src="{opened.root}tonight"></iframe>'))
    page.wait_for_timeout(500)
    assert all("Tonight" not in frame.content() for frame in page.frames)
    own = opened.go("tonight")  # the policy alone: within the page's own origin nothing else refuses a frame
    own.evaluate(
        "(root) => { const f = document.createElement('iframe'); f.src = root + 'queue'; document.body.append(f) }",
        opened.root,
    )
    own.wait_for_timeout(500)
    assert all("<h1>Queue" not in frame.content() for frame in own.frames)


def test_a_link_of_another_page_shows_nothing(opened: Opened, website: Website) -> None:
    page = new_page(opened)
    page.goto(website.serve("/link", f'<a href="{opened.root}tonight">look</a>'))
    page.get_by_text("look").click()
    page.get_by_text("This request came from another page").wait_for()
    assert "Tonight" not in page.content()


def test_without_the_cookie_the_address_is_worth_nothing(opened: Opened, chromium: Browser) -> None:
    """As another account that has read it over a shoulder, or in a history."""
    other = chromium.new_context()
    page = other.new_page()
    answer = page.goto(opened.root + "tonight")
    assert answer is not None and answer.status == 403 and "not logged in" in page.content()
    other.close()


def test_a_ticket_that_was_used_logs_nobody_else_in(house: House, chromium: Browser) -> None:
    house.enqueue("command", "--", "true")
    house.environment["BROWSER"] = "true"
    house.ctl("open")
    copy = (house.root / "var" / "web-open.html").read_text()
    thief = chromium.new_context()
    first, second = chromium.new_context(), thief.new_page()
    page = first.new_page()
    page.goto((house.root / "var" / "web-open.html").as_uri())
    page.wait_for_selector("nav")
    assert not (house.root / "var" / "web-open.html").exists()
    stolen = house.folder / "copy.html"
    stolen.write_text(copy)
    second.goto(stolen.as_uri())
    second.get_by_text("This ticket was used already").wait_for()
    assert thief.cookies() == []
    first.close()
    thief.close()


HOSTILE = (
    "<script>window.taken = 1</script><img src=x onerror='window.taken = 1'> [link](javascript:window.taken=1) "
    "**bold** \u202egnp.exe \x1b[31mred\x1b[0m \x1b]0;title\x07 {{ 7 * 7 }} </pre>"
)


def test_what_strangers_wrote_stays_text(house: House, opened: Opened) -> None:
    """A script, markdown, a change of direction and terminal sequences, in a log, a note and a reason."""
    logs = house.root / "var" / "logs"
    (logs / "job-1.log").write_text(HOSTILE + "\n")
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db")) as database:
        database.execute("UPDATE job SET status = 'failed', reason = ?, note = ? WHERE id = 1", [HOSTILE, HOSTILE])
        database.commit()
    for path in ("log/job/1", "queue", "tonight"):
        page = opened.go(path)
        page.wait_for_timeout(2500 if path == "log/job/1" else 300)  # a poll, which writes it again
        assert page.evaluate("window.taken") is None
        text = page.locator("main").inner_text()
        assert "<script>window.taken = 1</script>" in text and "{{ 7 * 7 }}" in text and "[link]" in text
        assert not set(text) & set("\u202e\x1b\x07")
        assert page.title().endswith("jarvisd")


def test_even_a_hole_in_the_escaping_would_run_no_script(opened: Opened) -> None:
    """The policy stops an inline script, a handler, a script of another host, and text that becomes HTML."""
    hole = "<script>window.taken = 1</script><img src=/none onerror='window.taken = 1'>"
    foreign = f"<script src='http://{REBOUND}:1/x.js'></script>"

    def with_hole(route: Route) -> None:
        answer = route.fetch(headers=route.request.headers | {"sec-fetch-site": "none"})
        route.fulfill(response=answer, body=answer.text().replace("</main>", f"{hole}{foreign}</main>"))

    opened.page.route("**/tonight", with_hole)
    page = opened.go("tonight")
    page.wait_for_timeout(300)
    assert page.locator("main script").count() == 2 and page.evaluate("window.taken") is None
    outcome = page.evaluate(
        """() => {
          try { document.body.innerHTML = "<b>x</b>"; } catch (error) { return error.name; }
          return "allowed";
        }"""
    )
    assert outcome == "TypeError"


def test_nothing_of_it_is_stored_by_the_browser(opened: Opened) -> None:
    """What was shown is not on the disk of the browser: the page must be asked again."""
    answers: list[str] = []
    opened.page.on("response", lambda answer: answers.append(answer.headers.get("cache-control", "")))
    opened.go("queue")
    opened.go("history")
    assert answers and set(answers) == {"no-store"}


def test_no_address_and_no_log_holds_what_was_typed(house: House, opened: Opened) -> None:
    page = opened.go("queue/new")
    page.get_by_label("Program and arguments").fill("echo sesame-and-lilies")
    page.get_by_role("button", name="Submit the command").click()
    page.locator("dialog[open]").get_by_role("button", name="Submit").click()
    page.get_by_text("Submitted: ").wait_for()
    assert "sesame" not in page.url
    texts = [path.read_text(errors="replace") for path in (house.root / "var" / "logs").iterdir()]
    assert not [text for text in texts if "sesame" in text or opened.root.split("/")[3] in text]
