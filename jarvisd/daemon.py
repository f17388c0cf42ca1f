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
from types import FrameType
from typing import IO

from huey.consumer import Consumer

from jarvisd import __version__, ledger, machine, migrations, queries, queue, recovery, settings, stories
from jarvisd import home as homes
from jarvisd.errors import JarvisError
from jarvisd.home import Home
from jarvisd.settings import Settings
from jarvisd.supervisor import GRACE_S, Supervisor

_log = logging.getLogger("jarvisd")

#: The daemon looks by itself this often, whatever became of the messages.
LOOK_BY_ITSELF_S = 30.0


class OneConsumer(Consumer):
    """Huey's consumer, for which every signal to end is the graceful one (SIGHUP would restart it)."""

    def _set_signal_handlers(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note_signal)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        """A second signal is not worse than the first: the job in hand keeps its time to stop."""
        self._signum, self._restart, self._graceful = number, False, True


def main() -> int:
    os.umask(0o077)
    options = _parser().parse_args()
    home = homes.find(options.home)
    try:
        home.make()
        configuration = settings.read(home)
        with hold_lock(home, wait=options.wait) as lock:
            ready(home).unlink(missing_ok=True)  # of an earlier life that was killed
            serve(home, lock, configuration)
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
    since = ledger.now().astimezone().isoformat(timespec="seconds")
    lock.truncate(0)
    lock.write(json.dumps({"pid": os.getpid(), "since": since, "version": __version__}))
    lock.flush()
    return lock


def owns(home: Home, lock: IO[str]) -> bool:
    """Whether the lock we hold is still the file that others see: var/ may have been removed or replaced."""
    try:
        ours, theirs = os.fstat(lock.fileno()), home.lock.stat()
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


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


def serve(home: Home, lock: IO[str], configuration: Settings) -> None:
    """Recover, then take jobs until a signal comes, or until var/ is not ours any more."""
    stories.daemon_logging(home, foreground=bool(sys.stderr) and sys.stderr.isatty())
    recovery.set_damaged_aside(home)
    migrations.migrate(home)
    machine_id = machine.identity(home)
    _log.info("jarvisd %s started, pid %d, home %s", __version__, os.getpid(), home.root)
    recovery.recover(home, machine_id)
    supervisor = Supervisor(home, machine_id, configuration, threading.Event(), lambda: owns(home, lock))
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
    look = threading.Thread(target=_look_by_itself, args=(supervisor,), daemon=True)
    look.start()
    ready(home).touch(mode=0o600)
    consumer.run()
    ready(home).unlink(missing_ok=True)
    _log.info("jarvisd stopped")
    if not supervisor.owns():
        raise JarvisError(f"{home.var} was removed or replaced while the daemon ran", "Start it again.")


def ready(home: Home) -> Path:
    """A file that is there while the daemon takes jobs: its lock is older, from before it recovered."""
    return home.var / "jarvisd.ready"


def _look_by_itself(supervisor: Supervisor) -> None:
    """Ring for a row that is due and that no message speaks of: the end of a backoff, of a pause, a lost message."""
    pause_s = 1.0
    while not supervisor.stopping.wait(pause_s):
        try:
            if not supervisor.owns():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            queue.ring_if_silent(supervisor.machine_id)
            pause_s = 1.0 if queries.soon_due(ledger.now(), LOOK_BY_ITSELF_S) else LOOK_BY_ITSELF_S
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
        if held is not None and held["pid"] == child.pid and ready(home).exists():
            return child.pid
        if child.poll() is not None:
            if held is not None and held["pid"]:  # somebody else's daemon was quicker
                return int(str(held["pid"]))
            break
        time.sleep(0.05)
    said = (home.logs / "jarvisd.err").read_text().strip().splitlines()
    raise JarvisError("the daemon did not start", said[-1] if said else f"See {log_file(home)}.")


def stop(home: Home, timeout_s: float = 20) -> bool:
    """Ask the daemon to stop and wait until it has. False when none ran."""
    held = holder(home)
    if held is None:
        return False
    if not held["pid"]:
        raise JarvisError("a daemon runs, but its lock file does not say which process it is", "End it by hand.")
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
