"""Any program as a job. It runs without a shell; its output is the job's log."""

from __future__ import annotations

import os
import signal
import subprocess

from jarvisd.plugin import TOKEN, JobContext, JobFailed, Outcome

#: Seconds that a program gets to end after it was asked to stop; the daemon gives the whole job 10.
_STOP_GRACE_S = 6.0


def run(context: JobContext) -> Outcome:
    """Start the program in this job's process group and wait for it; its exit status decides."""
    program: list[str] = context.params["program"]
    try:
        child = subprocess.Popen(
            program, stdin=subprocess.DEVNULL, cwd=context.params["cwd"], env=_environment(context.params["env"])
        )
    except FileNotFoundError as error:
        missing = "folder" if error.filename == context.params["cwd"] else "program"
        raise JobFailed(f"no such {missing}: {error.filename}", "Check its name and PATH.") from None
    except OSError as error:
        raise JobFailed(f"{program[0]} cannot be started: {error.strerror}", "Check that it is executable.") from None
    code = _wait(context, child)
    if context.should_stop():
        # Many programs exit with 0 when they are asked to stop, without having finished their work.
        return Outcome(ok=False, reason="asked to stop", summary={"exit_status": code})
    return _outcome(code)


def _environment(given: dict[str, str]) -> dict[str, str]:
    """The variables stored at submission, and the token by which the queue finds the processes of this job."""
    return given | {name: os.environ[name] for name in (TOKEN,) if name in os.environ}


def _wait(context: JobContext, child: subprocess.Popen[bytes]) -> int:
    """Wait for the program. When this job is asked to stop, the program got the same signal; give it time."""
    while True:
        try:
            return child.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            if context.should_stop():
                break
    try:
        return child.wait(timeout=_STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        os.kill(child.pid, signal.SIGKILL)
        return child.wait()


def _outcome(code: int) -> Outcome:
    if code == 0:
        return Outcome(summary={"exit_status": 0})
    if code > 0:
        return Outcome(ok=False, reason=f"exit status {code}", summary={"exit_status": code})
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return Outcome(ok=False, reason=f"ended by {name}", summary={"exit_status": code})
