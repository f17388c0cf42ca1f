"""Facts of a Linux computer that a measurement depends on."""

from __future__ import annotations

from pathlib import Path

#: The kernel's setting of how much power the computer may use.
PROFILE = Path("/sys/firmware/acpi/platform_profile")


def power_source() -> tuple[str | None, int | None]:
    """("mains" | "battery" | None where unknown, percent of the battery | None where there is none)."""
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None:
        return None, None
    return {True: "mains", False: "battery"}.get(battery.power_plugged), int(battery.percent)


def low_power_mode() -> bool | None:
    """Whether the computer saves power at the cost of speed. None where it does not say."""
    try:
        return PROFILE.read_text().strip() == "low-power"
    except OSError:
        return None


def is_service() -> bool | None:
    """Whether launchd started this process: there is none here."""
    return None


def password(_account: str) -> str | None:
    """None: there is no keychain here that every computer has."""
    return None
