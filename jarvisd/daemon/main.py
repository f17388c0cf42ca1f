"""jarvisd: take the lock, recover, run one Huey worker, stop.

Signals: SIGTERM, SIGINT and SIGHUP all mean the same: ask the running job to stop, put it back, exit with 0.
With --wait, as launchd calls it, the daemon waits for what keeps it from starting: another daemon's end, a valid
configuration. If it exited instead, launchd would start it again for ever.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

from jarvisd import __version__, failpoints, logs
from jarvisd import paths as homes
from jarvisd.daemon import recovery
from jarvisd.daemon.consumer import POLL_INTERVAL_S, Listener, OneConsumer
from jarvisd.daemon.heartbeat import Heartbeat
from jarvisd.daemon.outage import Outage
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.errors import JarvisError, OutOfReach
from jarvisd.host import lockfile
from jarvisd.operations import this_machine
from jarvisd.paths import Home
from jarvisd.plan import settings
from jarvisd.plan.settings import Settings
from jarvisd.store import database, location, migrations, queries, salvage, wakeup
from jarvisd.words import plain

_log = logging.getLogger("jarvisd")

#: Seconds between two checks whether a wait of a job is over and var/ is still there.
TICK_S = 1.0
#: With --wait, seconds between two tries to start; a change of settings.yaml is noticed sooner.
RECHECK_INTERVAL_S = 60.0


def main() -> int:
    os.umask(0o077)
    failpoints.set_role("daemon")
    options = _parser().parse_args()
    home = homes.find(options.home)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        home.make()
        with hold_lock(home, wait=options.wait) as lock:
            home.ready.unlink(missing_ok=True)  # of an earlier life that was killed
            logs.daemon_logging(home, foreground=bool(sys.stderr) and sys.stderr.isatty())
            serve(home, lock, prepare(home, patient=options.wait))
    except JarvisError as error:
        print(f"jarvisd: {plain(str(error))}", file=sys.stderr)
        return error.exit_code
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Before the consumer starts no job can be running, so exit with 0; launchd will not restart the daemon."""
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jarvisd", description="The daemon: takes submitted jobs one at a time.")
    parser.add_argument("--home", help="the folder that holds var/ and config/")
    parser.add_argument("--wait", action="store_true", help="wait for another daemon's end instead of exiting with 1")
    parser.add_argument("--version", action="version", version=f"jarvisd {__version__}")
    return parser


# -------------------------------------------------------------------------------------------------------- the lock


def hold_lock(home: Home, *, wait: bool = False) -> IO[str]:
    """Take the lock of a home, until the file is closed or the process ends. The file itself is never removed."""
    lock = lockfile.opened(home.lock)
    if not lockfile.take(lock, wait=wait):
        lock.close()
        held = lockfile.lock_holder(home) or {}
        raise JarvisError(
            f"a daemon is already running for {home.root} (pid {held.get('pid', 'unknown')}, "
            f"since {held.get('since', 'an unknown time')})",
            "`jarvisctl stop` ends it; `jarvisd --wait` waits for it.",
        )
    since = database.now().astimezone().isoformat(timespec="seconds")
    lockfile.write(lock, {"pid": os.getpid(), "since": since, "version": __version__})
    return lock


# ------------------------------------------------------------------------------------------------------- the service


def prepare(home: Home, *, patient: bool) -> Settings:
    """Read the settings and open the database. If `patient`, log an error once, and wait until it is mended.

    A server that is out of reach is waited for in any case.
    """
    logged, outage = "", _outage_at_start()
    while True:
        try:
            configuration = settings.read(home)
            if not location.server(home):  # the server looks after its own files
                salvage.mend(home)
            migrations.migrate(home, patience_s=database.LONG_PATIENCE_S)
            return configuration
        except OutOfReach as error:
            outage.outlast(error)
            continue
        except JarvisError as error:
            if not patient:
                raise
            if str(error) != logged:
                _log.error("cannot start yet: %s", error)
            logged = str(error)
        _await_change(home.config_file("settings.yaml"))


