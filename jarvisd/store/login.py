"""A connection to a PostgreSQL server, and its password: of a file that libpq reads, else of the keychain.

Imported only where settings.yaml names a server.
"""

from __future__ import annotations

import socket
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from jarvisd import failpoints
from jarvisd.host import keychain

#: How a connection is opened; the address may say otherwise. A peer that is gone is noticed within 75 s.
_CONNECTION: dict[str, Any] = {
    "host": "",  # else PGHOST and PGHOSTADDR could name another computer than the address, whose safety was checked
    "hostaddr": "",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 15,
    "keepalives_count": 3,
    "tcp_user_timeout": 75_000,
}
#: Passwords of the keychain, by account: each thread opens a connection of its own, and the keychain takes a while.
_kept: dict[str, str] = {}


def connect(address: str) -> psycopg.Connection[Any]:
    """Connect; where the server asks for a password and no file has it, with that of the keychain."""
    name = f"jarvisd {failpoints.role()} on {socket.gethostname()}"[:63]
    options = {**_CONNECTION, "application_name": name, **conninfo_to_dict(address)}
    try:
        return _open(options)
    except psycopg.OperationalError as error:
        account = lacking(error)
        if account is None:
            raise
        password = _kept.pop(account, None) or keychain.password(account)
        if password is None:
            raise
    connection = _open(options, password)
    _kept[account] = password
    return connection


def _open(options: dict[str, Any], password: str | None = None) -> psycopg.Connection[Any]:
    # Without prepared statements: a pooler may stand between, and a migration may change what they return.
    return psycopg.connect(**options, password=password, autocommit=True, prepare_threshold=None)


def lacking(error: BaseException) -> str | None:
    """The account, such as jarvis@hub.local, of a connection that failed because no password was given; else None."""
    failed = error.pgconn if isinstance(error, psycopg.OperationalError) else None
    if failed is None or not failed.needs_password:
        return None
    host = failed.host.decode()
    return f"{failed.user.decode()}@{'localhost' if host.startswith(('/', '@')) else host}"


def refusal(error: BaseException) -> str:
    """Why the server lets this user not connect; "" where it did not answer."""
    if (account := lacking(error)) is not None:
        return (
            f"it asks for the password of {account}, which is neither in ~/.pgpass nor, on a Mac, in the keychain "
            "(docs/several-macs.md)"
        )
    first_line = str(error).partition("\n")[0]
    return first_line.rpartition("FATAL:")[2].strip() if "FATAL:" in first_line else ""
