"""Standard streams that may be closed, full, or without a reader."""

from __future__ import annotations

import os
import sys


def ensure_open() -> None:
    """Give a program that was started without stdin, stdout or stderr a null device in their place.

    Without it the next file that is opened would get the number of the missing stream. stdout is opened for
    reading only, so that printing fails as on a full disk and stderr says so.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def drop_unwritten() -> None:
    """Discard output that cannot be written, so that the exit code does not change."""
    try:
        sys.stdout.flush()
    except OSError:
        silence(1)


def silence(number: int) -> None:
    """Discard what is still buffered for a stream: Python's flush at exit would fail again, with exit code 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
