"""Processes: who they are beyond a pid, and how a whole tree is ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

import psutil

#: A process's start time follows the system clock on some systems, so a small difference proves nothing.
START_TOLERANCE_S = 2.0


def started_at(pid: int) -> float:
    """Start time of a process in seconds since 1970, or 0.0 where there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def is_same(pid: int, started: float, token: str) -> bool | None:
    """Whether `pid` is still the child that was started then with that token in its command line.

    None means that nobody can tell: it is alive and its command line cannot be read.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if abs(process.create_time() - started) > START_TOLERANCE_S:
            return False
        return token in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything below it, also what left its process group."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def group(pgid: int) -> list[psutil.Process]:
    """What is left of a process group, zombies aside."""
    left = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pgid and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except (OSError, psutil.Error):
            continue
    return left


def end_tree(pid: int, grace_s: float) -> None:
    """End the group that `pid` leads and everything below it: SIGTERM, `grace_s` seconds, SIGKILL.

    A grandchild that made a session of its own is reached as long as its parent chain is intact when we look.
    """
    members = {process.pid: process for process in (*tree(pid), *group(pid))}
    _signal_all(pid, members.values(), signal.SIGTERM)
    _, alive = psutil.wait_procs(list(members.values()), timeout=grace_s)
    alive = [process for process in alive if _lives(process)]
    late = {process.pid: process for process in (*alive, *group(pid))}
    for process in list(late.values()):
        late |= {below.pid: below for below in tree(process.pid)}
    if late:
        _signal_all(pid, late.values(), signal.SIGKILL)
        psutil.wait_procs(list(late.values()), timeout=5)


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):  # it was quicker
        process.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal_all(pgid: int, members: Iterable[psutil.Process], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone; its members may not be
        os.killpg(pgid, number)
    for process in members:
        try:
            process.send_signal(number)  # psutil refuses a reused pid
            if number is signal.SIGTERM:
                process.send_signal(signal.SIGCONT)  # a stopped process cannot end
        except psutil.Error:
            continue
