"""The database: the only room that knows which one it is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def hide_driver() -> None:
    """Keep `import psycopg` from working. peewee and Huey import it where it is installed: 13 MB more memory."""
    sys.modules.setdefault("psycopg", None)  # type: ignore[arg-type]


def show_driver() -> None:
    """Let `import psycopg` work again."""
    if "psycopg" in sys.modules and sys.modules["psycopg"] is None:
        del sys.modules["psycopg"]


@contextmanager
def driver_hidden() -> Iterator[None]:
    """Import here what may import psycopg without need. Afterwards it is as hidden or visible as before."""
    was_visible = "psycopg" not in sys.modules
    hide_driver()
    try:
        yield
    finally:
        if was_visible:
            show_driver()


hide_driver()  # until a database is opened: a program has imported both by then
