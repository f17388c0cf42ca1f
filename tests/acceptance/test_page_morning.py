"""A morning on the page, in a browser: watch, vote, review, deploy, undo. Rows and files are asserted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jarvisd.paths import Home
from jarvisd.store import database, migrations
from jobs.lib.results.tables import Reply
from tests import morning_rows
from tests.acceptance.browsing import AXE, NEEDS_BROWSER, Opened, chromium, log_in, logged_in, misprints, screenshot
from tests.acceptance.conftest import House, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["chromium"]
pytestmark = NEEDS_BROWSER

RUN = "2026-11-27-overnight"
#: The addresses of the screens for decisions, votes and reviews.
SCREENS = ("decide", "vote", "review", "review/cards", "review/templates")
#: The page is read, has been shown for longer than keys are ignored, and the question has the focus.
TAKES_KEYS = """(() => {
  const read = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
  return read > 0 && performance.now() > read + 310 && document.activeElement.closest("[data-keys]") !== null;
})()"""
HOSTILE = "<img src=x onerror=document.title='taken'> **bold** \u202egnp.exe"


@pytest.fixture
def morning(house: House, tmp_path: Path) -> House:
    """A finished night, and JARVIS's folder of March 2026."""
    home = Home(house.root, "--home")
    migrations.migrate(home)
    morning_rows.morning(RUN)
    Reply.update(reply=HOSTILE).where(Reply.model == "smol", Reply.prompt == 0).execute()
    database.db.close()
    jarvis = tmp_path / "owner" / ".jarvis"
    jarvis.mkdir(parents=True)
    (jarvis / "config.json").write_text('{"config_version": 16, "model": {"model_id": "lfm-0.7b"}, "theme": "dark"}')
    house.environment |= {"HOME": str(tmp_path / "owner"), "OMP_NUM_THREADS": "1"}
    house.ctl("report", RUN, "--again", "--path")
    return house


@pytest.fixture
def opened(morning: House, chromium: Browser) -> Iterator[Opened]:
    with logged_in(morning, chromium) as browser:
        yield browser


