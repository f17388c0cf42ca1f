"""`status` on a real terminal: the same page as in a pipe, the keys of --watch, and its last frame."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.acceptance.conftest import BIN, House, until

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """A program on a terminal of its own."""

    process: subprocess.Popen[bytes]
    master: int
    text: str = ""

    def read(self) -> str:
        """Everything that it has written so far, without escapes."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # Linux: the other side has closed
                break
            if not data:
                break
            self.text += data.decode()
        return ESCAPE.sub("", self.text).replace("\r\n", "\n")

    def shows(self, part: str) -> bool:
        return part in self.read()

    def press(self, key: str) -> None:
        os.write(self.master, key.encode())

    def ends(self) -> int:
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            self.read()
            time.sleep(0.02)
        return self.process.wait(timeout=1)


@contextmanager
def terminal(house: House, *words: str, columns: int = 300, rows: int = 40, **environment: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    outer = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # it would go before the size
    process = subprocess.Popen(
        [BIN / "jarvisctl", *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=house.folder,
        env={**outer, "JARVISD_HOME": str(house.root), "TERM": "xterm", **house.environment, **environment},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)


def several_runs(house: House) -> None:
    """A failed job, a running one that goes on, and two that wait."""
    house.daemon()
    failed = house.enqueue("command", "--name", "bad", "--", "false")
    house.settled(failed)
    running = house.enqueue("command", "--name", "long", "--", "sleep", "600")
    house.enqueue("command", "--name", "second", "--", "true")
    house.enqueue("command", "--name", "third", "--priority", "1", "--", "true")
    until(lambda: house.jobs(running)["command:long"]["status"] == "running", what="the long job runs")


def without_time(page: str) -> str:
    return re.sub(r"for \d+:\d\d", "for TIME", page)


def test_status_in_a_pipe_is_the_page_of_a_terminal(house: House) -> None:
    several_runs(house)
    piped = house.ctl("status").stdout
    with terminal(house, "status") as screen:
        assert screen.ends() == 0
        shown = screen.read()
        assert without_time(shown) == without_time(piped)
        assert "\x1b[" in screen.text
    with terminal(house, "status", NO_COLOR="1") as screen:
        screen.ends()
        screen.read()
        assert "\x1b[" not in screen.text
    states = [line.split()[2:4] for line in piped.splitlines() if re.match(r" +\d+  ", line)]
    names = ["long", "third", "second", "bad"]
    assert states == [
        [f"command:{name}", state] for name, state in zip(names, ["running", "queued", "queued", "failed"], strict=True)
    ]
    assert "logs 1 / retry 1" in piped
    assert "Since yesterday: 1 failed." in piped


def test_watch_shows_the_clock_the_log_and_asks_before_it_cancels(house: House) -> None:
    house.daemon()
    run_id = house.enqueue("command", "--name", "talk", "--", "sh", "-c", "echo spoken; sleep 600")
    until(lambda: house.jobs(run_id)["command:talk"]["status"] == "running", what="the job runs")
    with terminal(house, "status", "--watch", columns=120) as screen:
        until(lambda: screen.shows("command:talk"), what="the job is shown")
        assert re.search(r"\w{3} \d\d:\d\d:\d\d", screen.read())
        screen.press("l")
        until(lambda: screen.shows("  spoken"), what="the log is shown")
        screen.press("c")
        until(lambda: screen.shows("Cancel 1 command:talk? y / n"), what="it asks")
        screen.press("n")
        until(lambda: screen.shows("q quits"), what="the question is gone")
        assert house.jobs(run_id)["command:talk"]["status"] == "running"
        screen.press("c")
        screen.press("y")
        until(lambda: house.jobs(run_id)["command:talk"]["status"] == "cancelled", what="it is cancelled")
        until(lambda: screen.shows("cancelled"), what="the page says so")
        before = len(screen.text)
        screen.press("q")
        assert screen.ends() == 0
        screen.read()
        assert "\x1b[2J" not in screen.text
        assert "\x1b[?1049" not in screen.text
        assert screen.text[before:].count("\x1b[J") <= 2, "the last frame stays"


def test_watch_ends_with_ctrl_c_and_leaves_the_terminal_as_it_was(house: House) -> None:
    house.enqueue("command", "--", "true")
    with terminal(house, "status", "--watch", columns=100) as screen:
        until(lambda: screen.shows("q quits"), what="the page is drawn")
        before = termios.tcgetattr(screen.master)[3]
        screen.press("\x03")
        assert screen.ends() in (0, 130)
        after = termios.tcgetattr(screen.master)[3]
        assert not before & termios.ICANON
        assert after & termios.ICANON


def test_a_report_on_a_terminal_is_one_screen(house: House) -> None:
    """In a pipe it is the whole of REPORT.md."""
    house.ctl("enqueue", "overnight")
    house.ctl("cancel", "latest")
    with terminal(house, "report") as screen:
        assert screen.ends() == 0
        shown = screen.read()
    assert "7 of 7 jobs did not finish" in shown and "jarvisctl retry " in shown
    assert len(shown.splitlines()) < 40 and "prints all of it here" in shown
    whole = house.ctl("report").stdout
    assert whole.startswith("# ") and "## Appendix" in whole