def _outage_at_start() -> Outage:
    """An outage before the consumer runs: a signal ends this process, so nothing else asks it to stop."""
    return Outage(threading.Event())


def _insist(do: Callable[[], object]) -> None:
    """Do this, again and again where the database is out of reach meanwhile."""
    outage = _outage_at_start()
    while True:
        try:
            do()
            return
        except Exception as error:
            if not outage.outlast(error):
                raise


def _await_change(path: Path) -> None:
    before, end = _version(path), time.monotonic() + RECHECK_INTERVAL_S
    while _version(path) == before and time.monotonic() < end:
        time.sleep(0.5)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        return path.stat().st_mtime_ns, path.stat().st_ino
    except OSError:
        return None


def serve(home: Home, lock: IO[str], configuration: Settings) -> None:
    """Recover, then do jobs until a signal comes, until var/ is replaced, or on demand until nothing is pending."""
    machine_id = this_machine.identity(home)
    _log.info("jarvisd %s started, pid %d, home %s", __version__, os.getpid(), home.root)
    heartbeat = Heartbeat(home, machine_id)
    _insist(heartbeat.start)
    _insist(lambda: recovery.recover(home))
    messages = wakeup.messages(machine_id)
    consumer = OneConsumer(messages.huey)
    supervisor = Supervisor(
        home, machine_id, configuration, consumer.stop_flag, lambda: lockfile.owns(home.lock, lock), heartbeat.turn
    )
    messages.on_wakeup = supervisor.work
    listener = Listener(home.var, consumer.stop_flag, heartbeat.turn)
    listener.open()
    messages.huey.storage.wait = listener.wait
    messages.huey.storage.outlast = supervisor.outlast
    home.ready.touch(mode=0o600)
    threading.Thread(target=_poll, args=(supervisor, heartbeat), daemon=True).start()
    consumer.run()
    if supervisor.outage.may_ask():
        heartbeat.stop()
    listener.close()
    home.ready.unlink(missing_ok=True)
    _log.info("jarvisd stopped")
    if not supervisor.owns():
        raise JarvisError(f"{home.var} was removed or replaced while the daemon ran", "Start it again.")


def _poll(supervisor: Supervisor, heartbeat: Heartbeat) -> None:
    """Send a wake-up message when a job is due without one: after a backoff, after a pause, after a lost message."""
    polled = busy = time.monotonic()
    failed = ""
    outage = supervisor.outage
    while not supervisor.stopping.wait(TICK_S):
        if not outage.may_ask():
            continue
        try:
            owns_home = supervisor.owns()
            busy = time.monotonic() if owns_home and _is_wanted(supervisor) else busy
            if heartbeat.beat_if_due():
                supervisor.wake_for_lost()
            idles = time.monotonic() - busy >= supervisor.settings.idle_minutes * 60
            if not owns_home or (idles and _may_end(supervisor.home)):
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if queries.wait_is_over(database.now()) or time.monotonic() - polled >= POLL_INTERVAL_S:
                wakeup.wake_if_due(supervisor.machine_id)
                polled = time.monotonic()
            failed = ""
            outage.ends()
        except Exception as error:  # the next poll may succeed, and the worker goes on meanwhile
            if outage.begins(error):
                supervisor.home.ready.touch(mode=0o600)  # it may have been about to end
                busy = time.monotonic()
                continue
            if failed != type(error).__name__:  # logged once, not once per second for as long as it lasts
                _log.warning("a poll of the queue failed: %s", type(error).__name__)
            failed = type(error).__name__
    database.db.close()


def _is_wanted(supervisor: Supervisor) -> bool:
    return supervisor.settings.daemon == "always" or queries.is_anything_open()


def _may_end(home: Home) -> bool:
    """Announce the end, then check once more: a program that submits later sees it, and starts the next daemon."""
    home.ready.unlink(missing_ok=True)
    if queries.is_anything_open():
        home.ready.touch(mode=0o600)
        return False
    _log.info("nothing is pending, and the daemon runs on demand: it ends")
    return True
