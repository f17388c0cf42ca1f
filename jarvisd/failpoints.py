"""Named points at which a test ends a process as `kill -9` or a power cut would. In service they do nothing.

    JARVISD_CRASH_AT=daemon:claim.committed,child:checkpoint.committed:3    # process, point, and at which visit
    JARVISD_CRASH_ONCE=/tmp/crashed      # a folder: each point that was reached gets a file there and fires once

The tests walk this list. `failpoint` is called for these names only, which a test checks in the source.
"""

from __future__ import annotations

import os

AT, ONCE = "JARVISD_CRASH_AT", "JARVISD_CRASH_ONCE"

#: In the order of a night: submission, claim, child, work, report, end of a job, restart of the daemon.
POINTS = (
    "client:migrate.before-commit",
    "client:migrate.committed",
    "client:replace.before-flush",
    "client:replace.before-rename",
    "client:replace.after-rename",
    "client:submit.rows-stored",
    "client:submit.before-commit",
    "client:submit.committed",
    "daemon:wakeup.received",
    "daemon:claim.before-commit",
    "daemon:claim.committed",
    "daemon:begin.folder-made",
    "daemon:replace.before-flush",
    "daemon:replace.before-rename",
    "daemon:replace.after-rename",
    "daemon:link.before-rename",
    "daemon:link.after-rename",
    "daemon:child.before-start",
    "daemon:child.started",
    "daemon:child.recorded",
    "daemon:child.released",
    "child:attempt.begun",
    "child:checkpoint.before-commit",
    "child:checkpoint.committed",
    "child:progress.before-commit",
    "child:progress.committed",
    "child:outcome.before-commit",
    "child:outcome.committed",
    "daemon:child.ended",
    "daemon:tree.ended",
    "daemon:settle.before-commit",
    "daemon:settle.committed",
    "daemon:settle.logged",
    "child:replace.before-flush",
    "child:replace.before-rename",
    "child:replace.after-rename",
    "daemon:round.proposed",
    "daemon:round.stored",
    "daemon:requeue.before-commit",
    "daemon:requeue.committed",
    "daemon:recovery.begun",
    "daemon:recovery.orphan-ended",
    "daemon:recovery.logged",
    "daemon:recovery.put-back",
    "daemon:recovery.woken",
)

_role = ""
_wanted = frozenset(os.environ.get(AT, "").split(",")) - {""}
_times: dict[str, int] = {}


def set_role(role: str) -> None:
    """Say which process this is: "client", "daemon" or "child". Each program's `main` does, however it was started."""
    global _role
    _role = role


def role() -> str:
    return _role


def failpoint(name: str) -> None:
    """End this process here if JARVISD_CRASH_AT names this point."""
    if not _wanted:
        return
    here = f"{_role}:{name}"
    _times[name] = _times.get(name, 0) + 1
    for reached in _wanted & {here, f"{here}:{_times[name]}"}:
        if _first(reached):
            import signal  # late: the child of a command starts without it

            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # until it arrives


def _first(reached: str) -> bool:
    """Whether no process has ended here before. Without the folder of JARVISD_CRASH_ONCE every process does."""
    if ONCE not in os.environ:
        return True
    try:
        os.close(os.open(os.path.join(os.environ[ONCE], reached), os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
