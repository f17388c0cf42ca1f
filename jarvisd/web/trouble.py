"""What the page says where something is wrong that it cannot mend. Imports no web framework."""

from __future__ import annotations

from jarvisd.store import database

BUG = "This is a bug in jarvisd; var/logs/jarvisd.log has its place."


class Unusable(Exception):
    """The database cannot be used now: it is held, damaged, or of a newer version."""


def of_database(error: Exception) -> str:
    """What is wrong with the database or the disk, in words."""
    if database.is_busy(error):
        return "The database is locked: another process holds it"
    if database.is_out_of_reach(error):
        return str(database.out_of_reach(error))
    known = database.damage(error) or database.disk_error(error)
    return known or f"The database cannot be read: {type(error).__name__}"
