"""A launchctl that knows the session and takes no agent."""

import json
import sys
from pathlib import Path

with (Path(sys.argv[0]).absolute().parent / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(["launchctl", *sys.argv[1:]]) + "\n")
if sys.argv[1] == "bootstrap":
    sys.exit("Bootstrap failed: 78: Function not implemented")
sys.exit(0 if sys.argv[1] == "print" and sys.argv[2].count("/") == 1 else 113)
