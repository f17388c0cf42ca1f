"""caffeinate, pmset, osascript, sysctl, sw_vers: the call is recorded, for caffeinate its end too, and answered."""

import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).absolute().parent
NAME = Path(sys.argv[0]).name


def record(*words: str) -> None:
    with (HERE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(list(words)) + "\n")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def caffeinate(words: list[str]) -> None:
    """Stay as long as the process behind -w, or until told to end."""

    def leave(number: int, frame: object) -> None:
        record("caffeinate ends")
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    watched = int(words[words.index("-w") + 1])
    while alive(watched):
        time.sleep(0.02)
    record("caffeinate ends")


record(NAME, *sys.argv[1:])
if NAME == "caffeinate":
    caffeinate(sys.argv[1:])
else:
    answers = json.loads((HERE / "answers.json").read_text())
    sys.stdout.write(answers.get(" ".join([NAME, *sys.argv[1:]]), answers.get(NAME, "")))
