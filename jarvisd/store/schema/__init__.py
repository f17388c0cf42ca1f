"""Migrations that are SQL. A file once released is never changed: every old database is brought up the same way."""

from __future__ import annotations

from jarvisd.store import fence
from jarvisd.store.database import db


def newest(package: str) -> int:
    """How many migrations a package has, from the highest number of a script: to import them all takes longer."""
    return fence.schema(__import__(package, fromlist=["__path__"]).__path__[0])


def script(package: str, name: str) -> None:
    """Run `<package>/schema/<name>`, statement by statement, inside the caller's transaction."""
    import re
    from importlib.resources import files

    text = (files(package) / "schema" / name).read_text("utf-8")
    text = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
    for statement in text.split(";\n"):
        if statement.strip():
            db.execute_sql(statement)
