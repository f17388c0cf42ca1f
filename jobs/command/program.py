"""Start one program and wait for it; its exit status decides.

It imports nothing but what Python has loaded anyway, so that a command starts within milliseconds; the reason is
`worker/light.py` of the queue. `subprocess` alone would take as long as everything else together.
"""

from __future__ import annotations

import _thread
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

#: The variable by which the queue finds the processes of this job.
TOKEN = "JARVISD_TOKEN"  # noqa: S105 - a name, and no secret
#: Seconds that a program gets to end after it was asked to stop; the daemon gives the whole job 10.
STOP_GRACE_S = 6.0
#: Seconds between two checks whether the job was asked to stop. The end of the program is noticed at once.
_CHECK_S = 0.2
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25


class CannotStart(Exception):
    """Why the program cannot be started, and what to do about it."""


def run(params: Mapping[str, Any], asked_to_stop: Callable[[], bool]) -> dict[str, Any]:
    """Run `params["program"]` in this process group. Returns "ok", "reason" and "summary", the fields of an Outcome."""
    try:
        pid = _start(params["program"], params["cwd"], _environment(params["env"]))
    except CannotStart as error:
        return {"ok": False, "reason": str(error), "summary": {}}
    code = _wait(pid, asked_to_stop)
    if asked_to_stop():
        # Many programs exit with 0 when they are asked to stop, without having finished their work.
        return {"ok": False, "reason": "asked to stop", "summary": {"exit_status": code}}
    return {"ok": code == 0, "reason": _reason(code), "summary": {"exit_status": code}}


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """The variables stored at submission, and the token."""
    return dict(given) | {name: os.environ[name] for name in (TOKEN,) if name in os.environ}


def _start(program: list[str], cwd: str, env: dict[str, str]) -> int:
    """The pid of the program, started in the folder `cwd`. Raises CannotStart."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(cwd)
        return _spawn(program, env)
    except FileNotFoundError as error:
        missing = "folder" if error.filename == cwd else "program"
        name = cwd if missing == "folder" else program[0]
        raise CannotStart(f"no such {missing}: {name}. Check its name and PATH.") from None
    except OSError as error:
        what = f"{program[0]} cannot be started: {error.strerror}"
        raise CannotStart(f"{what}. Check that it is executable.") from None
    finally:
        os.fchdir(here)
        os.close(here)


def _spawn(program: list[str], env: dict[str, str]) -> int:
    """The pid of the program, looked up in the PATH of its own environment. Raises OSError as `subprocess` would."""
    name = program[0]
    folders = [] if "/" in name else env.get("PATH", os.defpath).split(":")
    refused: OSError | None = None
    for path in [os.path.join(folder, name) for folder in folders] or [name]:
        try:
            # Python ignores these two signals; a program must not.
            return os.posix_spawn(path, program, env, setsigdef=[_SIGPIPE, _SIGXFSZ])
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            refused = refused or error
    raise refused or FileNotFoundError(2, "No such file or directory", name)


def _wait(pid: int, asked_to_stop: Callable[[], bool]) -> int:
    """The exit code of the program. When this job is asked to stop, the program got the same signal; give it time."""
    statuses: list[int] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def reap() -> None:
        statuses.append(os.waitpid(pid, 0)[1])
        ended.release()

    _thread.start_new_thread(reap, ())
    while not ended.acquire(timeout=_CHECK_S):
        if asked_to_stop():
            if not ended.acquire(timeout=STOP_GRACE_S):
                os.kill(pid, _SIGKILL)
                ended.acquire()
            break
    return os.waitstatus_to_exitcode(statuses[0])


def _reason(code: int) -> str:
    """Why the job failed, from the exit code of its program; "" where it did not."""
    if code >= 0:
        return f"exit status {code}" if code else ""
    import signal  # late: it takes longer than all the rest here

    return f"ended by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"ended by signal {-code}"
