"""Named points at which a test ends a process as `kill -9` or a power cut would. In service they do nothing.

    JARVISD_CRASH_AT=daemon:claim.committed,child:piece.committed:3   # process, point, and at which time it is reached
    JARVISD_CRASH_ONCE=/tmp/crashed                   # a folder with a file for each that was reached: once is enough

The list is what the tests walk, and `point` is called for no name that it lacks: a test reads the source for that.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

AT, ONCE = "JARVISD_CRASH_AT", "JARVISD_CRASH_ONCE"

#: In the order of a night: submission, claim, child, work, report, settling, and what a restart does.
POINTS = (
    "client:migrate.before-commit",
    "client:migrate.committed",
    "client:replace.before-flush",
    "client:replace.before-rename",
    "client:replace.after-rename",
    "client:submit.rows-stored",
    "client:submit.before-commit",
    "client:submit.committed",
    "daemon:ring.taken",
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
    "daemon:child.let-go",
    "child:attempt.begun",
    "child:piece.before-commit",
    "child:piece.committed",
    "child:progress.before-commit",
    "child:progress.committed",
    "child:outcome.before-commit",
    "child:outcome.committed",
    "daemon:child.ended",
    "daemon:tree.ended",
    "daemon:settle.before-commit",
    "daemon:settle.committed",
    "daemon:settle.told",
    "child:replace.before-flush",
    "child:replace.before-rename",
    "child:replace.after-rename",
    "daemon:round.proposed",
    "daemon:round.stored",
    "daemon:requeue.before-commit",
    "daemon:requeue.committed",
    "daemon:recovery.begun",
    "daemon:recovery.orphan-ended",
    "daemon:recovery.told",
    "daemon:recovery.put-back",
    "daemon:recovery.rung",
)

_role = ""
_wanted = frozenset(os.environ.get(AT, "").split(",")) - {""}
_times: dict[str, int] = {}


def set_role(role: str) -> None:
    """Say which process this is: "client", "daemon" or "child". Each program's `main` does, however it was started."""
    global _role
    _role = role


def failpoint(name: str) -> None:
    """Die here, if that is wanted."""
    if not _wanted:
        return
    here = f"{_role}:{name}"
    _times[name] = _times.get(name, 0) + 1
    for reached in _wanted & {here, f"{here}:{_times[name]}"}:
        if _first(reached):
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # until it arrives


def _first(reached: str) -> bool:
    """Whether nobody has crashed there before; without a folder to tell, everybody does."""
    if ONCE not in os.environ:
        return True
    try:
        os.close(os.open(Path(os.environ[ONCE]) / reached, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
