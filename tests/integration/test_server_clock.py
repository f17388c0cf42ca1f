"""The clock of this computer is set while its connection to the server is open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvisd.daemon import heartbeat
from jarvisd.daemon.heartbeat import Heartbeat
from jarvisd.paths import Home
from jarvisd.store import database, machines, migrations
from tests import postgres

#: As it was measured before the clock was set by so much.
STALE = dt.timedelta(minutes=-11)


@pytest.fixture
def home(tmp_path: Path, server_database: str) -> Iterator[Home]:
    made = Home(tmp_path / "home", "--home")
    postgres.name_server(made, server_database)
    migrations.migrate(made)
    yield made
    database.disconnect()


def test_a_heartbeat_has_the_servers_time_though_the_clock_was_set_since_the_connection_was_opened(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jarvisd.store import postgres as server  # late: it needs the driver

    monkeypatch.setattr(heartbeat, "INTERVAL_S", 0.0)
    machines.register("m1", "mini", "1.0", {})
    beating = Heartbeat(home, "m1")
    monkeypatch.setattr(server, "_ahead", STALE)
    assert beating.beat_if_due()
    assert not machines.lost(database.now())
    row = machines.find("m1")
    assert row is not None
    ((now,),) = database.db.execute_sql("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()
    assert abs(row.seen_at.timestamp() - now) < 60
