"""The database: the only room that knows which one it is."""

import sys


def hide_driver() -> None:
    """Keep `import psycopg` from working. peewee and Huey import it where it is installed: 13 MB more memory."""
    sys.modules.setdefault("psycopg", None)  # type: ignore[arg-type]


def show_driver() -> None:
    """Let `import psycopg` work again."""
    if "psycopg" in sys.modules and sys.modules["psycopg"] is None:
        del sys.modules["psycopg"]


hide_driver()  # until a database is opened: a program has imported both by then
