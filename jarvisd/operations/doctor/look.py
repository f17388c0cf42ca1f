"""`python -m jarvisd.operations.doctor.look PATH`: the number of messages
in a Messages database, or why it cannot be read, as JSON.

A process of its own: where macOS has a question open on the screen, the look does not return.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote


def look(path: Path) -> dict[str, object]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as database:
            return {"messages": database.execute("SELECT count(*) FROM message").fetchone()[0]}
    except sqlite3.Error as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]))), flush=True)
