"""The proxy of the histories does what its faults say: otherwise they would prove nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.proxy import Proxy, proxies


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """In front of a server that sends back what it receives."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen()
    threading.Thread(target=_answer, args=(server,), daemon=True).start()
    with proxies(tmp_path / "s", 1) as (made,):
        yield made
    server.close()


def _answer(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        while text := connection.recv(100):
            connection.sendall(text)


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def ask(client: socket.socket) -> float:
    """Seconds until the answer."""
    began = time.monotonic()
    client.sendall(b"text")
    assert client.recv(100) == b"text"
    return time.monotonic() - began


def is_ended(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionError:
        return True


def test_it_passes_on_both_directions_and_delays_each(proxy: Proxy) -> None:
    with connected(proxy) as client:
        ask(client)
        proxy.delay_s = 0.2
        assert ask(client) >= 0.4


def test_held_up_bytes_arrive_later(proxy: Proxy) -> None:
    with connected(proxy) as client:
        ask(client)
        proxy.is_held_up = True
        threading.Timer(0.5, proxy.heal).start()
        assert ask(client) >= 0.4


def test_a_dropped_connection_ends_and_the_next_one_serves(proxy: Proxy) -> None:
    with connected(proxy) as client:
        ask(client)
        proxy.drop()
        assert is_ended(client)
    with connected(proxy) as client:
        ask(client)


def test_an_unplugged_machine_gets_no_answer(proxy: Proxy) -> None:
    proxy.is_down = True
    with connected(proxy) as client:
        assert is_ended(client)
