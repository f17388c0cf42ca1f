"""Make docs/page/*.png: every screen of the local page, light, dark and on a phone, on rows that are made up.

    .venv/bin/python docs/page_pictures.py

Needs Chromium, and Playwright of the group `dev`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from jarvisd.paths import Home  # noqa: E402
from jarvisd.store import database, migrations  # noqa: E402
from tests import morning_rows  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

TARGET = ROOT / "docs" / "page"
BIN = Path(sys.executable).parent
#: Bytes of the largest picture; fewer colours are used until it is smaller.
LARGEST = 60_000
#: Name of a picture's end -> options of the browser.
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1100, "height": 760}},
    "dark": {"viewport": {"width": 1100, "height": 760}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 780}},
}


def vote(page: Page) -> None:
    page.get_by_role("button", name="Begin").click()
    page.locator(".question").wait_for()


def preview(page: Page) -> None:
    page.locator("select[name=model]").select_option("lfm")
    page.get_by_role("button", name="Preview: deploy the model").click()
    page.locator("pre.diff").wait_for()


def find(page: Page) -> None:
    page.locator("main input[type=search], main input:not([type=hidden])").first.fill("milk")
    with page.expect_navigation():
        page.keyboard.press("Enter")


def stay(_page: Page) -> None:
    """The page as it is opened."""


#: Name of a picture -> its address, and what is done there first.
SCREENS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "tonight": ("tonight", stay),
    "decide": ("decide", stay),
    "deploy": ("decide", preview),
    "vote": ("vote", vote),
    "review": ("review/cards", stay),
    "templates": ("review/templates", stay),
    "history": ("history", stay),
    "trend": ("trend", stay),
    "search": ("search", find),
    "queue": ("queue", stay),
}


def main() -> int:
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("page_pictures.py: needs chromium. Install it.", file=sys.stderr)
        return 1
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        try:
            prepared(Path(folder))
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            for view, options in VIEWS.items():
                ctl(home, "open")
                page = chromium.new_context(**options).new_page()
                page.goto((home / "var" / "web-open.html").as_uri())
                page.wait_for_selector("nav")
                pictures(page, view)
            chromium.close()
        finally:
            ctl(home, "stop")
    return 0


def prepared(folder: Path) -> None:
    """A home with a finished night, a night that runs, and JARVIS's folder."""
    home = Home(folder / "home", "--home")
    migrations.migrate(home)
    nights = [("2026-11-25-overnight", 0.08), ("2026-11-26-overnight", 0.03), ("2026-11-27-overnight", 0.0)]
    for name, worse in nights:
        morning_rows.morning(name, worse)
    database.db.close()
    jarvis = folder / "owner" / ".jarvis"
    jarvis.mkdir(parents=True)
    (jarvis / "config.json").write_text('{\n  "config_version": 16,\n  "model": {"model_id": "lfm-0.7b"}\n}\n')
    for name, _ in nights:
        ctl(home.root, "report", name, "--again", "--path")
    talk = "import time\nfor n in range(600): print('message', n * 140, 'of 84,000', flush=True); time.sleep(1)"
    for name in ("embed-messages", "compare-models", "write-summary"):
        ctl(home.root, "enqueue", "command", "--name", name, "--", sys.executable, "-c", talk)
    ctl(home.root, "start")


def ctl(home: Path, *words: str) -> None:
    """Call jarvisctl as the owner of that home."""
    environment = os.environ | {"JARVISD_HOME": str(home), "HOME": str(home.parent / "owner"), "BROWSER": "true"}
    words = tuple(str(word) for word in words)
    subprocess.run([BIN / "jarvisctl", *words], env=environment, check=True, stdout=subprocess.DEVNULL, cwd=home.parent)


def pictures(page: Page, view: str) -> None:
    root = "/".join(page.url.split("/")[:4])
    for name, (path, first) in SCREENS.items():
        page.goto(f"{root}/{path}")
        first(page)
        file = TARGET / f"{name}-{view}.png"
        file.write_bytes(small(page.screenshot()))
        print(file)


def small(picture: bytes) -> bytes:
    """The picture in as many colours as LARGEST allows."""
    with Image.open(BytesIO(picture)) as image:
        for colours in (64, 32, 16, 8):
            out = BytesIO()
            image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
            if out.tell() <= LARGEST:
                break
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
