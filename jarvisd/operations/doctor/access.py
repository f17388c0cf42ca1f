"""Whether the agents may read the Messages database.

macOS grants Full Disk Access to the program that started a process. A Python that may read a file in a
terminal may still be refused when launchd starts it. So launchd runs the check, as the temporary agent
org.jarvisd.probe.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jarvisd import registry
from jarvisd.host import files, machine
from jarvisd.launchd import agents, launchctl
from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home

PROBE = "org.jarvisd.probe"
#: Longest time for the check. It takes milliseconds, but does not return while macOS asks on the screen.
PATIENCE_S = 20.0
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


def _command(home: Home, messages: Path) -> list[str]:
    return [sys.executable, "-P", "-m", registry.PROBE_MESSAGES, str(messages), str(home.cache)]


def _ask_child(home: Home, messages: Path) -> dict[str, Any]:
    command = _command(home, messages)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return _no_answer(messages)
    return _answer(done.stdout) or {
        "what": f"{messages} could not be read",
        "remedy": f"`{shlex.join(command)}` shows why.",
    }


def _ask_launchd(home: Home, messages: Path) -> dict[str, Any]:
    """Have launchd run the probe once, from a file outside LaunchAgents, which launchd does not load at login."""
    home.make()
    out, plist = home.var / "probe.out", home.var / f"{PROBE}.plist"
    out.unlink(missing_ok=True)
    agent = {
        "Label": PROBE,
        "ProgramArguments": _command(home, messages),
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
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if out.exists() and (answer := _answer(out.read_text())):
            return answer
        time.sleep(0.1)
    return {}


def _no_answer(messages: Path) -> dict[str, Any]:
    what = f"reading {messages} took longer than {PATIENCE_S:.0f} s"
    return {"what": what, "remedy": "macOS may be asking for permission on the screen."}


def _answer(text: str) -> dict[str, Any]:
    """The first JSON object that the probe printed; {} where there is none."""
    for line in text.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    return {}
