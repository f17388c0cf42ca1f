"""jarvisd: take the lock, recover, run one Huey worker, stop.

Signals: SIGTERM, SIGINT and SIGHUP all mean the same: ask the running job to stop, put it back, exit with 0.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from huey.consumer import Consumer

from jarvisd import __version__, ledger, machine, migrations, queue, recovery, settings, stories
from jarvisd import home as homes
from jarvisd.errors import JarvisError
from jarvisd.home import Home
from jarvisd.supervisor import GRACE_S, Supervisor

_log = logging.getLogger("jarvisd")

#: The daemon looks by itself this often, whatever became of the messages.
LOOK_BY_ITSELF_S = 30


class OneConsumer(Consumer):
    """Huey's consumer, for which every signal to end is the graceful one (SIGHUP would restart it)."""

    def _set_signal_handlers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._signal_actions[number] = (False, True)
            signal.signal(number, self._handle_signal)


def main() -> int:
    os.umask(0o077)
    options = _parser().parse_args()
    home = homes.find(options.home)
    try:
        home.make()
        with hold_lock(home, wait=options.wait):
            serve(home, foreground=sys.stderr.isatty())
    except JarvisError as error:
        print(f"jarvisd: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jarvisd", description="The daemon: takes submitted jobs one at a time.")
    parser.add_argument("--home", help="the folder that holds var/ and config/")
    parser.add_argument("--wait", action="store_true", help="wait for another daemon's end instead of exiting with 1")
    parser.add_argument("--version", action="version", version=f"jarvisd {__version__}")
    return parser


# -------------------------------------------------------------------------------------------------------- the lock


def hold_lock(home: Home, *, wait: bool = False) -> IO[str]:
    """The lock of a home, kept until the file is closed or the process ends. The file itself is never removed."""
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = os.fdopen(descriptor, "r+")
    if not _take(lock, wait=wait):
        lock.close()
        held = holder(home) or {}
        raise JarvisError(
            f"a daemon is already running for {home.root} (pid {held.get('pid', 'unknown')}, "
            f"since {held.get('since', 'an unknown time')})",
            "`jarvisctl stop` ends it; `jarvisd --wait` waits for it.",
        )
    lock.seek(0)
    lock.truncate()
    since = ledger.now().astimezone().isoformat(timespec="seconds")
    json.dump({"pid": os.getpid(), "since": since, "version": __version__}, lock)
    lock.flush()
    return lock


def _take(lock: IO[str], *, wait: bool) -> bool:
    """Whether the lock could be had. Whoever only asks for its holder has it for an instant, so ask a few times."""
    for _ in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            time.sleep(0.03)
    return False


def holder(home: Home) -> dict[str, object] | None:
    """Who holds the lock of a home, or None when no daemon runs."""
    return homes.lock_holder(home)


# ------------------------------------------------------------------------------------------------------- the service


def serve(home: Home, *, foreground: bool) -> None:
    """Recover, then take jobs until a signal comes."""
    stories.daemon_logging(home, foreground=foreground)
    recovery.set_damaged_aside(home)
    migrations.migrate(home)
    configuration = settings.read(home)
    machine_id = machine.identity(home)
    _log.info("jarvisd %s started, pid %d, home %s", __version__, os.getpid(), home.root)
    recovery.recover(home, machine_id)
    stopping = threading.Event()
    supervisor = Supervisor(home, machine_id, configuration, stopping)
    huey, _ = queue.build(supervisor.work)
    consumer = OneConsumer(
        huey,
        workers=1,
        worker_type="thread",
        periodic=False,
        max_delay=1.0,
        check_worker_health=True,
        graceful_signal="TERM",
        shutdown_timeout=GRACE_S + 5,
    )
    supervisor.stopping = consumer.stop_flag
    threading.Thread(target=_look_by_itself, args=(machine_id, consumer.stop_flag), daemon=True).start()
    consumer.run()
    _log.info("jarvisd stopped")


def _look_by_itself(machine_id: str, stopping: threading.Event) -> None:
    """Ring for a row that is due and that no message speaks of: the end of a backoff, of a pause, a lost message."""
    while not stopping.wait(1.0 if ledger.soon_due(ledger.now(), LOOK_BY_ITSELF_S) else LOOK_BY_ITSELF_S):
        try:
            queue.ring_if_silent(machine_id)
        except Exception as error:  # the next look may succeed, and the worker goes on meanwhile
            _log.warning("the look by itself failed: %s", type(error).__name__)
    ledger.database.close()


# --------------------------------------------------------------------------------------------- starting and stopping it


def start_in_background(home: Home, timeout_s: float = 20) -> int:
    """Start a daemon that outlives the caller; returns its pid once it holds the lock."""
    home.make()
    words = [sys.executable, "-P", "-m", "jarvisd.daemon", "--home", str(home.root)]
    with (home.logs / "jarvisd.err").open("ab") as log:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.var,
            start_new_session=True,
        )
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        held = holder(home)
        if held is not None and (held["pid"] == child.pid or child.poll() is not None):
            return int(str(held["pid"]))
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise JarvisError("the daemon did not start", f"See {home.logs / 'jarvisd.err'}.")


def stop(home: Home, timeout_s: float = 20) -> bool:
    """Ask the daemon to stop and wait until it has. False when none ran."""
    held = holder(home)
    if held is None:
        return False
    try:
        os.kill(int(str(held["pid"])), signal.SIGTERM)
    except ProcessLookupError:
        return True
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        now = holder(home)
        if now is None or now["pid"] != held["pid"]:
            return True
        time.sleep(0.05)
    raise JarvisError(
        f"the daemon (pid {held['pid']}) did not stop within {timeout_s:.0f} s", f"See {home.logs / 'jarvisd.log'}."
    )


def log_file(home: Home) -> Path:
    return home.logs / "jarvisd.log"


if __name__ == "__main__":
    sys.exit(main())
