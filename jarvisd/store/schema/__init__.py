"""Migrations that are SQL. A file once released is never changed: every old database is brought up the same way.

`schema/N_NAME.sql` is for SQLite. `schema/postgres/N_NAME.sql` is the same step for PostgreSQL; the first one makes
all tables as SQLite has them after step N: no older database is on a server.
"""

from __future__ import annotations

import os

from jarvisd.store import database, fence
from jarvisd.store.database import db

#: The folder of the scripts for PostgreSQL.
_SERVER = "postgres"


def newest(package: str) -> int:
    """How many migrations a package has, from the highest number of a script: to import them all takes longer."""
    return fence.schema(_folder(package))


def whole_on_server(package: str) -> tuple[int, str]:
    """The script that makes all tables of a package on a server at once: its number and its name."""
    names = [name for name in os.listdir(os.path.join(_folder(package), "schema", _SERVER)) if name.endswith(".sql")]
    return min((int(name.partition("_")[0]), name) for name in names)


def _folder(package: str) -> str:
    return str(__import__(package, fromlist=["__path__"]).__path__[0])


def script(package: str, name: str) -> None:
    """Run the package's script of that name, statement by statement, inside the caller's transaction."""
    import re
    from importlib.resources import files

    folder = files(package) / "schema"
    text = ((folder / _SERVER if database.is_server() else folder) / name).read_text("utf-8")
    text = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
    for statement in text.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
