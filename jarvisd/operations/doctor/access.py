"""May the agents read Messages? Asked in launchd's own context: from a terminal it is the terminal that is asked about.

macOS gives Full Disk Access to a program file. What a terminal may read says nothing of what the same Python may read
when launchd starts it. So an agent of a moment, org.jarvisd.probe, looks for us, and is removed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jarvisd.host import files, machine
from jarvisd.launchd import agents, launchctl
from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home

PROBE = "org.jarvisd.probe"
#: A look takes milliseconds; one that waits for an answer on the screen does not return.
PATIENCE_S = 20.0
NAME = "messages"


def check(home: Home, messages: Path) -> Check:
    """Whether the jobs will be able to read the Messages database tonight."""
    if _is_missing(messages):
        what = f"there is no Messages database at {messages}"
        return problem(NAME, what, "Name it with `messages:` in the plan; on a Mac it is ~/Library/Messages/chat.db.")
    by_launchd = machine.MACOS and launchctl.has_session()
    found = _by_launchd(home, messages) if by_launchd else _by_child(messages)
    if (count := found.get("messages")) is not None:
        said = f"{messages} holds {count:,} messages"
        if machine.MACOS and not by_launchd:
            return warning(NAME, f"{said}, read from here, not by launchd", "Run this at the Mac itself, not over ssh.")
        return ok(NAME, said)
    if not machine.MACOS:
        return problem(
            NAME, f"{messages} cannot be read ({found['error']})", "Name another with `messages:` in the plan."
        )
    return problem(NAME, f"launchd's jarvisd may not read {messages} ({found['error']})", _steps())


def _is_missing(messages: Path) -> bool:
    """Whether it is surely not there. Where macOS lets nobody look, that is another problem."""
    try:
        messages.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _steps() -> str:
    """What the owner clicks. The binary is the one behind every link, which is what macOS remembers."""
    running = _running()
    also = f", and {running}" if running != agents.python() else ""
    return (
        "System Settings > Privacy & Security > Full Disk Access > + > (Cmd-Shift-G) "
        f"{agents.python()}{also}; then `jarvisctl restart`."
    )


def _running() -> Path:
    """The file that really runs: a framework Python is a stub that starts Python.app inside it."""
    import psutil

    try:
        return Path(psutil.Process().exe())
    except psutil.Error:
        return agents.python()


def _words(messages: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "jarvisd.operations.doctor.look", str(messages)]


def _by_child(messages: Path) -> dict[str, Any]:
    command = _words(messages)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PATIENCE_S:.0f} s"}
    return _answer(done.stdout) or {"error": "the look at it failed"}


def _by_launchd(home: Home, messages: Path) -> dict[str, Any]:
    """Have launchd start the look, from a file that lies outside LaunchAgents, so that it is never started again."""
    home.make()
    out, plist = home.var / "probe.out", home.var / f"{PROBE}.plist"
    out.unlink(missing_ok=True)
    agent = {
        "Label": PROBE,
        "ProgramArguments": _words(messages),
        "RunAtLoad": True,
        "EnvironmentVariables": {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        "StandardOutPath": str(out),
        "StandardErrorPath": str(out),
    }
    files.replace(plist, agents.write(agent))
    launchctl.launchctl("bootout", launchctl.target(PROBE))
    done = launchctl.launchctl("bootstrap", launchctl.domain(), str(plist))
    try:
        return _wait_for(out) if not done.returncode else {"error": launchctl.complaint(done)}
    finally:
        launchctl.launchctl("bootout", launchctl.target(PROBE))
        plist.unlink(missing_ok=True)
        out.unlink(missing_ok=True)


def _wait_for(out: Path) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if out.exists() and (found := _answer(out.read_text())):
            return found
        time.sleep(0.1)
    return {"error": f"no answer within {PATIENCE_S:.0f} s; macOS may be asking on the screen"}


def _answer(text: str) -> dict[str, Any]:
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}
