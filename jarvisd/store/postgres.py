"""All that is particular to PostgreSQL: connections, write transactions, the meaning of its errors, its clock.

Imported only where settings.yaml names a server.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import peewee
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper

from jarvisd.errors import LedgerError
from jarvisd.paths import Home
from jarvisd.store import login
from jarvisd.store.dialect import ErrorKind, ServerFacts

_log = logging.getLogger("jarvisd.store.postgres")

NAME = "the database that settings.yaml names"
DAMAGE = "the database server reports damaged data; its own log says which"
SET_ASIDE = "Nothing was changed. Make a database of its own for jarvisd, and name it in settings.yaml."
#: The lock of every write transaction: one writer at a time, as on SQLite. Any number would do, always the same one.
WRITE_LOCK = 0x6A61727669736400
#: How long a statement may take, in seconds; to delete the rows of many runs takes longest.
STATEMENT_S = 120
#: How long a transaction may do nothing, in seconds: the server ends that of a computer that fell asleep in one.
IDLE_IN_TRANSACTION_S = 5
#: Pause before the next try to begin a write transaction, at first and at most; it doubles from try to try.
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_KINDS = {
    "53100": ErrorKind.DISK_FULL,
    "58030": ErrorKind.DISK_FAILS,
    "25006": ErrorKind.READ_ONLY,
    "55P03": ErrorKind.BUSY,  # lock_not_available
    "40P01": ErrorKind.BUSY,  # deadlock_detected
    "40001": ErrorKind.BUSY,  # serialization_failure
    "57014": ErrorKind.BUSY,  # query_canceled, by statement_timeout
    "53300": ErrorKind.BUSY,  # too_many_connections
    "25P03": ErrorKind.OUT_OF_REACH,  # idle_in_transaction_session_timeout: the server has ended the connection
    "57P01": ErrorKind.OUT_OF_REACH,  # admin_shutdown
    "57P02": ErrorKind.OUT_OF_REACH,  # crash_shutdown
    "57P03": ErrorKind.OUT_OF_REACH,  # cannot_connect_now
    "57P05": ErrorKind.OUT_OF_REACH,  # idle_session_timeout
    "42501": ErrorKind.REFUSED,  # insufficient_privilege
    "XX001": ErrorKind.DAMAGED,
    "XX002": ErrorKind.DAMAGED,
}
#: By the first two characters.
_CLASSES = {"08": ErrorKind.OUT_OF_REACH, "28": ErrorKind.REFUSED}

#: How far the server's clock is ahead of this computer's, as the newest connection measured it.
_ahead = dt.timedelta()


class _Adapter(peewee.Psycopg3Adapter):
    """peewee's adapter, which found no driver when peewee was imported: the driver is hidden from it then."""

    txn_idle = TransactionStatus.IDLE
    txn_inerror = TransactionStatus.INERROR
    txn_unknown = TransactionStatus.UNKNOWN

    def check_driver(self) -> None:
        """The driver is here: this module imports it."""

    def get_binary_type(self) -> Any:
        return psycopg.Binary

    def connect(self, db: peewee.Database, **_params: Any) -> psycopg.Connection[Any]:
        connection = login.connect(db.database)
        connection.adapters.register_dumper(str, _Text)
        return connection


class _Text(StrDumper):
    """Text without the character that PostgreSQL cannot store."""

    def dump(self, obj: str) -> Any:
        return super().dump(storable(obj))


