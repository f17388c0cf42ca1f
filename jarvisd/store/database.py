"""The connection, its write transactions, and the field types that every table uses."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

db = peewee.DatabaseProxy()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class InstantField(peewee.TextField):
    """An instant as ISO 8601 in UTC with a fixed width, so that text order is time order on every database."""

    def db_value(self, value: dt.datetime | None) -> str | None:
        return None if value is None else value.astimezone(dt.UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | None) -> dt.datetime | None:
        return None if value is None else dt.datetime.fromisoformat(value)


class JSONText(peewee.TextField):
    """A JSON document as text."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


class Record(peewee.Model):
    """A table of this database."""

    class Meta:
        database = db
        legacy_table_names = False


def connect(path: Path) -> None:
    """Bind the models to the database at `path`. Nothing is created; see `jarvisd.store.migrations`."""
    disconnect()
    db.initialize(
        peewee.SqliteDatabase(
            str(path),
            timeout=10,
            pragmas={
                "journal_mode": "wal",
                "synchronous": 2,
                "fullfsync": 1,
                "checkpoint_fullfsync": 1,
                "foreign_keys": 1,
                "cache_size": -8000,
            },
        )
    )


def disconnect() -> None:
    """Close this thread's connection, if it has one."""
    if db.obj is not None:
        db.close()


@contextmanager
def write() -> Iterator[None]:
    """One write transaction; inside another one, a part of it."""
    if db.in_transaction():
        yield
    elif isinstance(db.obj, peewee.SqliteDatabase):
        with db.atomic("IMMEDIATE"):
            yield
    else:
        with db.atomic():
            yield
