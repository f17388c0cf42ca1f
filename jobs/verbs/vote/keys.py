"""One key at a time from a terminal, or one line at a time from anywhere else.

click.getchar is not enough here: it drops what was typed between two questions.
"""

from __future__ import annotations

import os
import select
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
    try:
        tty.setcbreak(terminal, termios.TCSADRAIN)  # TCSAFLUSH would drop keys that are already typed
        yield lambda: _key(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def meaning(typed: str) -> str:
    """The answer that was typed."""
    return "quit" if typed in _END else ANSWERS.get(" ".join(typed.lower().split()), "unknown")


def _answer(typed: str) -> Answer:
    return Answer("quit" if typed in _END else typed.strip(), meaning(typed))


def _line() -> Answer:
    return _answer(sys.stdin.buffer.readline(_LONGEST_LINE).decode("utf-8", "replace"))


def _key(terminal: int) -> Answer:
    while True:
        typed = _byte(terminal)
        if typed == b"\x1b":  # an arrow or a function key: it sends several characters
            while select.select([terminal], [], [], 0)[0] and _byte(terminal):
                pass
            return Answer("", "unknown")
        if not typed or not typed.isspace():  # Enter after a key is no answer of its own
            return _answer(typed.decode("latin-1"))


def _byte(terminal: int) -> bytes:
    """One byte; nothing at the end of the terminal, whichever way the system says so."""
    try:
        return os.read(terminal, 1)
    except OSError:
        return b""
