"""A PostgreSQL server for the tests: Debian's programs, a folder of its own, a Unix socket. Nothing outlives it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from jarvisd.paths import Home

USER = "jarvis"
_SMALL = ("shared_buffers=32MB", "max_connections=120")
#: Nothing of a test has to survive a power cut.
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", *_SMALL)
#: Each commit is flushed, as in service.
DURABLE = _SMALL


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps them off PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if folders and (folders[-1] / "initdb").exists():
        return folders[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def skip_without_server() -> None:
    if programs() is None:
        pytest.skip("there is no PostgreSQL server on this computer: Debian's package is `postgresql`")


@dataclass
class Cluster:
    """A running server."""

    folder: Path
    bin: Path

    def url(self, name: str) -> str:
        return f"postgresql:///{name}?host={self.folder}&user={USER}"

    def create(self, template: str = "template0") -> str:
        """The address of a new database, a copy of another one."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, url: str) -> None:
        self.sql(f'DROP DATABASE IF EXISTS "{name_of(url)}" WITH (FORCE)')

    def empty(self, url: str) -> None:
        """Remove every row of jarvisd but the records of the schema: ten times as quick as a new database."""
        name = name_of(url)
        tables = self.sql(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", name
        )
        names = [f'"{table}"' for (table,) in tables if table != "migration"]
        self.sql(
            f"SET session_replication_role = replica; {'; '.join(f'DELETE FROM {table}' for table in names)}", name
        )

    def sql(self, statement: str, name: str = "postgres") -> list[tuple[object, ...]]:
        """Execute a statement as the owner, outside the code under test."""
        import psycopg

        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def ctl(self, *words: str) -> None:
        """Call pg_ctl."""
        _call(self.bin / "pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", *words)


def name_server(home: Home, url: str) -> None:
    """Have a home use that database."""
    (home.root / "config").mkdir(parents=True, exist_ok=True)
    with (home.root / "config" / "settings.yaml").open("a") as settings:
        settings.write(f'database: "{url}"\n')


def name_of(url: str) -> str:
    return url.removeprefix("postgresql:///").partition("?")[0]


@contextmanager
def running(settings: tuple[str, ...] = QUICK) -> Iterator[Cluster]:
    """A server for as long as this is open."""
    folder = Path(tempfile.mkdtemp(prefix="jarvisd-pg-", dir="/tmp"))  # short: a socket's path is limited
    binaries = programs()
    assert binaries is not None
    cluster = Cluster(folder, binaries)
    if os.geteuid() == 0:
        shutil.chown(folder, _unprivileged().pw_name)
    try:
        words = ("-D", str(folder / "data"), "-U", USER, "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
        _call(binaries / "initdb", *words)
        options = [f"-c {option}" for option in (*settings, "listen_addresses=''", f"unix_socket_directories={folder}")]
        cluster.ctl("-l", str(folder / "log"), "-o", " ".join(options), "start")
        try:
            yield cluster
        finally:
            cluster.ctl("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(*words: str | Path) -> None:
    """Run a program of the server, which refuses to be root's."""
    user = _unprivileged() if os.geteuid() == 0 else None
    demoted = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=120, cwd="/", check=False, **demoted
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
