"""The process behind a room of the page: `python -m jarvisd.web.child_process --home DIR HANDLER`.

HANDLER is the dotted name of a class without arguments. Each line of standard input is {"do": METHOD, ...}; the method
is called with the other keys, and what it returns is printed as one line. See `child.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
from typing import Any

import peewee

from jarvisd import logs, registry
from jarvisd import paths as homes
from jarvisd.errors import JarvisError, LedgerError, UsageError
from jarvisd.web import trouble
from jarvisd.web.ledger import Ledger

#: Minutes without a request after which it ends.
IDLE_MINUTES = 15.0
_NO_DATABASE = {"error": "nothing was submitted here yet", "remedy": "", "is_usage": True}


class Server:
    """Answers requests with the methods of a handler."""

    def __init__(self, ledger: Ledger, handler: str) -> None:
        self.ledger, self.name = ledger, handler
        self.handler: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the method returns, or what went wrong, as `Child.ask` takes it."""
        try:
            if not self.ledger.open():
                return _NO_DATABASE
            self.handler = self.handler or registry.load(self.name)()
            method = getattr(self.handler, request.pop("do"))
            return method(**request)
        except LedgerError as error:
            self.ledger.close()
            return {"unusable": str(error)}
        except JarvisError as error:
            return {"error": error.what, "remedy": error.remedy, "is_usage": isinstance(error, UsageError)}
        except (peewee.PeeweeException, OSError) as error:
            self.ledger.close()
            return {"unusable": trouble.of_database(error)}
        except Exception as error:
            return {"bug": type(error).__name__, "places": "; ".join(logs.places(error))}


def main() -> int:
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page, whose end closes the pipe
    parser = argparse.ArgumentParser(prog="python -m jarvisd.web.child_process")
    parser.add_argument("--home", required=True)
    parser.add_argument("--idle-minutes", type=float, default=IDLE_MINUTES)
    parser.add_argument("handler")
    options = parser.parse_args()
    server = Server(Ledger(homes.find(options.home)), options.handler)
    source = os.fdopen(0, "rb", buffering=0)  # a buffer could hold a line that `select` does not see
    while select.select([source], [], [], options.idle_minutes * 60)[0]:
        if not (line := source.readline()):
            break
        sys.stdout.buffer.write(json.dumps(server.answer(json.loads(line))).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
