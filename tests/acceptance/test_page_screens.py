"""The screens of the local page in a browser: live while a job runs, by keyboard, without scripts, on a phone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.browsing import AXE, NEEDS_BROWSER, Opened, chromium, log_in, logged_in, misprints, screenshot
from tests.acceptance.conftest import House, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["chromium"]
pytestmark = NEEDS_BROWSER

SCREENS = (
    "tonight",
    "compare",
    "trend",
    "search",
    "queue",
    "queue?state=failed",
    "queue/new",
    "history",
    "history/run/latest",
    "log/job/1",
)
#: Sums what the browser calls layout shifts, those without an action of the user.
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def night(house: House) -> House:
    """A run of three programs: one that has failed, one that runs and prints, one that waits."""
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True)
    talk = "import time\nfor n in range(600): print('line', n, flush=True); time.sleep(0.5)"
    jobs = [
        {"run": ["false"], "name": "fails"},
        {"run": ["python3", "-c", talk], "name": "talks"},
        {"run": ["true"], "name": "waits"},
    ]
    (plans / "night.yaml").write_text(f"title: A night\ncommand: {json.dumps(jobs)}\nreport: {{}}\n")
    house.enqueue("night")
    house.daemon()
    until(lambda: house.jobs("latest")["command:talks"]["status"] == "running", what="the second job runs")
    return house


@pytest.fixture
def opened(night: House, chromium: Browser) -> Iterator[Opened]:
    with logged_in(night, chromium) as browser:
        yield browser


def state_of(house: House, job: int) -> tuple[str, int]:
    """Status and wish to cancel, as the database has them."""
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db")) as database:
        (row,) = database.execute("SELECT status, cancel_requested FROM job WHERE id = ?", [job])
    return row


def test_a_running_job_is_followed_without_moving_anything(opened: Opened) -> None:
    """Lines of its log and its time appear by themselves; the sum of layout shifts is zero."""
    opened.page.add_init_script(SHIFTS)
    page = opened.go("tonight")
    page.evaluate("window.scrollTo(0, 300)")
    before = page.locator("#job-log").inner_text()
    box = page.locator("#cancel-3").bounding_box()
    until(lambda: page.locator("#job-log").inner_text() != before and page.locator("#memory").inner_text())
    page.wait_for_timeout(5000)
    assert "command:talks" in page.locator("#now").inner_text()
    assert page.locator("#cancel-3").bounding_box() == box
    assert page.evaluate("window.shifted") == 0
    screenshot(page, "page-tonight")


def test_cancel_asks_in_a_dialog_and_changes_the_row_in_place(night: House, opened: Opened) -> None:
    page = opened.go("tonight")
    page.locator("#cancel-2").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Cancel 2 command:talks?").wait_for()
    screenshot(page, "page-confirm")
    dialog.get_by_role("button", name="No").click()
    assert state_of(night, 2) == ("running", 0)
    page.locator("#cancel-2").click()
    dialog.get_by_role("button", name="Cancel it").click()
    page.get_by_text("1 job cancelled, or being cancelled.").wait_for()
    page.locator("#state-2", has_text="cancelled").wait_for()
    assert page.locator("#cancel-2").is_disabled() and page.locator("#retry-2").is_enabled()
    assert state_of(night, 2)[0] == "cancelled"


def test_everything_works_from_the_keyboard(night: House, opened: Opened) -> None:
    """Tab to the first row, j to the next one, Enter; the focus can be seen."""
    page = opened.go("queue")
    page.locator(".rows a").first.focus()
    page.keyboard.press("j")
    assert "3 command:waits" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("k")
    page.locator("#cancel-3").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    assert state_of(night, 3)[0] == "queued"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel it").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("1 job cancelled").wait_for()
    assert state_of(night, 3)[0] == "cancelled"


def test_without_scripts_the_pages_read_and_the_forms_work(night: House, chromium: Browser) -> None:
    """The question is a page of its own then."""
    opened = log_in_without_scripts(night, chromium)
    page = opened.go("tonight")
    assert "line" in page.locator("#job-log").inner_text()
    page.locator("#cancel-3").click()
    page.get_by_role("heading", name="Cancel 3 command:waits?").wait_for()
    assert state_of(night, 3)[0] == "queued"
    page.get_by_role("button", name="Cancel it").click()
    page.get_by_text("1 job cancelled").wait_for()
    assert state_of(night, 3)[0] == "cancelled"
    page.get_by_role("link", name="History").click()
    page.get_by_role("link", name="-night").click()
    page.get_by_role("heading", name="A night").wait_for()
    opened.context.close()


def log_in_without_scripts(house: House, chromium: Browser) -> Opened:
    """The file of `open` has a button for that."""
    house.environment["BROWSER"] = "true"
    house.ctl("open")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((house.root / "var" / "web-open.html").as_uri())
    page.get_by_role("button").click()
    page.wait_for_selector("nav")
    return Opened(house, context, page, [])


def test_a_submission_is_checked_as_it_is_typed(night: House, opened: Opened) -> None:
    page = opened.go("queue/new")
    page.locator("#check", has_text="jobs: ").wait_for()
    settings = page.get_by_label("Settings of this run")
    settings.fill("mine.templates=many")
    page.locator("#check", has_text="must be a whole number").wait_for()
    page.get_by_label("Program and arguments").fill("echo 'hello you'")
    page.get_by_role("button", name="Submit the command").click()
    page.get_by_role("dialog").get_by_role("button", name="Submit").click()
    page.get_by_text("Submitted: ").wait_for()
    assert night.jobs(page.url.rpartition("/")[2])["command:echo"]["status"] == "queued"


@pytest.mark.slow
def test_a_locked_database_is_said_and_later_it_is_read_again(house: House, chromium: Browser) -> None:
    """Another program holds the whole database when the page is opened."""
    house.enqueue("command", "--name", "count", "--", "true")
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        opened = log_in(house, chromium)
        opened.page.get_by_role("heading", name="busy").wait_for()
        other.execute("COMMIT")
    opened.page.get_by_text("command:count").wait_for()
    assert opened.page.title() == "Tonight · jarvisd"
    opened.context.close()


def test_a_page_whose_process_has_ended_says_so(night: House, opened: Opened) -> None:
    page = opened.go("tonight")
    night.ctl("stop")
    page.locator("#notice", has_text="The page has ended").wait_for()
    assert page.locator("#state-2").inner_text() == "running"  # the rest stays as it was
    opened.complaints.clear()  # the browser writes of each answer that it does not get


VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


@pytest.mark.parametrize("views", [("dark", "phone"), pytest.param(("light",), marks=pytest.mark.slow)], ids="-".join)
@pytest.mark.skipif(AXE is None, reason="no axe-core: `pip install --group dev .` brings axe-core-python")
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(
    night: House, chromium: Browser, views: tuple[str, ...]
) -> None:
    """On every screen, in light, in dark, on a phone of 390 pixels, and on paper, which is white also for the dark."""
    for name in views:
        opened = log_in(night, chromium, **VIEWS[name], bypass_csp=True)  # axe is a script of the test's
        for screen in SCREENS:
            page = opened.go(screen)
            assert opened.serious() == [], (name, screen)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, screen)
            assert paper(page) == ("rgb(18, 21, 24)" if name == "dark" else "rgb(246, 245, 241)")
            screenshot(page, f"page-{screen.replace('/', '-').partition('?')[0]}-{name}")
            if name == "dark":
                assert misprints(opened) == [], screen
        opened.context.close()


def paper(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_one_key_at_a_time_and_not_at_once(opened: Opened) -> None:
    """A key that repeats, or that was pressed before the page was there for 300 ms, chooses nothing."""
    page = opened.go("queue")
    page.evaluate(
        "() => { const scope = document.querySelector('main'); scope.dataset.keys = '';"
        " document.querySelector('#cancel-3').dataset.key = '1 x'; scope.focus(); }"
    )
    page.wait_for_timeout(400)
    page.evaluate(
        "() => document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', { key: '1', repeat: true, bubbles: true }))"
    )
    page.wait_for_timeout(300)
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("x")
    page.locator("dialog[open]").wait_for()


def test_the_log_of_a_job_is_followed_unless_the_reader_has_scrolled_up(opened: Opened) -> None:
    opened.page.add_init_script(SHIFTS)
    page = opened.go("log/job/2")
    log = page.locator("#log")
    until(lambda: log.inner_text().count("\n") > 2)
    size = len(log.inner_text())
    until(lambda: len(log.inner_text()) > size, what="the log grows")
    assert page.evaluate("document.querySelector('#outcome').textContent").startswith("command:talks is running")
    assert page.evaluate("window.shifted") == 0