def rows(house: House, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db")) as connection:
        return connection.execute(query).fetchall()


def config(house: House) -> bytes:
    return (Path(house.environment["HOME"]) / ".jarvis" / "config.json").read_bytes()


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page."""
    until(lambda: page.evaluate(TAKES_KEYS), what="the page takes keys")
    with page.expect_navigation():
        page.keyboard.press(key)


def test_a_whole_morning(morning: House, opened: Opened) -> None:
    """From `open` while a job runs to ten votes, five reviews, and a deploy that is taken back."""
    house, page = morning, opened.page
    house.enqueue("command", "--name", "count", "--", "sleep", "120")
    house.daemon()
    opened.go("tonight")
    page.get_by_text("command:count").first.wait_for()
    assert page.title() == "Tonight · jarvisd"

    votes(house, page)
    reviews(house, opened)
    deploys(house, opened)


def votes(house: House, page: Page) -> None:
    """Ten answers by keys, one of them taken back and given again; names are shown at the end alone."""
    page.get_by_role("link", name="Vote", exact=True).click()
    page.get_by_role("button", name="Begin").click()
    page.locator(".question").wait_for()
    for key in "12tb12121":
        press(page, key)
    assert "10 of at most 15." in page.locator("[role=status].soft").inner_text()
    press(page, "u")
    press(page, "2")
    press(page, "s")
    press(page, "ArrowLeft")
    choices = [row[0] for row in rows(house, "SELECT choice FROM vote ORDER BY id")]
    assert choices == ["left", "right", "tie", "both bad", "left", "right", "left", "right", "right", "left"]
    assert not any(name in page.content() for name in morning_rows.NAMES.values())
    page.get_by_role("button", name="Show the names").click()
    page.get_by_text("10 votes stored, 10 in all.").wait_for()
    assert any(name in page.content() for name in morning_rows.NAMES.values())
    document = json.loads((house.root / "var/results" / RUN / "mlx_comparison_results.json").read_text())
    assert document["votes"]["by_owner"] == 10


def reviews(house: House, opened: Opened) -> None:
    """Three templates and two drafts, one of them in other words."""
    page = opened.page
    page.get_by_role("link", name="Review", exact=True).click()
    page.get_by_role("button", name="Template by template").click()
    page.locator(".question").wait_for()
    for key in "yny":
        press(page, key)
    opened.go("review/cards")
    press(page, "y")
    until(lambda: page.evaluate(TAKES_KEYS), what="the page takes keys")
    page.keyboard.press("e")
    page.locator("#edited").fill("there in 5")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    press(page, "n")
    press(page, "u")
    assert [row[0] for row in rows(house, "SELECT answer FROM draft_review ORDER BY id")] == ["send", "edit"]
    verdicts = rows(house, "SELECT verdict FROM template_review ORDER BY id")
    assert [row[0] for row in verdicts].count("kept") >= 1 and len(verdicts) >= 3
    page.get_by_role("button", name="End the review").click()
    page.get_by_text("5 answers stored. The report counts them.").wait_for()


def deploys(house: House, opened: Opened) -> None:
    """Deploy a model and the templates; a file that changed is shown again; undo gives it back byte for byte."""
    page, before = opened.page, config(house)
    file = Path(house.environment["HOME"]) / ".jarvis" / "config.json"
    opened.go("decide")
    page.locator("select[name=model]").select_option("lfm")
    page.get_by_role("button", name="Preview: deploy the model").click()
    page.get_by_role("heading", name="Write this model into JARVIS's config.json?").wait_for()
    file.write_bytes(before.replace(b"dark", b"light"))
    page.get_by_role("button", name="Write it").click()
    page.get_by_text("has changed since you looked").wait_for()
    assert json.loads(config(house))["model"] == {"model_id": "lfm-0.7b"}
    page.get_by_role("button", name="Write it").click()
    page.get_by_text("restart JARVIS now").wait_for()
    assert json.loads(config(house)) == {
        "config_version": 16,
        "model": {"model_id": morning_rows.KNOWN_ID},
        "theme": "light",
    }
    page.get_by_role("button", name="Undo the last deploy of the model").click()
    page.get_by_role("button", name="Write it").click()
    page.get_by_text("again.").first.wait_for()
    assert config(house) == before.replace(b"dark", b"light")
    page.get_by_role("button", name="Preview: deploy the templates").click()
    page.get_by_role("button", name="Write it").click()
    page.get_by_text("restart JARVIS now").wait_for()
    custom = json.loads(file.with_name("custom_templates.json").read_text())
    assert custom["templates"] and all("jarvisd" in item["tags"] for item in custom["templates"])


def test_keys_that_repeat_and_keys_elsewhere_do_not_vote(morning: House, opened: Opened) -> None:
    """A key that is held down, one in the first 300 ms, and one while the focus is outside of the pair."""
    page = opened.go("vote")
    page.get_by_role("button", name="Begin").click()
    page.locator(".question").wait_for()
    held = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '1', bubbles: true, repeat: %s}))"
    page.evaluate(held % "false")  # at once: a key of the page before
    until(lambda: page.evaluate(TAKES_KEYS), what="the page takes keys")
    page.evaluate(held % "true")
    page.locator("nav a").first.focus()
    page.keyboard.press("1")
    assert rows(morning, "SELECT count(*) FROM vote") == [(0,)]
    page.locator(".question").focus()
    press(page, "1")
    assert rows(morning, "SELECT count(*) FROM vote") == [(1,)]


@pytest.mark.skipif(AXE is None, reason="no axe-core-python")
@pytest.mark.parametrize(
    "options",
    [pytest.param({}, marks=pytest.mark.slow), {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}],
)
def test_the_screens_have_no_serious_flaw_and_fit(morning: House, chromium: Browser, options: dict[str, Any]) -> None:
    """By axe-core, also on paper; nothing is wider than the window, and stored text that is a script runs nowhere."""
    opened = log_in(morning, chromium, **options)
    page = opened.page
    for screen in (*SCREENS, "ballot", "preview"):
        if screen == "ballot":
            opened.go("vote")
            page.get_by_role("button", name="Begin").click()
            page.locator(".question").wait_for()
        elif screen == "preview":
            opened.go("decide")
            page.locator("select[name=model]").select_option("lfm")
            page.get_by_role("button", name="Preview: deploy the model").click()
            page.locator("pre.diff").wait_for()
        else:
            opened.go(screen)
        assert (screen, opened.serious()) == (screen, [])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), screen
        assert page.title() != "taken" and page.locator("main img").count() == 0
        screenshot(page, f"page-{screen.replace('/', '-')}-{'phone-dark' if options else 'wide'}")
        if options:
            assert (screen, misprints(opened)) == (screen, [])
    assert opened.complaints == []
    opened.context.close()


def test_it_works_without_scripts(morning: House, chromium: Browser) -> None:
    """By links and forms alone."""
    morning.environment["BROWSER"] = "true"
    morning.ctl("open")
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto((morning.root / "var" / "web-open.html").as_uri())
    page.get_by_role("button").click()
    page.wait_for_selector("nav")
    opened = Opened(morning, page.context, page, [])
    opened.go("vote")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="The first").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back.").wait_for()
    page.get_by_role("button", name="A tie").click()
    page.get_by_text("2 of at most 15.").wait_for()
    assert [row[0] for row in rows(morning, "SELECT choice FROM vote")] == ["tie"]
    opened.go("review/templates")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("2 of 5.").wait_for()
    assert rows(morning, "SELECT count(*) FROM template_review") == [(1,)]
    opened.context.close()


def test_the_whole_report_runs_its_own_script_and_no_other(opened: Opened) -> None:
    """Under its own policy: its extras are there, and nothing complains."""
    page = opened.go("decide")
    assert page.locator(".first-screen .copy").count() > 0
    page.get_by_role("link", name="The whole report").click()
    page.locator(".copy").first.wait_for()
    assert until(lambda: page.title().startswith("Overnight"), what="the report is shown")
