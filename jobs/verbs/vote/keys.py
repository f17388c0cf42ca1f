"""One key at a time from a terminal, or one line at a time from anywhere else.

click.getchar is not enough here: it drops what was typed between two questions.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

#: What a person may type -> what it means.
ANSWERS = {
    "1": "left",
    "2": "right",
    "t": "tie",
    "tie": "tie",
    "0": "tie",
    "b": "both bad",
    "both bad": "both bad",
    "s": "skip",
    "skip": "skip",
    "u": "undo",
    "undo": "undo",
    "q": "quit",
    "quit": "quit",
}
_END = ("\x04", "")  # Ctrl-D, and the end of a file
_LONGEST_LINE = 1 << 12


class Answer(NamedTuple):
    """An answer as it was typed, and what it means: one of ANSWERS' values, or "unknown"."""

    typed: str
    means: str


class Terminal(NamedTuple):
    """Two descriptors: of a terminal, and of a pipe that is readable once a signal has come."""

    keys: int
    signals: int

    def byte(self) -> bytes:
        """The next byte; nothing at the end of the terminal, whichever way the system says so."""
        while self.keys not in select.select([self.keys, self.signals], [], [])[0]:
            os.read(self.signals, 64)  # Python runs the handler now; the one of Ctrl-C raises KeyboardInterrupt
        try:
            return os.read(self.keys, 1)
        except OSError:
            return b""

    def has_more(self) -> bool:
        return bool(select.select([self.keys], [], [], 0)[0])


Ask = Callable[[], Answer]  #: returns the next answer


@dataclass(frozen=True)
class Keyboard:
    """Asks a person: by single keys where standard input is a terminal, else by lines."""

    meanings: Mapping[str, str]  #: what may be typed -> what it means
    terminal: Terminal | None = None
    settings: list[Any] | None = None  #: of the terminal before single keys were asked for

    def ask(self) -> Answer:
        """The next answer."""
        typed = _line() if self.terminal is None else _key(self.terminal)
        return Answer("", "unknown") if typed is None else _answer(typed, self.meanings)

    def line(self) -> str:
        """A line of text; "" at the end of the input. The terminal lets the person correct it."""
        if self.terminal is None:
            return _line().strip()
        import termios
        import tty

        termios.tcsetattr(self.terminal.keys, termios.TCSADRAIN, self.settings or [])
        try:
            typed = b""
            while len(typed) < _LONGEST_LINE and (byte := self.terminal.byte()) not in (b"", b"\n", b"\r"):
                typed += byte
            return typed.decode("utf-8", "replace").strip()
        finally:
            tty.setcbreak(self.terminal.keys, termios.TCSADRAIN)


@contextmanager
def keyboard(meanings: Mapping[str, str]) -> Iterator[Keyboard]:
    """A keyboard, as long as the block lasts."""
    if not sys.stdin.isatty():
        yield Keyboard(meanings)
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    with _signals() as signals:
        try:
            tty.setcbreak(terminal, termios.TCSADRAIN)  # TCSAFLUSH would drop keys that are already typed
            yield Keyboard(meanings, Terminal(terminal, signals), before)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def answers() -> Iterator[Ask]:
    """A way to ask for a vote."""
    with keyboard(ANSWERS) as keys:
        yield keys.ask


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that is readable once a signal has come.

    Ctrl-C in the instant before a read begins, or in another thread, does not interrupt the read.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def meaning(typed: str, meanings: Mapping[str, str] = ANSWERS) -> str:
    """What was typed means."""
    return "quit" if typed in _END else meanings.get(" ".join(typed.lower().split()), "unknown")


def _answer(typed: str, meanings: Mapping[str, str]) -> Answer:
    return Answer("quit" if typed in _END else typed.strip(), meaning(typed, meanings))


def _line() -> str:
    return sys.stdin.buffer.readline(_LONGEST_LINE).decode("utf-8", "replace")


def _key(terminal: Terminal) -> str | None:
    """A key; None for one that sends several characters, such as an arrow."""
    while True:
        typed = terminal.byte()
        if typed == b"\x1b":
            while terminal.has_more() and terminal.byte():
                pass
            return None
        if not typed or not typed.isspace():  # Enter after a key is no answer of its own
            return typed.decode("latin-1")
