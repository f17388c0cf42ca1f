"""`python -m jobs.lib.imessage.probe PATH`: what is wrong with the Messages database, as JSON on stdout;
{} when nothing is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jarvisd.plugin import JobFailed
from jobs.lib import imessage


def main(path: str) -> dict[str, str]:
    try:
        imessage.probe(Path(path))
    except JobFailed as failure:
        return {"what": failure.what, "remedy": failure.remedy}
    return {}


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
