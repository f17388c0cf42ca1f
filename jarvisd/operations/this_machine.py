"""This computer: its id, also where var/machine-id was lost, and what a shared database says of it.

A database of one computer remembers the id that was paused.
"""

from __future__ import annotations

from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.store import database, location, queries


def identity(home: Home) -> str:
    """The id of this computer; a lost one is written again, so that its pause holds. The database is open."""
    return machine.known_identity(home) or machine.identity(home, _remembered())


def known_identity(home: Home) -> str | None:
    """The id of this computer, or None where it has none yet. Writes nothing. The database is open."""
    return machine.known_identity(home) or _remembered()


def _remembered() -> str | None:
    """The id that was paused. In a shared database it may be another computer's."""
    return None if database.is_shared() else queries.last_paused()


def submitter(home: Home) -> str | None:
    """The id of this computer where it shares the database with others, which is opened then; else None."""
    if not database.is_shared():
        if not location.server(home):
            return None
        from jarvisd.store import migrations  # late: what is submitted to a file opens it when it is stored

        migrations.migrate(home)
    return identity(home)
