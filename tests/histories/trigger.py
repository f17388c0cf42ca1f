"""What the database has seen of starts: a trigger of the test notes each program that is about to be started.

A program that is killed before its first line leaves no mark; this tells it from one that was never started.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing

from jarvisd.paths import Home
from jarvisd.store import database, migrations

_SCRIPT = """
CREATE TABLE begun (name TEXT);
CREATE TRIGGER note_begun AFTER UPDATE ON job WHEN NEW.work_began AND NOT OLD.work_began BEGIN
    INSERT INTO begun VALUES (NEW.name);
END;
"""


def install(home: Home) -> None:
    """Make jarvisd's tables and add the trigger."""
    migrations.migrate(home)
    database.disconnect()
    with closing(sqlite3.connect(home.database)) as connection:
        connection.executescript(_SCRIPT)


def read(connection: sqlite3.Connection) -> Counter[str]:
    """By tag: the starts that were about to begin."""
    return Counter(name.rpartition(":")[2] for (name,) in connection.execute("SELECT name FROM begun"))
