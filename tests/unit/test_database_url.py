"""`database` in settings.yaml: which addresses are taken, and that an error names file and line but no password."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.errors import PlanError
from jarvisd.paths import Home
from jarvisd.plan import settings
from jarvisd.store import location


def read(folder: Path, text: str) -> str | None:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "settings.yaml").write_text(text)
    return settings.read(Home(folder, "--home")).database


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///jarvisd",
        "postgresql:///jarvisd?host=/var/run/postgresql&user=me",
        "postgres://me@localhost/jarvisd",
        "postgresql://me@127.0.0.1:5433/jarvisd",
        "postgresql://me@[::1]:5433/jarvisd",
        "postgresql://me@hub.local/jarvisd?sslmode=verify-full&sslrootcert=/etc/root.crt",
        "postgresql://me@one,two/jarvisd?sslmode=verify-full",
    ],
)
def test_an_address_that_is_local_or_verified_is_taken(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, f'database: "{url}"\n') == url
    assert location.server(Home(tmp_path, "--home")) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me@hub.local/jarvisd", "hub.local is another computer"),
        ("postgresql://me@hub.local/jarvisd?sslmode=require", "not be encrypted and verified"),
        ("postgresql://me@hub.local/jarvisd?sslmode=verify-full&sslmode=disable", "hub.local is another computer"),
        ("postgresql://me@localhost.evil/jarvisd", "localhost.evil is another computer"),
        ("postgresql://me@127.evil/jarvisd", "127.evil is another computer"),
        ("postgresql://me@localhost,hub/jarvisd", "hub is another computer"),
        ("postgresql://me@localhost/jarvisd?host=hub", "hub is another computer"),
        ("postgresql://me@localhost/jarvisd?hostaddr=10.0.0.7", "10.0.0.7 is another computer"),
        ("postgresql://me@hub%2elocal/jarvisd", "hub.local is another computer"),
        ("postgresql:///jarvisd?service=hub", "not a service"),
        ("mysql://me@localhost/jarvisd", "must be the address of a PostgreSQL database"),
        ("postgresql://localhost", "must be the address of a PostgreSQL database"),
        ("var/other.db", "must be the address of a PostgreSQL database"),
        ("postgresql://[::1/jarvisd", "is not an address"),
        ("postgresql:///jarvisd?host", "is not an address"),
    ],
)
def test_another_address_is_an_error_with_file_and_line(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(PlanError, match=words) as caught:
        read(tmp_path, f'keep: 3\ndatabase: "{url}"\n')
    assert "settings.yaml:2: database: " in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://me:s3cret@localhost/jarvisd", "postgresql:///jarvisd?password=s3cret"])
def test_a_password_is_refused_without_being_repeated_and_pgpass_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(PlanError, match=r"must hold no password\. Write it into ~/\.pgpass") as caught:
        read(tmp_path, f'database: "{url}"\n')
    assert "s3cret" not in str(caught.value)


def test_a_private_network_is_named_by_a_word_of_its_own(tmp_path: Path) -> None:
    url = "postgresql://me@10.0.0.7/jarvisd"
    assert read(tmp_path, f'database: "{url}"\ndatabase_without_tls: true\n') == url


@pytest.mark.parametrize("text", ["", "keep: 3\n", '# database: "postgresql:///jarvisd"\n', "database: null\n"])
def test_without_an_address_the_database_is_the_file(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) is None
    assert location.server(Home(tmp_path, "--home")) == ""


@pytest.mark.parametrize("text", ["keep: [", "  # database: postgresql:///jarvisd\nkeep: ["])
def test_settings_that_name_no_database_are_not_parsed_for_it(tmp_path: Path, text: str) -> None:
    """They are read by every `status`, and whoever needs them says what is wrong with them."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.yaml").write_text(text)
    assert location.server(Home(tmp_path, "--home")) == ""
