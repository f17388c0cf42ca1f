"""Facts of a Mac that a measurement depends on. Never run on a Mac; tests put programs of the same names on PATH."""

from __future__ import annotations

import os
import re

from jarvisd.host import machine


def power_source() -> tuple[str | None, int | None]:
    """("mains" | "battery" | None where unknown, percent of the battery | None where there is none)."""
    output = machine.output("pmset", "-g", "batt")
    source = re.search(r"drawing from '(AC|Battery|UPS) Power'", output)
    charge = re.search(r"(\d+)%", output)
    name = None if source is None else "mains" if source[1] == "AC" else "battery"
    return name, int(charge[1]) if charge else None


def low_power_mode() -> bool | None:
    """Whether Low Power Mode is on, which slows processor and GPU. None where the Mac does not say."""
    setting = re.search(r"^\s*lowpowermode\s+(\d)", machine.output("pmset", "-g"), flags=re.M)
    return None if setting is None else setting[1] != "0"


def is_service() -> bool | None:
    """Whether launchd started this process or its daemon as an agent; a program of a terminal has the name "0"."""
    name = os.environ.get("XPC_SERVICE_NAME", "0")
    return name != "0" and not name.startswith("application.")


def password(account: str) -> str | None:
    """The password of jarvisd for this account in the login keychain; None where it has none, or is locked."""
    return machine.output("security", "find-generic-password", "-s", "jarvisd", "-a", account, "-w") or None
