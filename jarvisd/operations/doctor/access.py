"""Whether the agents may read the Messages database.

macOS grants Full Disk Access to the program that started a process. A Python that may read a file in a
terminal may still be refused when launchd starts it. So launchd runs the check, as the temporary agent
org.jarvisd.probe.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from jarvisd.host import files, machine
from jarvisd.launchd import agents, launchctl
from jarvisd.operations import messages_probe
from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home

PROBE = "org.jarvisd.probe"
NAME = "messages"


def check(home: Home, messages: Path) -> Check:
    """Whether the jobs will be able to read the Messages database tonight."""
    by_launchd = machine.MACOS and launchctl.has_session()
    answer = _ask_launchd(home, messages) if by_launchd and not _is_missing(messages) else _ask_child(home, messages)
    if (count := answer.get("messages")) is not None:
        holds = f"{messages} holds {count:,} messages"
        if machine.MACOS and not by_launchd:
            return warning(
                NAME, f"{holds}, read from here, not by launchd", "Run this at the Mac itself, not over ssh."
            )
        return ok(NAME, holds)
    if not by_launchd or _is_missing(messages):
        return problem(NAME, answer["what"], answer["remedy"])
    return problem(NAME, f"launchd's jarvisd cannot read Messages: {answer['what']}", f"{answer['remedy']} {_steps()}")


def _is_missing(messages: Path) -> bool:
    """Whether there is no such file. False where macOS does not allow the check."""
    try:
        messages.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _steps() -> str:
    """How to grant Full Disk Access. macOS remembers the binary behind every link, so that one is named."""
    running = _running()
    also = f", and {running}" if running != agents.python() else ""
    return (
        "If macOS refuses it: System Settings > Privacy & Security > Full Disk Access > + > (Cmd-Shift-G) "
        f"{agents.python()}{also}; then `jarvisctl restart`."
    )


def _running() -> Path:
    """The file that really runs: a framework Python is a stub that starts Python.app inside it."""
    import psutil

    try:
        return Path(psutil.Process().exe())
    except psutil.Error:
        return agents.python()


def _ask_child(home: Home, messages: Path) -> dict[str, Any]:
    answer = messages_probe.ask(home, messages)
    if answer is None:
        return _no_answer(messages)
    return answer or {
        "what": f"{messages} could not be read",
        "remedy": f"`{shlex.join(messages_probe.command(home, messages))}` shows why.",
    }


def _ask_launchd(home: Home, messages: Path) -> dict[str, Any]:
    """Have launchd run the probe once, from a file outside LaunchAgents, which launchd does not load at login."""
    home.make()
    out, plist = home.var / "probe.out", home.var / f"{PROBE}.plist"
    out.unlink(missing_ok=True)
    agent = {
        "Label": PROBE,
        "ProgramArguments": messages_probe.command(home, messages),
        "RunAtLoad": True,
        "EnvironmentVariables": {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        "StandardOutPath": str(out),
        "StandardErrorPath": str(out),
    }
    files.replace(plist, agents.write(agent))
    launchctl.launchctl("bootout", launchctl.target(PROBE))
    done = launchctl.launchctl("bootstrap", launchctl.domain(), str(plist))
    try:
        if done.returncode:
            message = f"launchd does not start the check: {launchctl.complaint(done)}"
            return {"what": message, "remedy": "Run `jarvisctl install` again."}
        return _wait_for(out) or _no_answer(messages)
    finally:
        launchctl.launchctl("bootout", launchctl.target(PROBE))
        plist.unlink(missing_ok=True)
        out.unlink(missing_ok=True)


def _wait_for(out: Path) -> dict[str, Any]:
    end = time.monotonic() + messages_probe.PATIENCE_S
    while time.monotonic() < end:
        if out.exists() and (answer := messages_probe.answer(out.read_text())):
            return answer
        time.sleep(0.1)
    return {}


def _no_answer(messages: Path) -> dict[str, Any]:
    what = f"reading {messages} took longer than {messages_probe.PATIENCE_S:.0f} s"
    return {"what": what, "remedy": "macOS may be asking for permission on the screen."}
