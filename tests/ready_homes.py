"""A home whose database has the current schema already: all steps since 0.1.0 take longer than most tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from jarvisd.paths import Home
from jarvisd.store import database, migrations


def prepare(home: Home) -> Home:
    """Give `home` an empty database, made by the real migrations once per process, and open it."""
    home.make()
    if not home.database.exists():
        home.database.touch(mode=0o600)
        home.database.write_bytes(_empty())
    migrations.migrate(home)
    return home


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), "--home")
        migrations.migrate(home)
        database.db.close()
        return home.database.read_bytes()
