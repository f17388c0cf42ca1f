"""Which database is in force: the file in var/, or the server that settings.yaml names."""

from __future__ import annotations

from jarvisd import registry
from jarvisd.paths import Home


def server(home: Home) -> str:
    """The address of the database server; "" for the file. Raises PlanError for settings that cannot be used.

    The settings are parsed only where they name a database: that takes longer than all the rest of `status`.
    """
    if not lines(home):
        return ""
    return str(registry.load(registry.READ_SETTINGS)(home).database or "")


def lines(home: Home) -> list[str]:
    """The lines of settings.yaml that may be about a server; none in most homes."""
    try:
        text = home.config_file("settings.yaml").read_bytes()
    except OSError:
        return []
    if b"database" not in text:
        return []
    each = text.decode(errors="replace").splitlines()
    return [line for line in each if "database" in line and not line.lstrip().startswith("#")]
