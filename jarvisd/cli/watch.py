"""`jarvisctl status --watch`: the page, drawn again each second, with keys; its last frame stays on the terminal."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from jarvisd.cli.common import App, on_terminal
from jarvisd.cli.frame import Frame
from jarvisd.cli.table import Screen, cut
from jarvisd.errors import JarvisError
from jarvisd.operations import control, log_lines, lookup
from jarvisd.operations.status_page import Page, Row
from jarvisd.store import database
from jarvisd.words import plain

NOTHING_YET = "it has printed nothing yet"
_KEYS = "q quits, l shows the log of the running job, c cancels it"
#: Lines of the log that are shown below the page, and bytes that are read for them.
_LOG_LINES, _LOG_BYTES = 8, 8000
#: Columns of a terminal that does not tell its own.
_WIDTH = 80


#: Reads the page anew: its lines for a screen, and its content.
Read = Callable[[Screen], tuple[list[str], Page | None]]


def watch(app: App, read: Read) -> None:
    """Show the page until q, Ctrl-C or the end of stdin's terminal. In a pipe print it again whenever it changes."""
    if not on_terminal():
        _print_changes(read)
        return
    with _keys() as has_keys, Frame(sys.stdout) as frame:
        watcher = _Watcher(app, read, frame, has_keys)
        while watcher.step():
            pass


def _print_changes(read: Read) -> None:
    shown: list[str] = []
    while True:
        lines, _page = read(Screen.of_stdout())
        if lines != shown:
            click.echo("\n".join(lines) + "\n")
            shown = lines
        time.sleep(1)


@dataclass
class _Watcher:
    """The state of the watch: whether the log is shown, and which job a question is about."""

    app: App
    read: Read
    frame: Frame
    has_keys: bool
    shows_log: bool = False
    asked: Row | None = None  #: the running job that `c` asks about
    message: str = ""
    running: list[Row] = field(default_factory=list)

    def step(self) -> bool:
        """Draw one frame and wait for a key or a second. False when the user ends the watch."""
        self._draw()
        key = self._key()
        if self.asked is not None and key:
            self._answer(key)
        elif key in ("q", "\x03", "\x04", "\x1b"):
            return False
        elif key == "l":
            self.shows_log = not self.shows_log
        elif key == "c":
            self.asked = self.running[0] if self.running else None
            self.message = "" if self.asked else "No job is running."
        return True

    def _draw(self) -> None:
        screen = Screen.of_stdout()
        lines, page = self.read(screen)
        self.running = page.running if page else []
        below = [*self._log(screen), "", self._last_line(screen)]
        self.frame.draw(lines, below)

    def _last_line(self, screen: Screen) -> str:
        clock, width = f"{database.now().astimezone():%a %H:%M:%S}", screen.width or _WIDTH
        if self.asked is not None:
            return screen.paint(cut(f"Cancel {self.asked.job_id} {self.asked.name}? y / n", width), bold=True)
        text = f"{self.message}  " if self.message else ""
        return screen.paint(cut(f"{clock}  {text}{_KEYS if self.has_keys else 'Ctrl-C ends'}", width), dim=True)

    def _log(self, screen: Screen) -> list[str]:
        """The last lines of the running job's log."""
        if not self.shows_log or not self.running:
            return []
        row = self.running[0]
        path = self.app.home.job_log(row.job_id)
        text = _tail(path) if path.exists() else [f"({self._why_none(row)})"]
        text = text or [f"({NOTHING_YET})"]
        lines = [f"log of {row.job_id} {row.name}:", *(f"  {plain(line)}" for line in text)]
        return ["", *(cut(line, screen.width or _WIDTH) for line in lines)]

    def _why_none(self, row: Row) -> str:
        return log_lines.elsewhere(self.app.home, lookup.find_job(str(row.job_id))) or NOTHING_YET

    def _answer(self, key: str) -> None:
        row, self.asked = self.asked, None
        if row is None or key.lower() != "y":
            return
        try:
            control.cancel(self.app.home, lookup.find_job(str(row.job_id)))
            self.message = f"{row.job_id} {row.name} is being cancelled."
        except JarvisError as error:
            self.message = str(error)

    def _key(self) -> str:
        """The key that was pressed within a second; "" for none."""
        if not self.has_keys:
            time.sleep(1)
            return ""
        if not select.select([sys.stdin], [], [], 1)[0]:
            return ""
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace") or "q"


def _tail(path: Path) -> list[str]:
    with path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - _LOG_BYTES))
        return log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]


@contextmanager
def _keys() -> Iterator[bool]:
    """Read single keys from the terminal, without echo; afterwards it is as before. Yields whether there is one."""
    if not sys.stdin.isatty():
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
