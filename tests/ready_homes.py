"""A home whose database has the current schema already: all steps since 0.1.0 take longer than most tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from jarvisd.paths import Home
from jarvisd.store import database, migrations


def prepare(home: Home) -> Home:
    """Give `home` an empty database, and open it."""
    place(home)
    migrations.migrate(home)
    return home


def place(home: Home) -> None:
    """Give `home` an empty database, made by the real migrations once per process, unless it has or names one."""
    settings = home.root / "config" / "settings.yaml"
    if home.database.exists() or (settings.exists() and "database" in settings.read_text(errors="replace")):
        return
    home.make()
    home.database.touch(mode=0o600)
    home.database.write_bytes(_empty())


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), "--home")
        migrations.migrate(home)
        database.db.close()
        return home.database.read_bytes()
