"""Starts and stops the daemon: by launchd where its agent is installed, else in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from jarvisd.errors import JarvisError
from jarvisd.host.lockfile import lock_holder
from jarvisd.launchd import agents, launchctl
from jarvisd.operations import daemon_state
from jarvisd.paths import Home

#: Longest time from a start until the daemon takes jobs: it may have to end processes of an earlier daemon.
START_S = 20.0
#: Longest time from SIGTERM until it has put its job back.
STOP_S = 20.0
POLL_INTERVAL_S = 0.05


def start(home: Home) -> int:
    """Start the daemon unless it runs. Returns its pid once it takes jobs. Raises JarvisError."""
    from jarvisd.plan import settings

    settings.read(home)  # with wrong settings the daemon waits, and says so only in its log
    if launchctl.serves(home) and launchctl.has_session():
        return _start_by_launchd(home)
    return start_in_background(home)


def _start_by_launchd(home: Home) -> int:
    """Ask again every second: for launchd a daemon that has given up its lock, but not yet ended, still runs."""
    end = time.monotonic() + START_S
    while True:
        launchctl.start()
        try:
            return _await(home, 1.0, None)
        except JarvisError:
            if time.monotonic() >= end:
                raise


def ensure_running(home: Home) -> None:
    """Start the daemon unless one takes jobs. A daemon that is about to end has removed its `ready` file."""
    end = time.monotonic() + STOP_S
    while time.monotonic() < end:
        if lock_holder(home) is None:
            start(home)
            return
        if home.ready.exists():
            return
        time.sleep(POLL_INTERVAL_S)
    raise JarvisError("the daemon runs, but takes no jobs yet", f"{home.logs / 'jarvisd.log'} says why.")


def start_for_job(home: Home, *, always: bool = False) -> JarvisError | None:
    """A job was queued: start the daemon if it runs on demand, or `always`. Returns the error that prevents it."""
    try:
        if always or daemon_state.is_idle_on_demand(home):
            ensure_running(home)
    except JarvisError as error:
        return error
    return None


def start_in_background(home: Home, timeout_s: float = START_S) -> int:
    """Start a daemon that outlives the caller; returns its pid once it takes jobs."""
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
    return _await(home, timeout_s, child)


def _await(home: Home, timeout_s: float, child: subprocess.Popen[bytes] | None) -> int:
    """The pid of the daemon, once it takes jobs: any of launchd's, or `child`, or one that was quicker than it."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        held = lock_holder(home)
        expected = held is not None and (child is None or held["pid"] == child.pid)
        if held is not None and expected and home.ready.exists():
            return int(str(held["pid"]))
        if child is not None and child.poll() is not None:
            if held is not None and held["pid"]:
                return int(str(held["pid"]))
            break
        time.sleep(POLL_INTERVAL_S)
    log = home.logs / "jarvisd.err" if child else agents.logs() / "daemon.err.log"
    lines = log.read_text().strip().splitlines() if log.exists() else []
    raise JarvisError("the daemon did not start", lines[-1] if lines else f"See {home.logs / 'jarvisd.log'}.")


def stop(home: Home) -> bool:
    """Ask the daemon to stop and wait until it has. False when none ran."""
    held = lock_holder(home)
    if launchctl.serves(home):
        launchctl.stop()  # it may be the holder, or wait for one that was started by hand
    if held is None:
        return False
    if not held["pid"]:
        raise JarvisError("a daemon runs, but its lock file does not say which process it is", "End it by hand.")
    try:
        os.kill(int(str(held["pid"])), signal.SIGTERM)
    except ProcessLookupError:
        return True
    end = time.monotonic() + STOP_S
    while time.monotonic() < end:
        now = lock_holder(home)
        if now is None or now["pid"] != held["pid"]:
            return True
        time.sleep(POLL_INTERVAL_S)
    raise JarvisError(
        f"the daemon (pid {held['pid']}) did not stop within {STOP_S:.0f} s", f"See {home.logs / 'jarvisd.log'}."
    )
