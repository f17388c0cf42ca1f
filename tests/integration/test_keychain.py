"""The password of the database: from a file or, on a Mac, from the keychain, and nowhere else to be read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvisd.errors import OutOfReach
from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.store import database, location, login, migrations
from tests import postgres
from tests.fakes.mac import FakeMac

PASSWORD, OTHER = "s3cret-of-the-hub", "another-s3cret"
ASKED = ["security", "find-generic-password", "-s", "jarvisd", "-a", "guarded@localhost", "-w"]


@pytest.fixture
def guarded(cluster: postgres.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose server asks this user for a password; no file has it."""
    rules = cluster.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    with rules.open("r+") as file:  # in place: it is the server's own file
        file.write(f"local all guarded scram-sha-256\n{before}")
    cluster.ctl("reload")
    cluster.sql(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    url = cluster.create()
    name = postgres.name_of(url)
    cluster.sql(f'ALTER DATABASE "{name}" OWNER TO guarded')
    cluster.sql("ALTER SCHEMA public OWNER TO guarded", name)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    monkeypatch.setattr(login, "_kept", {})
    home = Home(tmp_path / "home", "--home")
    postgres.name_server(home, url.replace(f"user={postgres.USER}", "user=guarded"))
    yield home
    database.disconnect()
    cluster.drop(url)
    cluster.sql("DROP ROLE guarded")
    rules.write_text(before)
    cluster.ctl("reload")


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMac]:
    made = FakeMac(tmp_path / "mac")
    made.program("security", "answer")
    monkeypatch.setattr(machine, "MACOS", True)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    yield made
    made.close()


def keep(mac: FakeMac, password: str) -> None:
    """Have the keychain hold it."""
    mac.answer(" ".join(ASKED), f"{password}\n")


def connect(home: Home) -> str:
    """As a program that starts: who is connected then."""
    database.connect(home.database, server=location.server(home))
    return str(database.db.execute_sql("SELECT current_user").fetchone()[0])


def test_on_a_mac_the_keychain_gives_the_password_once_per_program(guarded: Home, mac: FakeMac) -> None:
    keep(mac, PASSWORD)
    assert [connect(guarded), connect(guarded)] == ["guarded"] * 2
    assert mac.calls("security") == [ASKED]


def test_a_password_in_a_file_comes_first(guarded: Home, mac: FakeMac, tmp_path: Path) -> None:
    (tmp_path / "pgpass").write_text(f"*:*:*:guarded:{PASSWORD}\n")
    (tmp_path / "pgpass").chmod(0o600)
    keep(mac, OTHER)
    assert connect(guarded) == "guarded"
    assert mac.calls("security") == []


def test_a_password_that_was_changed_is_asked_for_again(guarded: Home, mac: FakeMac, cluster: postgres.Cluster) -> None:
    keep(mac, PASSWORD)
    connect(guarded)
    cluster.sql(f"ALTER ROLE guarded PASSWORD '{OTHER}'")
    keep(mac, OTHER)
    assert connect(guarded) == "guarded"
    assert mac.calls("security") == [ASKED, ASKED]


def test_a_wrong_password_is_said_to_be_wrong_and_not_repeated(guarded: Home, mac: FakeMac) -> None:
    keep(mac, OTHER)
    with pytest.raises(OutOfReach, match="out of reach: password authentication failed for user") as caught:
        migrations.migrate(guarded)
    assert OTHER not in str(caught.value) + repr(caught.value.__cause__)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("on_a_mac", [True, False])
def test_without_a_password_one_error_says_where_it_belongs(
    guarded: Home, mac: FakeMac, monkeypatch: pytest.MonkeyPatch, on_a_mac: bool
) -> None:
    monkeypatch.setattr(machine, "MACOS", on_a_mac)
    with pytest.raises(OutOfReach, match="asks for the password of guarded@localhost") as caught:
        migrations.migrate(guarded)
    assert "~/.pgpass" in str(caught.value)
    assert bool(mac.calls("security")) is on_a_mac


def test_a_program_shows_the_password_nowhere(guarded: Home, mac: FakeMac) -> None:
    """Its arguments, its output, what it stores, and the environment of the program that it starts."""
    keep(mac, PASSWORD)
    programs, of_home = Path(sys.executable).parent, ("--home", str(guarded.root))
    environment = os.environ | mac.environment
    daemon = subprocess.Popen([programs / "jarvisd", *of_home], env=environment, stderr=subprocess.PIPE)
    try:
        shown = "/usr/bin/env; tr '\\0' ' ' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline"
        for verb in (["enqueue", "command", "--", "/bin/sh", "-c", shown], ["wait", "latest"], ["status"], ["doctor"]):
            words = [programs / "jarvisctl", *of_home, *verb]
            done = subprocess.run(words, env=environment, capture_output=True, timeout=120, check=False)
            assert PASSWORD.encode() not in done.stdout + done.stderr
        assert done.returncode in (0, 1) and b"PostgreSQL" in done.stdout
        assert b"PATH=" in guarded.job_log(1).read_bytes()
    finally:
        daemon.terminate()
        assert PASSWORD.encode() not in daemon.communicate(timeout=60)[1]
    stored = [path for path in guarded.root.rglob("*") if path.is_file()]
    assert [path for path in stored if PASSWORD.encode() in path.read_bytes()] == []
    assert mac.calls("security") and set(map(tuple, mac.calls("security"))) == {tuple(ASKED)}
