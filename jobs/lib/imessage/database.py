"""Opening chat.db without ever writing to it.

Read-only, one snapshot, the rows of the write-ahead log included. Never `immutable=1`: on a file that Messages is
writing it silently misses rows. Where macOS or a lock refuses, a private copy is read instead and removed afterwards.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from jarvisd.plugin import PRIVATE_COPY, JobFailed, sweep_private_copies

_MAGIC = b"SQLite format 3\0"
_SUFFIXES = ("", "-wal", "-shm", "-journal")
_BUSY_S = 5.0
#: Bytes of the largest value that is read. A message has at most 20,000 letters; a larger value is damage or an attack,
#: and SQLite would hold it in memory several times.
LONGEST_VALUE = 1 << 20
#: Result codes of SQLite for which a copy may still be readable: busy, locked, read-only folder, cannot open, auth.
_COPY = frozenset({5, 6, 8, 14, 23})
#: "file is not a database", "database disk image is malformed".
_DAMAGED = frozenset({11, 26})
_TOO_BIG = 18
_NEEDED = {"message", "chat", "handle", "chat_message_join"}


@contextmanager
def snapshot(path: Path, cache: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A connection inside one read transaction. Raises JobFailed with what is wrong and what to do about it.

    A private copy, where one is needed, lies in the folder `cache` for as long as it is read, or in the folder for
    temporary files.
    """
    temporary = Path(tempfile.gettempdir())
    cache = cache or temporary
    for folder in {cache, temporary}:
        sweep_private_copies(folder)
    _look(path)
    try:
        try:
            connection = _open(path)
        except sqlite3.DatabaseError as error:  # 23, "authorization denied", is no OperationalError
            if _code(error) not in _COPY:
                raise
            with _copied(path, cache) as connection:
                yield _limited(connection, path)
            return
        with closing(connection):
            yield _limited(connection, path)
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:  # the last two of a damaged schema or value
        raise _explained(error, path) from error


def _limited(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The connection, which now raises "string or blob too big" instead of reading a value over LONGEST_VALUE."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    _check_tables(connection, path)
    return connection


def _look(path: Path) -> None:
    """Tell a missing, unreadable or foreign file apart before SQLite says "unable to open" to all three."""
    if path.exists() and not path.is_file() and not path.is_dir():  # opening a pipe would wait for its writer
        raise JobFailed(f"{path} is not a file", "Name the file chat.db of Messages with messages:.")
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except (FileNotFoundError, NotADirectoryError):
        raise JobFailed(
            f"there is no Messages database at {path}",
            "Say where it is with --set messages=PATH; on a Mac it is ~/Library/Messages/chat.db.",
        ) from None
    except IsADirectoryError:
        raise JobFailed(f"{path} is a folder, not a database", "Name the file chat.db inside it.") from None
    except OSError as error:
        raise _not_allowed(path) from error
    if not start:
        raise JobFailed(f"{path} is an empty file", "Open Messages once, or name another file with messages:.")
    if start != _MAGIC:
        raise JobFailed(f"{path} is not a database", "Name the file chat.db of Messages with messages:.")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.execute("PRAGMA query_only = 1")
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()  # takes the snapshot
    except BaseException:
        connection.close()
        raise
    return connection


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := sorted(_NEEDED - names):
        raise JobFailed(
            f"{path} is not a Messages database: it has no table {missing[0]}",
            "Name the file chat.db of Messages with messages:.",
        )


@contextmanager
def _copied(path: Path, cache: Path) -> Iterator[sqlite3.Connection]:
    """The same on a private copy (0600), which is removed afterwards."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=cache, prefix=f"{PRIVATE_COPY}{os.getpid()}-", suffix=".db")
    os.close(descriptor)
    copy = Path(name)
    try:
        connection = _consistent(path, copy) or _consistent(path, copy)
        if connection is None:
            raise _locked(path)
        with closing(connection):
            yield connection
    finally:
        for suffix in _SUFFIXES:
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _consistent(path: Path, copy: Path) -> sqlite3.Connection | None:
    """An open copy, or None where a writer tore it."""
    _copy(path, copy)
    try:
        connection = _open(copy)
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
            return connection
        connection.close()
    except sqlite3.Error:
        pass
    return None


def _copy(path: Path, copy: Path) -> None:
    try:
        for suffix in _SUFFIXES:
            source = path.with_name(path.name + suffix)
            target = copy.with_name(copy.name + suffix)
            target.unlink(missing_ok=True)
            if not suffix or source.exists():
                target.touch(mode=0o600)
                shutil.copyfile(source, target)
    except PermissionError as error:
        raise _not_allowed(path) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise JobFailed(f"{path} cannot be copied: {error.filename}: {reason}", "Mend or remove that file.") from error


def _code(error: Exception) -> int:
    """The primary result code: extended ones carry it in their low byte."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_too_big(error: sqlite3.Error) -> bool:
    """Whether a value is larger than LONGEST_VALUE."""
    return _code(error) == _TOO_BIG


def _explained(error: Exception, path: Path) -> JobFailed:
    code = _code(error)
    if code in _DAMAGED or not isinstance(error, sqlite3.Error):
        return JobFailed(f"{path} is damaged and cannot be read", "Open Messages so that it mends its database.")
    if code in (5, 6):
        return _locked(path)
    if code == _TOO_BIG:
        return JobFailed(f"{path} is damaged: a name in it is larger than {LONGEST_VALUE >> 20} MB")
    return _not_allowed(path) if code in _COPY else JobFailed(f"{path} cannot be read: {error}")


def _locked(path: Path) -> JobFailed:
    return JobFailed(
        f"{path} is locked by another program, and a copy of it is not consistent",
        "Quit the program that writes to it and run `jarvisctl retry mine`.",
    )


def _not_allowed(path: Path) -> JobFailed:
    remedy = "Make it readable for this user."
    if sys.platform == "darwin":
        remedy = (
            "Grant Full Disk Access to " + os.path.realpath(sys.executable) + " in System Settings, Privacy & "
            "Security; the grant of a terminal does not reach a launch agent."
        )
    else:
        remedy += f" On a Mac, grant Full Disk Access to {os.path.realpath(sys.executable)}."
    return JobFailed(f"{path} may not be read by this program", remedy)
