"""The program that says whether the Messages database can be read, as a child: on macOS the read may not return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from jarvisd import registry
from jarvisd.paths import Home

#: Longest time for the check, in seconds. It takes milliseconds, but does not return while macOS asks on the screen.
PATIENCE_S = 20.0


def command(home: Home, messages: Path) -> list[str]:
    """What checks the database at that path. It prints a JSON object: {"messages": N}, or {"what", "remedy"}."""
    return [sys.executable, "-P", "-m", registry.PROBE_MESSAGES, str(messages), str(home.cache)]


def answer(text: str) -> dict[str, Any]:
    """The first JSON object that the program printed; {} where there is none."""
    for line in text.splitlines():
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            return parsed
    return {}


def ask(home: Home, messages: Path) -> dict[str, Any] | None:
    """Its answer; {} where it gave none or could not be started, None where it did not end within PATIENCE_S."""
    words = command(home, messages)
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    except OSError:  # no process or no memory is left: a heartbeat goes on without this fact
        return {}
    return answer(done.stdout)
