"""The name of this computer, also where var/machine-id was lost: the database remembers the name that was paused."""

from __future__ import annotations

from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.store import queries


def identity(home: Home) -> str:
    """The name of this computer; a lost one is written again, so that its pause holds. The database is open."""
    return machine.known_identity(home) or machine.identity(home, queries.last_paused())


def known_identity(home: Home) -> str | None:
    """The name of this computer, or None where it has none yet. Writes nothing. The database is open."""
    return machine.known_identity(home) or queries.last_paused()
