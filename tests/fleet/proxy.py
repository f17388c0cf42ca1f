"""TCP proxies in front of the database's Unix socket, one per machine, that delay, hold up and drop connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 1 << 16


class Proxy:
    """The way of one machine to the server. Its state may be set from any thread."""

    def __init__(self, socket: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.socket, self.loop, self.port = socket, loop, 0
        self.delay_s = 0.0  #: before each chunk of bytes is passed on, in both directions
        self.is_held_up = False  #: nothing is passed on, and no connection ends
        self.is_down = False  #: every connection is refused
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def drop(self) -> None:
        """End every connection without a word, as a router does that is restarted."""
        self.loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        self.delay_s, self.is_held_up, self.is_down = 0.0, False, False

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        writers = {to_client}
        try:
            if not self.is_down:
                from_server, to_server = await asyncio.open_unix_connection(self.socket)
                writers.add(to_server)
                self._writers |= writers
                await asyncio.gather(self._pass_on(from_client, to_server), self._pass_on(from_server, to_client))
        except OSError:
            pass  # the server is down, or one side has ended
        finally:
            self._writers -= writers
            for writer in writers:
                writer.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(_CHUNK):
            await asyncio.sleep(self.delay_s)
            while self.is_held_up:
                await asyncio.sleep(0.05)
            target.write(chunk)
            await target.drain()
        target.close()  # the other direction then ends, too


@contextmanager
def proxies(socket: Path, count: int) -> Iterator[list[Proxy]]:
    """So many proxies, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = [Proxy(socket, loop) for _ in range(count)]
    servers = [asyncio.run_coroutine_threadsafe(proxy.open(), loop).result(10) for proxy in made]
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(_end(made, servers), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(made: list[Proxy], servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    for proxy in made:
        proxy.heal()
        proxy._drop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
