"""One key at a time from a terminal, or one line at a time from anywhere else.

click.getchar is not enough here: it drops what was typed between two questions.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

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


@contextmanager
def answers() -> Iterator[Ask]:
    """A way to ask: by single keys where standard input is a terminal, else by lines."""
    if not sys.stdin.isatty():
        yield _line
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    with _signals() as signals:
        try:
            tty.setcbreak(terminal, termios.TCSADRAIN)  # TCSAFLUSH would drop keys that are already typed
            yield lambda: _key(Terminal(terminal, signals))
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


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


def meaning(typed: str) -> str:
    """The answer that was typed."""
    return "quit" if typed in _END else ANSWERS.get(" ".join(typed.lower().split()), "unknown")


def _answer(typed: str) -> Answer:
    return Answer("quit" if typed in _END else typed.strip(), meaning(typed))


def _line() -> Answer:
    return _answer(sys.stdin.buffer.readline(_LONGEST_LINE).decode("utf-8", "replace"))


def _key(terminal: Terminal) -> Answer:
    while True:
        typed = terminal.byte()
        if typed == b"\x1b":  # an arrow or a function key: it sends several characters
            while terminal.has_more() and terminal.byte():
                pass
            return Answer("", "unknown")
        if not typed or not typed.isspace():  # Enter after a key is no answer of its own
            return _answer(typed.decode("latin-1"))
