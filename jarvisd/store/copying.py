"""A whole history from one database into another, of whichever kinds, compared row by row.

The messages of the queue are not copied: the next daemon writes new ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import peewee
from peewee import chunked

from jarvisd.errors import LedgerError
from jarvisd.store import database, migrations
from jarvisd.store.database import Record, db
from jarvisd.store.models import OPEN, LastNumber
from jarvisd.words import counted

#: Rows per statement and per transaction.
_ROWS = 300

Row = tuple[Any, ...]


def tables() -> list[type[Record]]:
    """Every table that is copied, those that others refer to first."""
    migrations.known()  # imports the tables of every package
    packages = tuple(name.partition(".")[0] for name in ("jarvisd", *migrations.folders().values()))
    models = [model for model in Record.__subclasses__() if model.__module__.partition(".")[0] in packages]
    return [model for model in peewee.sort_models(models) if model is not migrations.Applied]


def copy(source: peewee.Database) -> dict[str, int]:
    """Copy every row of `source` into the open database. Returns how many rows each table has.

    What an interrupted copy left there is kept. Raises LedgerError, with nothing written, where a job of `source` is
    open or the open database holds other rows, and at the end where a row is not the same in both.
    """
    models = tables()
    _refuse_other_schema(source)
    _refuse_open_jobs(source)
    for model in models:
        _refuse_other_rows(source, model)
    with database.write():
        _unused_numbers().execute()
    for model in models:
        _copy_table(source, model)
        database.reset_numbers(model)
    return {model._meta.table_name: _compare(source, model) for model in models}


def _unused_numbers() -> peewee.Delete:
    """Of a new database: that no run and no job was numbered yet."""
    return LastNumber.delete().where(LastNumber.number == 0)


def _refuse_other_schema(source: peewee.Database) -> None:
    rows = source.execute_sql("SELECT package, MAX(number) FROM migration GROUP BY package").fetchall()
    if dict(rows) != migrations.applied():
        raise LedgerError(
            "the database to copy has the schema of another version of jarvisd",
            "Nothing was written. Start this version of jarvisd on it once, then copy.",
        )


def _refuse_open_jobs(source: peewee.Database) -> None:
    """A job that is open in both databases would run twice, and on a server any machine could take it."""
    listed = ", ".join(f"'{status}'" for status in OPEN)
    (number,) = source.execute_sql(f"SELECT COUNT(*) FROM job WHERE status IN ({listed})").fetchone()  # noqa: S608
    if number:
        message = f"{counted(number, 'job')} of the database to copy would run in both"
        raise LedgerError(message, "Nothing was written. Let them end, or cancel them; then copy.")


def _refuse_other_rows(source: peewee.Database, model: type[Record]) -> None:
    present, wanted = _keys(db, model), _keys(source, model)
    if model is LastNumber:
        present -= {row.name for row in LastNumber.select().where(LastNumber.number == 0)}
    for keys in chunked(sorted(present), _ROWS):
        if not wanted.issuperset(keys) or _rows(db, model, keys) != _rows(source, model, keys):
            raise LedgerError(
                f"the database to copy into holds other rows, in the table {model._meta.table_name}",
                "Nothing was written. Copy into an empty one.",
            )


def _copy_table(source: peewee.Database, model: type[Record]) -> None:
    """Insert the rows that are missing, a batch per transaction: an interrupted copy goes on there."""
    missing = _keys(source, model) - _keys(db, model)
    columns = [field.column_name for field in _fields(model)]
    names, places = ", ".join(f'"{name}"' for name in columns), ", ".join([db.param] * len(columns))
    statement = f'INSERT INTO "{model._meta.table_name}" ({names}) VALUES ({places})'  # noqa: S608  # names of models
    for keys in chunked(sorted(missing), _ROWS):
        with database.write():
            for row in _rows(source, model, keys).values():
                db.execute_sql(statement, row)


def _compare(source: peewee.Database, model: type[Record]) -> int:
    """How many rows the table has, the same ones in both databases. Raises LedgerError where they differ."""
    keys = _keys(source, model)
    same = keys == _keys(db, model) and all(
        _rows(db, model, part) == _rows(source, model, part) for part in chunked(sorted(keys), _ROWS)
    )
    if not same:
        name = model._meta.table_name
        raise LedgerError(f"the table {name} is not the same in both databases after the copy", "Copy again.")
    return len(keys)


def _fields(model: type[Record]) -> list[peewee.Field]:
    return list(model._meta.sorted_fields)


def _keys(connected: peewee.Database, model: type[Record]) -> set[Any]:
    key = model._meta.primary_key.column_name
    statement = f'SELECT "{key}" FROM "{model._meta.table_name}"'  # noqa: S608  # names of models
    return {value for (value,) in connected.execute_sql(statement).fetchall()}


def _rows(connected: peewee.Database, model: type[Record], keys: list[Any]) -> dict[Any, Row]:
    """These rows by key, with the same types of values whatever the database."""
    fields, key = _fields(model), model._meta.primary_key
    names = ", ".join(f'"{field.column_name}"' for field in fields)
    places = ", ".join([connected.param] * len(keys))
    statement = f'SELECT {names} FROM "{model._meta.table_name}" WHERE "{key.column_name}" IN ({places})'  # noqa: S608
    at = fields.index(key)
    rows = (tuple(_plain(fields, row)) for row in connected.execute_sql(statement, keys).fetchall())
    return {row[at]: row for row in rows}


def _plain(fields: list[peewee.Field], row: Row) -> Iterator[Any]:
    for field, value in zip(fields, row, strict=True):
        if value is None:
            yield None
        elif isinstance(field, peewee.BooleanField):
            yield bool(value)
        elif isinstance(value, bytes | memoryview):
            yield bytes(value)
        else:
            yield value.replace("\0", "\ufffd") if isinstance(value, str) else value
