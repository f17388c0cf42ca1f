"""The end of a child whose daemon has died: its whole tree is ended, because nothing else is left to do it.

`python -m jarvisd.worker.orphan --token TOKEN` is what the child of a command becomes then.
"""

from __future__ import annotations

import os
import signal
import sys

from jarvisd.host import processes


def end_own_tree(token: str) -> None:
    """Kill everything below this process and all that carries the token, then its process group and itself."""
    for process in [*processes.tree(os.getpid())[1:], *processes.processes_with_token(token)]:
        processes.kill(process)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    end_own_tree(sys.argv[2])
