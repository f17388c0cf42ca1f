"""Huey's consumer, which sleeps until a signal comes: through the wake-up channel, or to stop.

Huey's own consumer asks ten times per second whether it must stop, and its worker asks the database once per second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from huey.api import Huey
from huey.consumer import Consumer, ThreadEnvironment

from jarvisd.daemon.attempt import GRACE_S
from jarvisd.store import database
from jarvisd.store.channel import Channel, NoChannel

_log = logging.getLogger("jarvisd.daemon.consumer")

#: Seconds between two reads of the queue while no signal comes, in case one was lost.
POLL_INTERVAL_S = 30.0
#: The same while there is no wake-up channel, and where several machines share the queue.
POLL_WITHOUT_CHANNEL_S = 1.0
#: Seconds between two checks of the consumer whether its threads live.
_HEALTH_S = 10.0


class StopFlag(threading.Event):
    """An event that a signal handler may set, and that can be waited for together with other descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        """A descriptor that can be read from once the flag is set."""
        return self._read

    def set(self) -> None:
        if not self.is_set():
            os.write(self._write, b"s")

    def is_set(self) -> bool:
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        readable, _, _ = select.select([self._read], [], [], timeout)
        return bool(readable)


class _Threads(ThreadEnvironment):
    def get_stop_flag(self) -> StopFlag:
        return StopFlag()


class OneConsumer(Consumer):
    """One worker thread. Every signal to end is the graceful one (in Huey SIGHUP would restart it)."""

    stop_flag: StopFlag

    def __init__(self, huey: Huey) -> None:
        super().__init__(
            huey,
            workers=1,
            worker_type="thread",
            periodic=False,
            max_delay=1.0,
            scheduler_interval=60,
            check_worker_health=True,
            health_check_interval=_HEALTH_S,
            graceful_signal="TERM",
            shutdown_timeout=GRACE_S + 5,
        )
        self._stop_flag_timeout = _HEALTH_S

    def get_environment(self, _worker_type: str) -> ThreadEnvironment:
        return _Threads(self._graceful_sig, self._interrupt_sig)

    def _set_signal_handlers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        """A second signal changes nothing: the running job keeps its time to stop."""
        self._signum, self._restart, self._graceful = number, False, True
        self.stop_flag.set()


class Listener:
    """Waits for wake-up signals. Without a channel it polls, and says once why there is none."""

    def __init__(self, folder: Path, stop: StopFlag, turn: Callable[[], None] = lambda: None) -> None:
        """`turn` is called before each wait: the worker loop has turned."""
        self._folder, self._stop, self._turn = folder, stop, turn
        self._channel: Channel | None = None
        self._reason = ""

    def wait(self) -> None:
        """Return when a signal comes, when the daemon stops, or when the queue must be read all the same.

        Another machine has no channel to this daemon: a shared queue is read every second.
        """
        self._turn()
        if self._channel is not None and self._channel.is_intact():
            interval_s = POLL_WITHOUT_CHANNEL_S if database.is_shared() else POLL_INTERVAL_S
            self._channel.wait(interval_s, self._stop.fileno())
            return
        self.close()
        if not self.open():
            self._stop.wait(POLL_WITHOUT_CHANNEL_S)
        # A signal may have been lost before it was open: the queue is read before the next wait.

    def open(self) -> bool:
        """Open the channel. False where that is impossible, which is logged once."""
        try:
            self._channel = Channel(self._folder)
        except NoChannel as error:
            self._tell(f"there is no wake-up channel, jobs start up to {POLL_WITHOUT_CHANNEL_S:g} s late: {error}")
            return False
        if self._channel.replaced:
            _log.warning("%s was %s; it is replaced by a wake-up channel", self._channel.path, self._channel.replaced)
        self._reason = ""
        return True

    def _tell(self, reason: str) -> None:
        if reason != self._reason:
            _log.warning("%s: %s", self._folder, reason)
        self._reason = reason

    def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.close()
