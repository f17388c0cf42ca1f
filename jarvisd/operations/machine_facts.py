"""What other machines of a shared database may want to know of this one. Read by the daemon, not by `status`."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from jarvisd import registry
from jarvisd.host import machine
from jarvisd.operations import messages_probe
from jarvisd.paths import Home
from jarvisd.plan import settings

#: The Messages database of macOS.
MESSAGES = Path("~/Library/Messages/chat.db")


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
        "reads_messages": "messages" in (messages_probe.ask(home, MESSAGES.expanduser()) or {}),
    }
