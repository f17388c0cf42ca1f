"""What other machines of a shared database may want to know of this one. Read by the daemon, not by `status`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from jarvisd import registry
from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.plan import settings

#: The Messages database of macOS, and how long a program gets to read it, in seconds.
MESSAGES = Path("~/Library/Messages/chat.db")
PROBE_S = 20.0


def called(home: Home) -> str:
    """What people call this computer: settings.yaml says it, else it is the name of the host."""
    return settings.read(home).machine or platform.node().partition(".")[0] or "machine"


def read(home: Home) -> dict[str, Any]:
    """What other machines may want to know of this one; see `jarvisd.store.models.Machine`."""
    memory_mb, margin_mb = machine.total_mb(), settings.read(home).memory.margin_mb
    return {
        "chip": machine.describe()["chip"],
        "memory_mb": memory_mb,
        "largest_job_mb": memory_mb - margin_mb,
        "models": registry.load(registry.MODELS_HERE)(home),
        "reads_messages": _reads_messages(home),
    }


def _reads_messages(home: Home) -> bool:
    """Whether this machine's Messages database can be read, asked of a child: on macOS the read may hang."""
    command = [sys.executable, "-P", "-m", registry.PROBE_MESSAGES, str(MESSAGES.expanduser()), str(home.cache)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, stdin=subprocess.DEVNULL, check=False
        )
        return "messages" in json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
