"""A night through the installed programs whose queue is on a PostgreSQL server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.acceptance.conftest import House
from tests.acceptance.nights import QUICK, Night


@pytest.fixture
def address(cluster: postgres.Cluster) -> Iterator[str]:
    url = cluster.create()
    yield url
    cluster.drop(url)


def test_a_night_of_two_rounds_and_a_program_run_on_a_server(
    address: str, house: House, cluster: postgres.Cluster
) -> None:
    """Every piece once, a report per round, the same words as on SQLite; nothing is written to
    var/jarvis.db. At the end the machine is known as stopped."""
    night = Night(house, jobs=2, pieces=3, rounds=2, settings=f'{QUICK}database: "{address}"\n')
    run = night.submit()
    house.daemon()
    jobs = house.settled(run)
    assert {job["status"] for job in jobs.values()} == {"succeeded"}, jobs
    pieces = cluster.sql("SELECT count(*), count(DISTINCT (job, number)) FROM piece", postgres.name_of(address))
    assert pieces == [(12, 12)]
    assert (house.root / "var" / "results" / run / "REPORT.md").is_file()
    program = house.enqueue("command", "--", "/bin/sh", "-c", "echo said; exit 3")
    assert [job["status"] for job in house.settled(program).values()] == ["failed"]
    assert "said" in house.ctl("logs", "command:sh").stdout
    assert f"database  {address}" in house.ctl("config").stdout
    assert not (house.root / "var" / "jarvis.db").exists()
    house.ctl("stop")
    ((facts,),) = cluster.sql("SELECT facts FROM machine", postgres.name_of(address))
    assert json.loads(str(facts))["stopped"] is True


def test_without_its_server_every_verb_says_so_in_one_line(house: House, tmp_path: Path) -> None:
    """And a submission writes nothing."""
    Night(house, jobs=1, pieces=1, settings=f'database: "postgresql:///jarvisd?host={tmp_path}"\n')
    for words in (("enqueue", "night"), ("status",)):
        error = house.ctl(*words, code=1).stderr
        assert error.startswith("jarvisctl: the database on this computer is out of reach"), error
        assert error.count("\n") == 1
