"""`python -m jobs.lib.imessage.probe PATH [CACHE]`: can the Messages database be read? One JSON object on stdout.

{"messages": N} where it can, else {"what": "…", "remedy": "…"}. A process of its own, because the read does not return
while macOS asks for permission on the screen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jarvisd.plugin import JobFailed
from jobs.lib import imessage


def main(path: str, *cache: str) -> dict[str, str | int]:
    try:
        return {"messages": imessage.probe(Path(path), *map(Path, cache))}
    except JobFailed as failure:
        return {"what": failure.what, "remedy": failure.remedy}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])), flush=True)
