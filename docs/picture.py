"""Make docs/report.png: the top of the newest run's report, as headless Chromium shows it.

    .venv/bin/jarvisctl demo && .venv/bin/python docs/picture.py

Chromium is Debian's package `chromium`, or the application of that name on a Mac.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jarvisd import paths as homes

WIDTH, HEIGHT = 1200, 960  # down to the first prompt where the replies differ
TARGET = Path(__file__).with_name("report.png")


def main() -> int:
    page = homes.find().latest / "report.html"
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None or not page.is_file():
        print("picture.py: needs chromium and a finished run. Install one, and run `make demo`.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
                *(f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={TARGET}"),
                page.resolve().as_uri(),
            ],
            check=True,
            timeout=300,
            stderr=subprocess.DEVNULL,  # of what a server has no bus for
        )
    print(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