def storable(text: str) -> str:
    """The text as PostgreSQL stores it: NUL becomes the replacement character."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


class Server(peewee.PostgresqlDatabase):
    """A database on a server. A connection that was lost is opened again at the next statement."""

    psycopg2_adapter = psycopg3_adapter = _Adapter

    def __init__(self, url: str, lock_s: float, reach_s: float = 0.0) -> None:
        self.lock_s, self.reach_s = lock_s, reach_s
        self.was_out_of_reach = False  #: whether a statement failed for that reason, however long it tried
        super().__init__(url)

    def _initialize_connection(self, conn: psycopg.Connection[Any]) -> None:
        limits = {
            "statement_timeout": STATEMENT_S * 1000,
            "lock_timeout": int(self.lock_s * 1000),
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_S * 1000,
        }
        settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in limits.items())
        conn.execute(f"SELECT {settings}")  # names and numbers of this file
        _measure_clock(conn.execute)

    def begin(self, isolation_level: Any = None) -> None:
        self._forget_lost_connection()
        try:
            super().begin(isolation_level)
        except peewee.OperationalError:
            if not self._is_lost():  # else it was lost since its last use, which says nothing of the server
                raise
            self._forget_lost_connection()
            super().begin(isolation_level)

    def commit(self) -> None:
        with self._noting():
            super().commit()

    def rollback(self) -> Any:
        """Undo the transaction. The server has done so where the connection was lost."""
        return None if self._is_lost() else super().rollback()

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """Execute a statement. One that only reads is sent again where the connection turns out to be lost."""
        with self._noting():
            if self.in_transaction():
                return super().execute_sql(sql, params)
            self._forget_lost_connection()
            try:
                return super().execute_sql(sql, params)
            except peewee.OperationalError as error:
                if describe_error(error) is not ErrorKind.OUT_OF_REACH or not sql.startswith("SELECT"):
                    raise
            return self._send_again(sql, params)

    def _send_again(self, sql: str, params: Any) -> Any:
        """Send a statement that reads until the server answers, at least once and for `reach_s` seconds."""
        end, pause = time.monotonic() + self.reach_s, _PAUSE_S
        while True:
            self._forget_lost_connection()
            try:
                return super().execute_sql(sql, params)
            except peewee.OperationalError as error:
                if describe_error(error) is not ErrorKind.OUT_OF_REACH or time.monotonic() + pause >= end:
                    raise
            pause = _rest(pause)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Remember that a statement failed because the server did not answer."""
        try:
            yield
        except peewee.PeeweeException as error:
            self.note(error)
            raise

    def note(self, error: Exception) -> None:
        """Remember an error of a server that did not answer."""
        self.was_out_of_reach |= describe_error(error) is ErrorKind.OUT_OF_REACH

    def _is_lost(self) -> bool:
        return not self.is_closed() and bool(self._state.conn.closed)

    def _forget_lost_connection(self) -> None:
        """Have the next statement open another one. Within a transaction it is kept: its commit must fail."""
        if self._is_lost():
            self.close()


def _measure_clock(execute: Callable[[str], Any]) -> None:
    global _ahead
    before = dt.datetime.now(dt.UTC)
    row = execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    after = dt.datetime.now(dt.UTC)
    _ahead = dt.datetime.fromtimestamp(row[0], dt.UTC) - (before + (after - before) / 2)


def open_database(url: str, lock_s: float, reach_s: float) -> peewee.Database:
    """The database at this address. Its connections are opened when they are first used, one per thread.

    `lock_s`: how long a statement waits for another process. `reach_s`: how long a read, and the beginning of a write
    transaction, try while the server is out of reach.
    """
    return Server(url, lock_s, reach_s)


def place(database: peewee.Database) -> str:
    """Which database this is, in words: the database on hub.local."""
    options = conninfo_to_dict(database.database)
    host = str(options.get("host") or options.get("hostaddr") or "").partition(",")[0]
    return f"the database on {host if host and not host.startswith(('/', '@')) else 'this computer'}"


def _rest(pause: float) -> float:
    """Wait for about so many seconds. Returns the next, longer pause."""
    time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
    return min(2 * pause, _LONGEST_PAUSE_S)


#: What begins a transaction that reads one state of the database.
SNAPSHOT = ("REPEATABLE READ",)


def open_to_read(url: str) -> peewee.Database:
    """The database at this address, for a transaction that lasts as long as a copy of it takes."""
    opened = Server(url, lock_s=10)
    opened.connect()
    opened.execute_sql("SET idle_in_transaction_session_timeout = 0")
    return opened


def reset_numbers(database: peewee.Database, model: type[peewee.Model]) -> None:
    """Have the next row get a number above those that are stored."""
    key = model._meta.primary_key
    if isinstance(key, peewee.AutoField):
        table = model._meta.table_name
        sequence = f"pg_get_serial_sequence('\"{table}\"', '{key.column_name}')"
        last = f'(SELECT COALESCE(MAX("{key.column_name}"), 0) + 1 FROM "{table}")'  # noqa: S608  # names of models
        database.execute_sql(f"SELECT setval({sequence}, {last}, false)")


