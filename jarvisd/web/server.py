"""The page's process: take the lock, listen on 127.0.0.1, answer, end when idle or when var/ is gone."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import uvicorn

from jarvisd import __version__, logs
from jarvisd import paths as homes
from jarvisd.errors import JarvisError
from jarvisd.host import lockfile
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.web import child, process
from jarvisd.web.app import application
from jarvisd.web.gate import Gate
from jarvisd.web.keys import Keys
from jarvisd.words import plain

#: Minutes without a request after which the page ends.
IDLE_MINUTES = 15.0
#: Seconds between two checks whether it is idle and whether var/ is still there.
_CHECK_S = 1.0


def main() -> int:
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)  # uvicorn ends by it, and raises it again afterwards
    options = _parser().parse_args()
    home = homes.find(options.home)
    try:
        with _lock(home) as state:
            if state is None:
                return 0  # another one was quicker
            logs.daemon_logging(home, foreground=False, is_daemon=False)
            logging.getLogger("uvicorn").setLevel(logging.WARNING)
            _serve(home, state, options.idle_minutes * 60)
    except JarvisError as error:
        print(f"jarvisd: {plain(str(error))}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jarvisd.web", description="The local page of jarvisd.")
    parser.add_argument("--home", help="the folder that holds var/ and config/")
    parser.add_argument("--idle-minutes", type=float, default=IDLE_MINUTES, help="end after so long without a request")
    return parser


@contextmanager
def _lock(home: Home) -> Iterator[IO[str] | None]:
    """Hold web.json; None where another process does. It is removed at the end."""
    home.make()
    path = process.state_file(home)
    with lockfile.opened(path) as state:
        if not lockfile.take(state) or not lockfile.owns(path, state):
            yield None
            return
        try:
            yield state
        finally:
            if lockfile.owns(path, state):
                for each in (process.entrance(home), process.secret_file(home), path):
                    each.unlink(missing_ok=True)


def _serve(home: Home, state: IO[str], idle_s: float) -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    keys = Keys(port=listener.getsockname()[1])
    process.write_private(process.secret_file(home), keys.secret)
    lockfile.write(state, {"port": keys.port, "pid": os.getpid(), "version": __version__})
    try:
        asyncio.run(_answer(home, state, listener, keys, idle_s))
    finally:
        database.disconnect()


async def _answer(home: Home, state: IO[str], listener: socket.socket, keys: Keys, idle_s: float) -> None:
    """Answer until a signal, until nothing was asked for `idle_s` seconds, or until web.json is gone."""
    last = time.monotonic()

    def touch() -> None:
        nonlocal last
        last = time.monotonic()

    gate = Gate(application(home, keys), keys, touch)
    config = uvicorn.Config(
        gate,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)

    async def watch() -> None:
        while time.monotonic() - last < idle_s and lockfile.owns(process.state_file(home), state):
            await asyncio.sleep(min(_CHECK_S, idle_s))
        server.should_exit = True

    watching = asyncio.create_task(watch())
    await server.serve(sockets=[listener])
    watching.cancel()
    child.close_all()
