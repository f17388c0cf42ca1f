"""The local page in a real browser: Chromium of the system, driven by Playwright, which downloads none."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import House

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = importlib.util.find_spec("axe_core_python")
ARTIFACTS = os.environ.get("JARVISD_ARTIFACTS")  # at import: a test has none of these variables
#: For `pytestmark` of a file whose tests need a browser.
NEEDS_BROWSER = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="no Chromium (`apt-get install chromium`) or no Playwright (`pip install --group dev .`)",
)
#: Names that lead to this computer, as an attacker's DNS may make them.
REBOUND = "rebound.example"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file; each test has a context, so its cookies are its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"],  # no sandbox: tests run as root
        )
        yield browser
        browser.close()


@dataclass
class Opened:
    """A browser that is logged in to the page of a house."""

    house: House
    context: BrowserContext
    page: Page
    complaints: list[str]  #: of the console: a refused script, an error in ours

    @property
    def root(self) -> str:
        """The address below which every page lies, with its slash."""
        return "/".join(self.page.url.split("/")[:4]) + "/"

    def go(self, path: str = "tonight") -> Page:
        """Go to a page by its path below the root."""
        self.page.goto(self.root + path)
        return self.page

    def serious(self) -> list[Any]:
        """What axe-core calls serious or critical on the page that is shown."""
        assert AXE is not None and AXE.origin
        self.page.evaluate(Path(AXE.origin).with_name("axe.min.js").read_text())
        result = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        bad = [one for one in result["violations"] if one["impact"] in ("serious", "critical")]
        return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in bad]


#: Text that a reader of the print does not see, and what can only be clicked.
_MISPRINTS = """() => {
  const visible = (node) => node.checkVisibility({ visibilityProperty: true });
  const clickable = [...document.querySelectorAll("nav, button, form, footer, .notice, .skip")].filter(visible);
  const cut = [...document.querySelectorAll("body *")].filter((node) => {
    const style = getComputedStyle(node);
    const clips = style.overflowX !== "visible" || style.overflowY !== "visible";
    const larger = node.scrollHeight > node.clientHeight + 1 || node.scrollWidth > node.clientWidth + 1;
    return visible(node) && clips && larger && style.display !== "inline" && !node.matches(".hidden, svg, svg *");
  });
  const folded = [...document.querySelectorAll("details > :not(summary)")].filter(
    (node) => !node.closest("form") && !visible(node));
  const wide = document.documentElement.scrollWidth > innerWidth ? [document.documentElement] : [];
  return [clickable, cut, folded, wide].map((nodes) => nodes.map((node) => node.outerHTML.slice(0, 150)));
}"""
#: A4 without its margins, in pixels of CSS.
_PAPER = {"width": 718, "height": 1000}


def misprints(opened: Opened) -> list[str]:
    """What is wrong with the page that is shown once it is on paper: a part that cannot be used there, text that is
    cut off or folded, more than the paper's width, and what axe-core says, for example of contrast."""
    page, size = opened.page, opened.page.viewport_size
    page.set_viewport_size(_PAPER)
    page.emulate_media(media="print")
    kinds = zip(
        ("can only be clicked", "is cut off", "is folded", "is too wide"), page.evaluate(_MISPRINTS), strict=True
    )
    wrong = [f"{kind}: {node}" for kind, nodes in kinds for node in nodes] + [str(one) for one in opened.serious()]
    background = page.evaluate(
        "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"
    )
    page.emulate_media(media="screen")
    if size:
        page.set_viewport_size(size)
    return wrong + ([] if background.startswith("rgb(246, 245, 241)rgb(27,") else [f"not dark on light: {background}"])


def log_in(house: House, chromium: Browser, *words: str, **options: Any) -> Opened:
    """Log in as a person does: `jarvisctl open` writes a file, which the browser opens. `options`: of the context."""
    house.environment["BROWSER"] = "true"  # the program that does nothing with the file
    house.ctl("open", *words)
    context = chromium.new_context(**options)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((house.root / "var" / "web-open.html").as_uri())
    page.wait_for_selector("nav")
    return Opened(house, context, page, complaints)


@contextmanager
def logged_in(house: House, chromium: Browser) -> Iterator[Opened]:
    """Log in; at the end the console has had nothing to complain about."""
    browser = log_in(house, chromium)
    yield browser
    assert browser.complaints == []
    browser.context.close()


@pytest.fixture
def opened(house: House, chromium: Browser) -> Iterator[Opened]:
    """A browser that is logged in to the page of an empty home."""
    browser = log_in(house, chromium)
    yield browser
    browser.context.close()


def screenshot(page: Page, name: str) -> None:
    """Leave a picture in $JARVISD_ARTIFACTS, where that is set."""
    if ARTIFACTS:
        page.screenshot(path=Path(ARTIFACTS) / f"{name}.png", full_page=True)
