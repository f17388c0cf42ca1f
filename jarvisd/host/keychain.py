"""Passwords that this computer's owner has given to the system to keep."""

from __future__ import annotations

from jarvisd.host import linux, mac, machine


def password(account: str) -> str | None:
    """The password of jarvisd for this account, such as jarvis@hub.local; None where there is none."""
    kept: str | None = (mac if machine.MACOS else linux).password(account)
    return kept
