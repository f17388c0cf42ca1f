"""Identify processes beyond their pid, and end whole process trees.

The processes of a job are recognised by its token: a random word in the child's command line and in its environment,
which descendants inherit unless they are given another one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

import psutil

from jarvisd import failpoints
from jarvisd.host import machine
from jarvisd.host.machine import _MB

#: The variable that carries a job's token.
TOKEN = "JARVISD_TOKEN"  # noqa: S105 - a name, and no secret: whoever may read it may as well send a signal

#: The variables that a child inherits from the daemon's environment.
_PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"),
    "XPC_SERVICE_NAME",  # whether launchd runs the daemon, which a measurement depends on
    *(failpoints.AT, failpoints.ONCE),
    "PYTHONPATH",  # kinds that the daemon imported through it must be importable in the child, too
    *("OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS"),
)


def started_at(pid: int) -> float:
    """Start time of a process in seconds since 1970, or 0.0 where there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def is_same(pid: int, token: str) -> bool | None:
    """Whether `pid` is still the child with that token: a pid may be reused, and the clock may be set.

    None: the process is alive, but its command line cannot be read.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and token in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    except psutil.AccessDenied:
        return None


def processes_with_token(token: str) -> list[psutil.Process]:
    """Every process whose environment has the token, including those that started a session of their own."""
    carriers = []
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):  # it has ended, or belongs to another user
            if pid != os.getpid() and _carries(pid, token):
                carriers.append(psutil.Process(pid))
    return carriers


def _carries(pid: int, token: str) -> bool:
    """Whether the environment of a process holds the token. Raises psutil.Error or OSError where it cannot be read."""
    if sys.platform == "linux":  # four times as fast as psutil, and each job needs it twice for every process
        return f"{TOKEN}={token}".encode() in _bytes_of(f"/proc/{pid}/environ").split(b"\0")
    return bool(psutil.Process(pid).environ().get(TOKEN) == token)


def _bytes_of(path: str) -> bytes:
    """A file of /proc, without the buffers of `open`, which take longer than to read it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 17):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants, including those that left its process group."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def group(pgid: int) -> list[psutil.Process]:
    """The living processes of a process group."""
    return [process for process in psutil.process_iter() if _group_of(process) == pgid and _lives(process)]


def end_tree(pid: int, token: str, grace_s: float) -> None:
    """End the group of `pid`, its descendants and every process with the token: SIGTERM, `grace_s` seconds, SIGKILL.

    A process escapes only if it left both the group and the tree, and removed the token from its environment. The
    child is not reaped here: its Popen reads the exit code.
    """
    members = _members(pid, token)
    _signal(pid, members, signal.SIGTERM)
    _signal(pid, members, signal.SIGCONT)  # a stopped process cannot end
    _wait(members, grace_s)
    left = [process for process in _members(pid, token) if _lives(process)]
    if left:
        _signal(pid, left, signal.SIGKILL)
        _wait(left, 5)


def end_processes_with_token(token: str) -> int:
    """End the processes with the token of a child that has ended; return their number."""
    processes = [process for process in processes_with_token(token) if _lives(process)]
    for process in processes:
        kill(process)
    _wait(processes, 5)
    return len(processes)


def _members(pid: int, token: str) -> list[psutil.Process]:
    return list({process.pid: process for process in (*tree(pid), *group(pid), *processes_with_token(token))}.values())


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):  # it has ended already
        process.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None


def _signal(pgid: int, members: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal the group once, and each member outside it once: to a program a second signal may mean something else."""
    outside = [process for process in members if _group_of(process) != pgid]
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group has ended; others may not
        os.killpg(pgid, number)
    for process in outside:
        with contextlib.suppress(psutil.Error):  # psutil refuses a reused pid
            process.send_signal(number)


def _wait(members: Iterable[psutil.Process], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while any(_lives(process) for process in members) and time.monotonic() < end:
        time.sleep(0.02)


def child_environment() -> dict[str, str]:
    """The environment of every job's process: minimal, and without network access for model libraries."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
    return environment


def tree_use(pid: int) -> tuple[int, float]:
    """Memory of a process and its descendants, in MB, and the CPU seconds of these and their ended children."""
    import psutil

    memory, cpu_s = 0, 0.0
    for process in tree(pid):
        try:
            memory += _memory(process)
            cpu_s += sum(process.cpu_times()[:4])  # user, system, and both of its children that were waited for
        except psutil.Error:
            continue
    return int(memory // _MB), cpu_s


def _memory(process: psutil.Process) -> int:
    """Bytes that the end of a process frees: PSS on Linux, which counts shared pages once; the footprint on macOS."""
    if machine.MACOS:
        return footprint(process.pid) or int(process.memory_info().rss)
    info = process.memory_full_info()
    return int(getattr(info, "pss", 0) or info.rss)


def footprint(pid: int, library: str = "/usr/lib/libproc.dylib") -> int:
    """Bytes that macOS charges to a process: with compressed and GPU pages, which RSS leaves out. 0 where unknown.

    proc_pid_rusage fills a rusage_info_v0 of <sys/resource.h>; ri_phys_footprint is the eighth number behind its uuid.
    """
    import ctypes

    usage = (ctypes.c_uint64 * 12)()  # 16 bytes of uuid, then ten numbers
    try:
        failed = ctypes.CDLL(library).proc_pid_rusage(pid, 0, ctypes.byref(usage))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else int(usage[9])
