"""The page's one connection: opened when a request needs it, and again when it leads elsewhere than before."""

from __future__ import annotations

from jarvisd.paths import Home
from jarvisd.store import database, location, migrations

#: How long a statement and a write transaction wait for another process: a page that hangs says nothing.
WAIT_S, PATIENCE_S = 1.0, 4.0


class Ledger:
    """The open database of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._place: str | None = None  #: what is open: a server's address, or device and inode of the file
        self._opened = 0  #: times that it was opened: data_version means something on one connection only

    def open(self) -> bool:
        """Open the database. False where nothing was submitted yet."""
        server = location.server(self.home)
        place = server or self._current_file()
        if place is None:
            self.close()
            return False
        if place != self._place:
            if not migrations.open_existing(self.home):
                return False
            database.connect(self.home.database, server=server, patience_s=PATIENCE_S, wait_s=WAIT_S)
            self._place, self._opened = place, self._opened + 1
        return True

    def _current_file(self) -> str | None:
        try:
            status = self.home.database.stat()
        except FileNotFoundError:
            return None
        return f"{status.st_dev}.{status.st_ino}"

    def close(self) -> None:
        """Open it anew at the next request: the state of a connection after an error is unknown."""
        self._place = None
        database.disconnect()

    def version(self) -> str:
        """Changes whenever another process has changed the database, or this one by a request."""
        return f"{self._opened}.{database.changes()}" if self.open() else "none"
