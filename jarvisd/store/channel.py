"""The wake-up channel: a FIFO in var/ through which any process tells the daemon that its queue has changed.

It carries no data: the database says what to do. A signal that is lost costs at most one poll of the daemon.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
from pathlib import Path

#: The channel's name in var/.
NAME = "jarvisd.wake"


class NoChannel(Exception):
    """Why there can be no channel, in words."""


def send(folder: Path) -> None:
    """Wake the daemon that listens in this folder. Never waits; without a listener it does nothing.

    A full channel needs no further signal, and what is not a FIFO of this user is left alone.
    """
    path = folder / NAME
    with contextlib.suppress(OSError):
        if not _is_own_fifo(path.lstat()):
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if _is_own_fifo(os.fstat(descriptor)):
                os.write(descriptor, b"w")
        finally:
            os.close(descriptor)


def _is_own_fifo(status: os.stat_result) -> bool:
    return stat.S_ISFIFO(status.st_mode) and status.st_uid == os.geteuid()


class Channel:
    """The daemon's end. Opening it replaces a file or link of that name that belongs to this user."""

    def __init__(self, folder: Path) -> None:
        """Raises NoChannel where something that cannot be replaced has its name, or the disk takes no FIFO."""
        self.path = folder / NAME
        self.replaced = ""  #: what had the channel's name and was removed, in words; "" for nothing
        try:
            self._descriptor = self._open()
        except OSError as error:
            raise NoChannel((error.strerror or type(error).__name__).lower()) from error

    def _open(self) -> int:
        """Make the FIFO and open both of its ends, so that a writer that closes it leaves no end of file."""
        with contextlib.suppress(FileNotFoundError):
            self._remove(self.path.lstat())
        os.mkfifo(self.path, 0o600)
        descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not _is_own_fifo(os.fstat(descriptor)):  # another program was quicker
            os.close(descriptor)
            raise NoChannel("another program replaced it")
        return descriptor

    def _remove(self, present: os.stat_result) -> None:
        if present.st_uid != os.geteuid():
            raise NoChannel("it belongs to another user")
        if stat.S_ISDIR(present.st_mode):
            raise NoChannel("it is a folder")
        if not stat.S_ISFIFO(present.st_mode):
            self.replaced = "a link" if stat.S_ISLNK(present.st_mode) else "a file that is no FIFO"
        self.path.unlink()

    def is_intact(self) -> bool:
        """Whether the FIFO that is open still has its name."""
        try:
            named, held = self.path.lstat(), os.fstat(self._descriptor)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def wait(self, timeout_s: float, stop: int | None = None) -> bool:
        """Wait for a signal, or until the descriptor `stop` can be read. Returns whether one of them came in time.

        All signals so far count as one.
        """
        descriptors = [self._descriptor] if stop is None else [self._descriptor, stop]
        readable, _, _ = select.select(descriptors, [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 4096):
                pass
        return bool(readable)

    def close(self) -> None:
        """Close it, and remove its name where that is still this FIFO."""
        if self.is_intact():
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)