def measure_clock(database: peewee.Database) -> None:
    """Compare the clocks again: this computer's may have been set while its connection was open."""
    _measure_clock(database.execute_sql)


def clock_ahead() -> dt.timedelta:
    """How far the server's clock is ahead of this computer's."""
    return _ahead


def facts(database: peewee.Database) -> ServerFacts:
    """What the server and the connection are."""
    asked = "SELECT ssl, current_setting('is_superuser') = 'on' FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    is_encrypted, is_superuser = database.execute_sql(asked).fetchone()
    info = database.connection().info
    is_local = info.host.startswith("/") or ipaddress.ip_address(info.hostaddr).is_loopback
    return ServerFacts(info.server_version, is_local, bool(is_encrypted), bool(is_superuser), _ahead)


def changes(database: peewee.Database) -> str:
    """What changes with every commit: which transactions are over, of any database of the server."""
    return str(database.execute_sql("SELECT pg_current_snapshot()::text").fetchone()[0])


@contextmanager
def write_transaction(database: Server, patience_s: float) -> Iterator[None]:
    """A transaction that holds the lock of all writers from its beginning, so that what it reads stays true.

    While another process holds the lock, this tries for at least `patience_s` seconds to begin, and while the server
    is out of reach for as long as the connection says, at most `patience_s`; then it raises OperationalError.
    """
    begun, pause = time.monotonic(), _PAUSE_S
    longest = {ErrorKind.BUSY: patience_s, ErrorKind.OUT_OF_REACH: min(patience_s, database.reach_s)}
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(_locked(database))
                break
            except peewee.OperationalError as error:
                end = begun + longest.get(describe_error(error) or ErrorKind.OTHER, 0.0)
                if time.monotonic() + pause >= end:
                    if patience_s > 0:
                        database.note(error)
                    raise
            pause = _rest(pause)
        yield


@contextmanager
def _locked(database: peewee.Database) -> Iterator[None]:
    with database.atomic():
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
        yield


@contextmanager
def unflushed(_database: peewee.Database) -> Iterator[None]:
    """Nothing: the server flushes each commit, and does so for several at once."""
    yield


def shrink(_database: peewee.Database) -> None:
    """Nothing: the server's autovacuum uses the space of deleted rows again."""


def empty_log(_database: peewee.Database) -> bool:
    """True: the log is the server's, which reuses it."""
    return True


def back_up(_home: Home, _have: dict[str, int]) -> Path | None:
    """None: a database on a server is backed up there, by `pg_dump`."""
    _log.info("the schema of the database is brought up to date; backups are made on its server, by pg_dump")
    return None


def describe_error(error: BaseException) -> ErrorKind | None:
    """What a database error is about, from its SQLSTATE. None for an exception that is none."""
    if not isinstance(error, peewee.PeeweeException | psycopg.Error):
        return None
    cause = _cause(error)
    state = getattr(cause, "sqlstate", None)
    if state is None:  # the driver's own error: no answer came
        return ErrorKind.OUT_OF_REACH if isinstance(cause, psycopg.OperationalError) else ErrorKind.OTHER
    return _KINDS.get(state) or _CLASSES.get(state[:2], ErrorKind.OTHER)


def _cause(error: BaseException) -> BaseException:
    """The driver's error that peewee's exception stands for; it wraps that of a failed connection twice."""
    while isinstance(inner := getattr(error, "orig", None), BaseException):
        error = inner
    return error


def refusal(error: BaseException) -> str:
    """Why a server that answers lets this user not connect; "" where it does not answer."""
    return login.refusal(_cause(error))


@contextmanager
def usable(_home: Home) -> Iterator[None]:
    """Raise LedgerError, with its remedy, for a database that cannot be used."""
    try:
        yield
    except peewee.PeeweeException as error:
        match describe_error(error):
            case ErrorKind.BUSY:
                raise LedgerError("the database is busy: another process holds it", "Try again in a moment.") from error
            case ErrorKind.REFUSED | ErrorKind.READ_ONLY:
                remedy = "The user in `database` of settings.yaml must own that database."
                raise LedgerError(f"the database server refuses this: {_first_line(error)}", remedy) from error
            case ErrorKind.DAMAGED:
                raise LedgerError(DAMAGE, "Restore a backup there.") from error
        raise


def _first_line(error: BaseException) -> str:
    """What the driver says, in one line; it holds no password."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
