"""`python -m jarvisd.daemon.notifier HOME RUN SECONDS PROGRAM ARG…`: run the user's program, and end it in time.

A process of its own, so that the next job need not wait for the program, and that the program is ended in time although
the daemon was stopped meanwhile. The run's status, as JSON, goes from standard input to the program's.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from jarvisd import logs
from jarvisd.operations import notification
from jarvisd.paths import Home

_log = logging.getLogger("jarvisd.daemon.notifier")


def start(
    home: Home, run_id: str, command: tuple[str, ...], timeout_s: float, document: bytes
) -> subprocess.Popen[bytes]:
    """Start this module, which reads the document and then needs its caller no more."""
    words = [sys.executable, "-P", "-m", __name__, str(home.root), run_id, str(timeout_s), *command]
    notifier = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home.root,
        start_new_session=True,
    )
    if notifier.stdin is not None:
        notifier.stdin.write(document)
        notifier.stdin.close()
    return notifier


def main(words: list[str]) -> None:
    os.umask(0o077)
    document = sys.stdin.buffer.read()
    root, run_id, timeout_s, *command = words
    home = Home(Path(root), "--home")
    logs.daemon_logging(home, foreground=False, is_daemon=False)
    with notification.alone(home, command[0], run_id):
        _run(home, command, float(timeout_s), document)


def _run(home: Home, command: list[str], timeout_s: float, document: bytes) -> None:
    """Without a shell. What the program itself has started is ended with it after `timeout_s`."""
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=home.root,
            start_new_session=True,
        )
    except OSError as error:
        _log.warning("notify: %s cannot be started: %s", command[0], error.strerror)
        return
    try:
        program.communicate(document, timeout=timeout_s)
        _log.info("notify: %s ended with %s", command[0], program.returncode)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        program.communicate()
        _log.warning("notify: %s took longer than %g s and was ended", command[0], timeout_s)


if __name__ == "__main__":
    main(sys.argv[1:])
