"""Move a history from the file of this home into a database on a server, and back."""

from __future__ import annotations

from jarvisd.errors import JarvisError, UsageError
from jarvisd.host import lockfile
from jarvisd.paths import Home
from jarvisd.plan import database_url, settings
from jarvisd.store import copying, database, migrations


def to_server(home: Home, url: str) -> dict[str, int]:
    """Copy var/jarvis.db into the database at `url`. Returns the number of rows per table."""
    _check(home, url)
    if not home.database.is_file():
        raise UsageError(f"there is no {home.database} to copy", "Nothing was submitted here yet.")
    migrations.bring_up(home, url)
    with database.opened_to_read(home.database) as source:
        return copying.copy(source)


def from_server(home: Home, url: str) -> dict[str, int]:
    """Copy the database at `url` into var/jarvis.db. Returns the number of rows per table."""
    _check(home, url)
    migrations.bring_up(home, "")
    with database.opened_to_read(home.database, url) as source:
        return copying.copy(source)


def _check(home: Home, url: str) -> None:
    """Raise JarvisError for an address that is refused, and while a daemon may change what is copied."""
    try:
        database_url.check(url, without_tls=settings.read(home).database_without_tls)
    except database_url.Refused as refused:
        raise UsageError(f"the address {refused}", refused.remedy) from None
    if (holder := lockfile.lock_holder(home)) is not None:
        raise JarvisError(f"a daemon runs here (pid {holder['pid']})", "`jarvisctl stop` ends it; then copy.")
