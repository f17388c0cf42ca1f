"""Many clients at once: each waits for its turn, and none is refused."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from jarvisd.store import fence
from tests.acceptance.conftest import BIN, House


@pytest.mark.parametrize("number", [64, pytest.param(200, marks=pytest.mark.slow)])
def test_of_many_clients_at_once_none_is_refused(house: House, number: int) -> None:
    """Another program holds the database for longer than one statement waits, so that all of them stand in line."""
    house.enqueue("command", "--", "true")
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db", isolation_level=None)) as browser:
        browser.execute("BEGIN IMMEDIATE")
        clients = [
            subprocess.Popen(
                [BIN / "jarvisctl", "enqueue", "command", "--", "true"],
                cwd=house.folder,
                env=os.environ | {"JARVISD_HOME": str(house.root)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(number)
        ]
        time.sleep(fence.BUSY_TIMEOUT_S + 15)
        browser.execute("ROLLBACK")
    refused = [errors for client in clients if (errors := client.communicate(timeout=300)[1]) and client.returncode]
    assert refused == []
    assert len(json.loads(house.ctl("runs", "-n", "1000", "--json").stdout)) == number + 1
