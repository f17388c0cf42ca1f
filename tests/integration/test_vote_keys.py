"""Keys of a vote at a real terminal, and the signal of Ctrl-C at any moment."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Waits for a key. Another thread handles the signal of Ctrl-C, so that the read of the key is not interrupted.
PROGRAM = """
import signal, threading, time
from jobs.verbs.vote.keys import answers

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background with it ignored

def interrupt():
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

try:
    with answers() as ask:
        threading.Thread(target=interrupt).start()
        ask()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: the person's, and the program's."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_ctrl_c_is_not_lost_where_it_does_not_interrupt_the_read(terminal: tuple[int, int]) -> None:
    person, program = terminal
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=program, stdout=subprocess.PIPE, text=True
    )
    lost = threading.Event()
    rescue = threading.Timer(30, lambda: (lost.set(), os.write(person, b"q")))  # a key ends the wait
    rescue.start()
    output, _ = process.communicate(timeout=60)
    rescue.cancel()
    assert not lost.is_set()
    assert output == "interrupted\n"
