"""Two versions at once: a database is never migrated under a daemon that does not know its new schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from jarvisd import __version__, logs
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.errors import LedgerError
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, migrations, transitions
from jarvisd.store.models import Job, Run, Status
from tests.claiming import claimed

MakeRun = Callable[..., Run]

#: A daemon of some version, as far as its lock file shows: its entry is argv[2], with its own pid where that is null.
_DAEMON = (
    "import fcntl, json, os, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
    "entry = json.loads(sys.argv[2]); entry['pid'] = entry['pid'] or os.getpid();"
    "lock.write(json.dumps(entry)); lock.flush(); print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def daemon_of(home: Home, version: str, pid: int | None = None) -> Iterator[None]:
    """Another process holds the lock of the home, under that version and pid (None: its own)."""
    entry = json.dumps({"pid": pid, "since": "22:00", "version": version})
    words = [sys.executable, "-c", _DAEMON, str(home.lock), entry]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            holder.kill()


@pytest.fixture
def old(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose database lacks the newest migration of this version."""

    def newest() -> None:
        database.db.execute_sql("ALTER TABLE job RENAME COLUMN note TO remark")

    monkeypatch.setattr(migrations, "OWN", [*migrations.OWN, newest])
    monkeypatch.setattr(migrations, "folders", dict)  # scripts are counted to save time; this migration has none
    return home


def test_a_client_does_not_migrate_under_a_daemon_of_another_version(old: Home) -> None:
    have = migrations.applied()
    with daemon_of(old, "0.0.9"), pytest.raises(LedgerError) as refused:
        migrations.migrate(old)
    assert "jarvisd 0.0.9 runs" in str(refused.value)
    assert "jarvisctl restart" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert migrations.applied() == have
    assert not (old.var / "backups").exists()


def test_a_verb_that_reads_does_not_migrate_either(old: Home) -> None:
    with daemon_of(old, "0.0.9"), pytest.raises(LedgerError, match="restart"):
        migrations.open_existing(old)


def test_a_client_migrates_where_no_daemon_runs(old: Home) -> None:
    migrations.migrate(old)
    assert migrations.matches_code()


def test_a_client_leaves_the_migration_to_a_daemon_of_its_own_version_that_is_starting(
    old: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder of the lock migrates: here this process does, at the client's first look after its refusal to."""
    migrates = [migrations.applied(), migrations.applied(), {p: len(m) for p, m in migrations.known().items()}]
    monkeypatch.setattr(migrations, "applied", lambda: migrates.pop(0) if len(migrates) > 1 else migrates[0])
    with daemon_of(old, __version__):
        migrations.migrate(old)
    assert not (old.var / "backups").exists()  # the client changed nothing


def test_a_client_does_not_migrate_under_a_daemon_that_says_the_same_version_and_does_not_migrate(
    old: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout, whose code changes while its version stays."""
    monkeypatch.setattr(migrations, "_DAEMON_STARTS_S", 0.2)
    have = migrations.applied()
    with daemon_of(old, __version__), pytest.raises(LedgerError, match="jarvisctl restart"):
        migrations.migrate(old)
    assert migrations.applied() == have


def test_the_entry_of_a_daemon_that_has_ended_does_not_count(old: Home) -> None:
    """The next daemon has the lock already, and is about to write its own entry."""
    with subprocess.Popen(["true"]) as ended:
        pass
    with daemon_of(old, "0.0.9", ended.pid):
        migrations.migrate(old)
    assert migrations.matches_code()


def test_a_database_without_a_pending_migration_is_opened_under_any_daemon(home: Home) -> None:
    with daemon_of(home, "0.0.9"):
        migrations.migrate(home)
        assert migrations.open_existing(home)


@pytest.mark.parametrize("job_name", ["command:x", "report"])
@pytest.mark.parametrize("change", ["older", "newer"])
def test_a_worker_of_another_version_than_its_database_does_nothing_and_its_job_waits_for_a_restart(
    home: Home, make_run: MakeRun, change: str, job_name: str
) -> None:
    """Both kinds of worker: the one that imports next to nothing, and the one of every other job."""
    run = make_run(job_name)
    touched = home.var / "touched"
    params = {"program": ["touch", str(touched)], "cwd": "/", "env": {"PATH": os.environ["PATH"]}}
    Job.update(params=params, max_attempts=1).execute()
    if change == "newer":
        migrations.Applied.create(package="jarvisd", number=99, name="later", at=database.now())
    else:
        newest = migrations.Applied.number == len(migrations.OWN)
        migrations.Applied.delete().where(migrations.Applied.package == "jarvisd", newest).execute()
    logs.make_folder(home, run.id)
    Supervisor(home, "here", Settings(), threading.Event()).attempt(claimed()).run()
    job = Job.get()
    assert not touched.exists()
    assert (job.status, job.reason) == (
        Status.QUEUED,
        "jarvisd was upgraded while it ran; `jarvisctl restart` starts the new version",
    )
    assert 50 < (job.not_before - database.now()).total_seconds() <= 60
    assert job.attempt - job.attempt_base == 0
    assert job.starts_without_progress == 0 < transitions.MAX_STARTS_GIVEN_BACK
