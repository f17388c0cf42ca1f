"""jarvisctl at a pseudo-terminal, as a person at a keyboard meets it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time

from tests.acceptance.conftest import BIN, DEADLINE_S, House


class Terminal:
    """jarvisctl at a pseudo-terminal."""

    def __init__(self, house: House, *words: str) -> None:
        self._end, other = pty.openpty()
        self.process = subprocess.Popen(
            [BIN / "jarvisctl", *words],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=house.folder,
            env=os.environ | {"JARVISD_HOME": str(house.root), "COLUMNS": "80"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C at it is a signal
        )
        os.close(other)
        self.seen = ""

    def until(self, mark: str | None, timeout_s: float = DEADLINE_S) -> str:
        """What appears up to and with `mark`, or up to the end."""
        deadline = time.monotonic() + timeout_s
        while mark is None or mark not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not select.select([self._end], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._end, 1 << 16)
            except OSError:  # Linux's way to say that the other end is closed
                data = b""
            if not data:
                assert mark is None, self.seen
                break
            self.seen += data.decode()
        page, _, self.seen = self.seen.partition(mark) if mark else (self.seen, "", "")
        return page.replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    def close(self) -> int:
        code = self.process.wait(timeout=DEADLINE_S)
        os.close(self._end)
        return code
