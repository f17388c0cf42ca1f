"""Lines that are drawn again in their place on a terminal. The last frame stays when drawing ends."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class Frame:
    """Draws on `stream`, a terminal. Every line must fit into one row."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0  #: rows of the last frame, the cursor stands below them

    def __enter__(self) -> Frame:
        self._stream.write(_HIDE)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._stream.write(_SHOW)
        self._stream.flush()

    def draw(self, lines: Sequence[str], below: Sequence[str] = ()) -> None:
        """Replace the last frame. Where the terminal is too low the end of `lines` is left out, and this is said."""
        room = max(3, shutil.get_terminal_size().lines - 1 - len(below))
        shown = list(lines)
        if len(shown) > room:
            shown = [*shown[: room - 1], f"... {len(shown) - room + 1} more lines"]
        shown += below
        back = f"\x1b[{self._drawn}F" if self._drawn else ""
        self._stream.write(back + "".join(f"\x1b[2K{line}\n" for line in shown) + "\x1b[J")
        self._stream.flush()
        self._drawn = len(shown)
