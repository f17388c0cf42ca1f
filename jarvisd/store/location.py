"""Which database is in force: the file in var/, or the server that settings.yaml names."""

from __future__ import annotations

from jarvisd import registry
from jarvisd.paths import Home


def server(home: Home) -> str:
    """The address of the database server; "" for the file. Raises PlanError for settings that cannot be used.

    The settings are parsed only where they name a database: that takes longer than all the rest of `status`.
    """
    try:
        text = home.config_file("settings.yaml").read_bytes()
    except OSError:
        return ""
    lines = text.splitlines() if b"database" in text else []
    if not any(b"database" in line and not line.lstrip().startswith(b"#") for line in lines):
        return ""
    return str(registry.load(registry.READ_SETTINGS)(home).database or "")
