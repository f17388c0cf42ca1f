"""The page's process, from outside: is one running, start it, end it, log in. Imports no web framework."""

from __future__ import annotations

import html
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jarvisd import __version__
from jarvisd.errors import JarvisError
from jarvisd.host import lockfile
from jarvisd.paths import Home
from jarvisd.web import keys

#: Longest time until a page that was started answers, and until one that was asked to end has ended.
START_S, STOP_S = 20.0, 10.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Running:
    """A page that runs."""

    port: int
    pid: int
    version: str

    @property
    def login(self) -> str:
        return f"http://127.0.0.1:{self.port}/login"


def state_file(home: Home) -> Path:
    """What a running page holds locked: {"port", "pid", "version"}."""
    return home.var / "web.json"


def secret_file(home: Home) -> Path:
    """What the running page accepts tickets by."""
    return home.var / "web-secret"


def entrance(home: Home) -> Path:
    """The file that the browser opens to log in."""
    return home.var / "web-open.html"


def running(home: Home) -> Running | None:
    """The page that runs for this home, or None."""
    held = lockfile.holder(state_file(home), START_S)
    try:
        return Running(int(held["port"]), int(held["pid"]), str(held["version"])) if held else None
    except (ValueError, LookupError, TypeError):
        return None


def ensure(home: Home) -> Running:
    """The page of this version: the one that runs, else a new one. Raises JarvisError where it does not start."""
    page = running(home)
    if page is not None and page.version == __version__:
        return page
    if page is not None:
        stop(home)
    return _start(home)


def _start(home: Home) -> Running:
    """Start the process; where another `open` was quicker, its page is returned."""
    home.make()
    words = [sys.executable, "-P", "-m", "jarvisd.web", "--home", str(home.root)]
    log = home.logs / "web.err"
    with log.open("wb") as errors:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=home.var, start_new_session=True
        )
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        page = running(home)
        if page is not None:
            return page
        if child.poll() is not None and child.returncode:
            break
        time.sleep(_POLL_S)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise JarvisError("the page did not start", lines[-1] if lines else f"See {log}.")


def stop(home: Home) -> bool:
    """End the page and wait until it has ended. False where none ran."""
    page = running(home)
    if page is None:
        return False
    try:
        os.kill(page.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    end = time.monotonic() + STOP_S
    while time.monotonic() < end:
        now = running(home)
        if now is None or now.pid != page.pid:
            return True
        time.sleep(_POLL_S)
    raise JarvisError(f"the page (pid {page.pid}) did not end within {STOP_S:.0f} s", "End it by hand.")


def ticket(home: Home, to: str) -> str:
    """A ticket of the running page, which leads to `to`."""
    return keys.new_ticket(secret_file(home).read_bytes(), to)


def write_entrance(home: Home, page: Running, to: str) -> Path:
    """Write the file that logs the browser in: a form, so that the ticket is in no command line and no history."""
    form = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>jarvisd</title>'
        f'<form method="post" action="{page.login}">'
        f'<input type="hidden" name="ticket" value="{html.escape(ticket(home, to))}">'
        "<button>Open the page of jarvisd</button></form><script>document.forms[0].submit()</script></html>\n"
    )
    return write_private(entrance(home), form.encode())


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that is worth nothing after a power cut: without a wait for the disk."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    return path
