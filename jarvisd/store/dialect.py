"""What differs between the databases: a module of this shape is one; see `sqlite.py` and `postgres.py`."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import peewee

from jarvisd.host import disk_errors
from jarvisd.paths import Home


class ErrorKind(Enum):
    """What an error of the database is about."""

    DISK_FULL = disk_errors.FULL
    DISK_FAILS = "the disk is full, or fails"
    READ_ONLY = "the disk is read-only"
    CANNOT_OPEN = "the file cannot be opened"
    BUSY = "another process holds it"
    DAMAGED = "it is damaged or is not a database"
    OUT_OF_REACH = "the database server is out of reach"
    REFUSED = "the database server refuses this user"
    OTHER = "another error"


@dataclass(frozen=True)
class ServerFacts:
    """A server of the database, and the connection to it."""

    version: int  #: 150008 = 15.8
    is_local: bool  #: on this computer
    is_encrypted: bool
    is_superuser: bool  #: the role of the connection
    clock_ahead: dt.timedelta  #: of this computer's clock


class Dialect(Protocol):
    """A module that speaks to one kind of database."""

    #: What the database is called in messages.
    NAME: str
    #: What to say of a damaged database.
    DAMAGE: str
    #: What to do about a database that holds the tables of another program.
    SET_ASIDE: str

    def write_transaction(self, database: peewee.Database, patience_s: float) -> AbstractContextManager[None]: ...
    def unflushed(self, database: peewee.Database) -> AbstractContextManager[None]: ...
    def changes(self, database: peewee.Database) -> str: ...
    def measure_clock(self, database: peewee.Database) -> None: ...
    def clock_ahead(self) -> dt.timedelta: ...
    def describe_error(self, error: BaseException) -> ErrorKind | None: ...
    def refusal(self, error: BaseException) -> str: ...
    def place(self, database: peewee.Database) -> str: ...
    def usable(self, home: Home) -> AbstractContextManager[None]: ...
    def back_up(self, home: Home, have: dict[str, int]) -> Path | None: ...
    def reset_numbers(self, database: peewee.Database, model: type[peewee.Model]) -> None: ...
    def shrink(self, database: peewee.Database) -> None: ...
    def empty_log(self, database: peewee.Database) -> bool: ...
