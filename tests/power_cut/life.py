"""A short life of one home, run under strace: submit, work, cancel, retry, a report, prune, stop.

    python -m tests.power_cut.life HOME ACKNOWLEDGED

Each acknowledged submission leaves an empty file ACKNOWLEDGED/<job id>, which the trace then has at its moment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from jarvisd.host.lockfile import lock_holder
from jarvisd.paths import Home
from tests.acceptance.conftest import BIN


def main(home: str, acknowledged: str) -> None:
    def ctl(*words: str) -> str:
        done = subprocess.run(
            [BIN / "jarvisctl", *words],
            env=os.environ | {"JARVISD_HOME": home},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return done.stdout

    def submit(*words: str) -> int:
        number = json.loads(ctl("enqueue", "command", "--json", *words))["jobs"][0]["id"]
        Path(acknowledged, str(number)).touch()
        return int(number)

    jobs = [submit("--", "true") for _ in range(3)]
    ctl("start")
    jobs += [submit("--", "false"), submit("--", "sleep", "0.3")]
    ctl("wait", "--timeout", "60")
    ctl("retry", str(jobs[3]))
    ctl("cancel", str(submit("--", "sleep", "20")))
    ctl("enqueue", "pieces")
    ctl("wait", "--timeout", "120")
    while lock_holder(Home(Path(home), "--home")) is not None:  # else strace would wait for the daemon for ever
        ctl("stop")
    submit("--", "true")


if __name__ == "__main__":
    main(*sys.argv[1:])
