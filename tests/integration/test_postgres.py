"""What is particular to PostgreSQL: its schema, its errors, its clock, its lock, lost connections."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import peewee
import psycopg
import pytest

from jarvisd.errors import LedgerError
from jarvisd.operations.doctor import server
from jarvisd.paths import Home
from jarvisd.store import database, login, migrations, models, schema, wakeup
from jarvisd.store import postgres as dialect
from jarvisd.store.dialect import ErrorKind
from jarvisd.store.models import GivenRun, Job, Run
from jobs.lib.results import tables as results
from tests import postgres

MakeRun = Callable[..., Run]
SERVER = pytest.mark.parametrize("home", ["postgres"], indirect=True)
#: peewee's types of columns, as the scripts write them: SQLite limits neither the size of a number nor that of a text.
TYPES = {"character varying": "text", "integer": "bigint"}


@pytest.fixture
def empty_server(cluster: postgres.Cluster, tmp_path: Path) -> Iterator[Home]:
    """A home whose database has no tables yet."""
    home = Home(tmp_path / "home", "--home")
    url = cluster.create()
    postgres.name_server(home, url)
    yield home
    database.disconnect()
    cluster.drop(url)


Shape = dict[str, tuple[set[tuple[str, str, bool, bool]], set[tuple[tuple[str, ...], bool]]]]


def shape(names: list[str], schema_name: str) -> Shape:
    """Table -> its columns (name, type, may it be null, is it generated) and its indexes (columns, unique)."""
    shapes: Shape = {}
    for table in names:
        columns = {
            (column.name, TYPES.get(column.data_type, column.data_type), column.null, column.identity)
            for column in database.db.get_columns(table, schema_name)
        }
        indexes = database.db.get_indexes(table, schema_name)
        shapes[table] = columns, {(tuple(index.columns), index.unique) for index in indexes}
    return shapes


@SERVER
def test_the_schema_on_a_server_is_what_the_models_say(home: Home) -> None:
    """Names, types, whether a value may be missing, generated ids, indexes."""
    tables = [
        model for model in database.Record.__subclasses__() if model.__module__ in (models.__name__, results.__name__)
    ]
    names = [model._meta.table_name for model in tables]
    with database.write():
        database.db.execute_sql("CREATE SCHEMA expected")
        database.db.execute_sql("SET LOCAL search_path TO expected")
        database.db.create_tables(tables, safe=False)
        expected = shape(names, "expected")
        database.db.execute_sql("DROP SCHEMA expected CASCADE")
    present = shape(names, "public")
    for name in names:
        assert present[name] == expected[name], name


@SERVER
def test_rows_go_with_their_run_on_a_server_too(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    results.TurnExample.create(run=run, place=0, incoming="a", answer="b")
    Run.delete().where(Run.id == run.id).execute()
    assert (Job.select().count(), results.TurnExample.select().count()) == (0, 0)


@SERVER
def test_numbers_keep_their_precision_and_size_and_texts_have_no_limit(home: Home, make_run: MakeRun) -> None:
    make_run("mine", plan="p" * 400)
    Job.update(pid_started=1764240000.123, memory_mb=2**40, note="n" * 400).execute()
    job = Job.get()
    assert (job.pid_started, job.memory_mb, len(job.note), len(Run.get().plan)) == (1764240000.123, 2**40, 400, 400)


@SERVER
def test_a_text_with_nul_is_stored_with_the_replacement_character(home: Home, make_run: MakeRun) -> None:
    run = make_run("mine")
    results.TurnExample.create(run=run, place=0, incoming="a\0b", answer="")
    assert results.TurnExample.get().incoming == "a\ufffdb"


def test_each_later_step_of_a_package_has_its_script_for_postgresql() -> None:
    for package, functions in migrations.known().items():
        folder = migrations.folders()[package]
        base, _ = schema.whole_on_server(folder)
        path = Path(sys.modules[folder].__path__[0]) / "schema"
        later = {script.name for script in path.glob("*.sql") if int(script.name.partition("_")[0]) > base}
        assert later <= {script.name for script in (path / "postgres").glob("*.sql")}
        assert base <= len(functions)


def test_a_new_database_has_every_step_recorded_and_the_queue_of_messages(empty_server: Home) -> None:
    assert not migrations.open_existing(empty_server)
    migrations.migrate(empty_server)
    assert migrations.matches_code()
    assert migrations.open_existing(empty_server)
    assert [model.select().count() for model in wakeup.messages().tables] == [0] * 4
    assert not empty_server.database.exists()
    assert not (empty_server.var / "backups").exists()


def test_two_programs_that_migrate_at_once_make_one_schema(empty_server: Home) -> None:
    code = "import sys; from jarvisd import paths; from jarvisd.store import migrations; "
    code += "migrations.migrate(paths.find(sys.argv[1]))"
    words = [sys.executable, "-c", code, str(empty_server.root)]
    programs = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(program.communicate()[1], program.returncode) for program in programs] == [("", 0)] * 2
    assert migrations.open_existing(empty_server)
    assert migrations.matches_code()


def test_the_database_of_another_program_is_left_alone(empty_server: Home, cluster: postgres.Cluster) -> None:
    name = postgres.name_of(dialect_url(empty_server))
    cluster.sql("CREATE TABLE theirs (a INTEGER)", name)
    with pytest.raises(LedgerError, match="database of another program"):
        migrations.migrate(empty_server)
    assert cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == [("theirs",)]


def dialect_url(home: Home) -> str:
    from jarvisd.store import location

    return location.server(home)


@SERVER
def test_a_newer_schema_on_a_server_is_refused(home: Home) -> None:
    migrations.Applied.create(package="jarvisd", number=99, name="future", at=database.now())
    try:
        with pytest.raises(LedgerError, match="newer version"):
            migrations.open_existing(home)
    finally:
        migrations.Applied.delete().where(migrations.Applied.number == 99).execute()


# ------------------------------------------------------------------------------------------------ writers, connections


@SERVER
def test_a_writer_waits_for_the_one_before_it_and_gives_up_after_its_patience(home: Home) -> None:
    database.connect(home.database, server=dialect_url(home), patience_s=0, wait_s=0.2)
    began, end = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            began.set()
            end.wait(4)
        database.db.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert began.wait(10)
    with pytest.raises(peewee.OperationalError) as caught, database.write():
        raise AssertionError("two writers at once")
    assert database.is_busy(caught.value)
    assert database.may_pass(caught.value)
    end.set()
    holder.join()
    with database.write(patience_s=20):
        assert database.db.in_transaction()


@SERVER
def test_the_server_ends_a_transaction_that_does_nothing_and_its_commit_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a computer that fell asleep in it: other writers go on, and what it held is not stored."""
    monkeypatch.setattr(dialect, "IDLE_IN_TRANSACTION_S", 0.2)
    database.connect(home.database, server=dialect_url(home))
    with pytest.raises(peewee.PeeweeException) as caught, database.write():
        GivenRun.create(id="late")
        threading.Event().wait(0.6)
    assert database.is_out_of_reach(caught.value)
    with database.write(patience_s=5):
        assert GivenRun.select().count() == 0


def cut(home: Home, cluster: postgres.Cluster) -> None:
    """End every connection to the database of this home."""
    name = postgres.name_of(dialect_url(home))
    cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@SERVER
def test_a_statement_that_writes_is_not_sent_again(home: Home, cluster: postgres.Cluster) -> None:
    """Its answer may be all that was lost: a line of a log would then be stored twice."""
    cut(home, cluster)
    with pytest.raises(peewee.OperationalError) as caught:
        GivenRun.create(id="once")
    assert database.is_out_of_reach(caught.value)
    assert GivenRun.select().count() == 0


@SERVER
def test_a_connection_that_was_ended_is_opened_again(home: Home, cluster: postgres.Cluster) -> None:
    """By reading and by writing; a transaction that it had begun fails, and nothing of it is stored."""
    cut(home, cluster)
    assert Run.select().count() == 0
    cut(home, cluster)
    with database.write():
        GivenRun.create(id="kept")
    with pytest.raises(peewee.OperationalError) as caught, database.write():
        GivenRun.create(id="lost")
        cut(home, cluster)
        GivenRun.create(id="lost too")
    assert database.is_out_of_reach(caught.value)
    assert "terminating connection" in str(caught.value)  # and not that there is none to roll back
    assert [row.id for row in GivenRun.select()] == ["kept"]


@SERVER
def test_changes_differ_after_a_commit_of_any_program_and_not_after_reading(
    home: Home, cluster: postgres.Cluster
) -> None:
    before = database.changes()
    assert Run.select().count() == 0
    assert database.changes() == before
    cluster.sql("INSERT INTO given_run VALUES ('another program')", postgres.name_of(dialect_url(home)))
    between = database.changes()
    assert between != before
    GivenRun.create(id="own")
    assert database.changes() not in (before, between)


@SERVER
def test_the_time_is_the_servers(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    real = dt.datetime

    class Slow(dt.datetime):
        """A clock that is ten minutes behind."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return real.now(tz) - dt.timedelta(minutes=10)

    true = dt.datetime.now(dt.UTC)
    monkeypatch.setattr(dt, "datetime", Slow)
    database.connect(home.database, server=dialect_url(home))
    assert Run.select().count() == 0
    assert abs((database.now() - true).total_seconds()) < 5
    assert dialect.clock_ahead() > dt.timedelta(minutes=9)


@SERVER
def test_a_connection_says_which_program_it_is_and_has_its_limits(home: Home) -> None:
    name = database.db.execute_sql("SELECT current_setting('application_name')").fetchone()[0]
    assert name.startswith("jarvisd ")
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    shown = [database.db.execute_sql(f"SHOW {limit}").fetchone()[0] for limit in limits]
    assert shown == ["2min", "10s", "5s"]
    given = database.db.connection().info.get_parameters()
    kept_alive = {"keepalives_idle": "30", "keepalives_interval": "15", "keepalives_count": "3"}
    assert given.get("keepalives", "1") == "1"
    assert given.items() >= (kept_alive | {"connect_timeout": "10", "tcp_user_timeout": "75000"}).items()
    for _ in range(7):  # the driver prepares a statement at its sixth use; a pooler may not know it then
        assert Run.select().count() == 0
    assert database.db.execute_sql("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_the_environment_does_not_lead_to_another_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a host means a Unix socket of this computer, whatever PGHOST says."""
    for name in ("PGHOST", "PGHOSTADDR"):
        monkeypatch.setenv(name, "192.0.2.1")
    options = psycopg.conninfo.conninfo_to_dict("postgresql:///nothing")
    connected = {**login._CONNECTION, **options, "connect_timeout": 2}
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(**connected)
    assert "192.0.2.1" not in str(caught.value)


# ---------------------------------------------------------------------------------------------------------- its errors


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull, ErrorKind.DISK_FULL),
        (psycopg.errors.LockNotAvailable, ErrorKind.BUSY),
        (psycopg.errors.DeadlockDetected, ErrorKind.BUSY),
        (psycopg.errors.QueryCanceled, ErrorKind.BUSY),
        (psycopg.errors.AdminShutdown, ErrorKind.OUT_OF_REACH),
        (psycopg.errors.ConnectionFailure, ErrorKind.OUT_OF_REACH),
        (psycopg.errors.IdleInTransactionSessionTimeout, ErrorKind.OUT_OF_REACH),
        (psycopg.OperationalError, ErrorKind.OUT_OF_REACH),
        (psycopg.errors.InsufficientPrivilege, ErrorKind.REFUSED),
        (psycopg.errors.InvalidPassword, ErrorKind.REFUSED),
        (psycopg.errors.ReadOnlySqlTransaction, ErrorKind.READ_ONLY),
        (psycopg.errors.DataCorrupted, ErrorKind.DAMAGED),
        (psycopg.errors.UniqueViolation, ErrorKind.OTHER),
    ],
)
def test_an_error_is_known_by_its_code_and_not_by_its_words(error: type[psycopg.Error], kind: ErrorKind) -> None:
    cause = error("in whatever language")
    assert dialect.describe_error(cause) is kind
    assert dialect.describe_error(peewee.OperationalError(cause, *cause.args)) is kind


def test_another_error_is_none_of_the_database() -> None:
    assert dialect.describe_error(ValueError("disk is full")) is None


def test_a_server_that_does_not_run_is_one_clear_error(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "--home")
    postgres.name_server(home, f"postgresql:///jarvisd?host={tmp_path}")
    with pytest.raises(LedgerError, match="the database on this computer is out of reach") as caught:
        migrations.migrate(home)
    assert len(str(caught.value).splitlines()) == 1


def test_a_new_database_in_a_file_loads_no_driver_of_a_server(tmp_path: Path) -> None:
    """The file is opened before Huey is imported, which would load the driver wherever it is installed."""
    code = (
        "import sys; from jarvisd.cli import cli; "
        f"cli(['--home', {str(tmp_path)!r}, 'enqueue', 'command', '--', 'true'], standalone_mode=False); "
        "print('huey' in sys.modules, 'psycopg.pq' in sys.modules); import psycopg"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True False"


def test_without_the_extra_one_error_says_how_to_install_it(tmp_path: Path) -> None:
    code = "import sys, jarvisd.store as store; store.show_driver = lambda: None; "
    code += "from jarvisd.cli import main; main(['status'])"
    home = Home(tmp_path / "home", "--home")
    postgres.name_server(home, f"postgresql:///jarvisd?host={tmp_path}")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"JARVISD_HOME": str(home.root), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 1
    assert done.stderr == (
        "jarvisctl: settings.yaml names a database server, and the extra `fleet` is not installed. "
        "pip install 'jarvisd[fleet]'\n"
    )


@pytest.mark.parametrize("module", ["jarvisd.daemon.main", "jarvisd.worker.main", "jarvisd.web.server", "jarvisd.cli"])
def test_a_program_on_sqlite_never_loads_the_driver(tmp_path: Path, module: str) -> None:
    """It is installed here, and peewee imports it wherever it is."""
    code = f"import sys, {module}, jarvisd.store.wakeup; from jarvisd import paths; "
    code += "from jarvisd.store import migrations; migrations.migrate(paths.find(sys.argv[1])); "
    code += "print('peewee' in sys.modules, 'psycopg' in sys.modules); "
    code += "import psycopg"  # a package of another kind of job may use it
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True False\n", "")


# ------------------------------------------------------------------------------------------------------------- doctor


@SERVER
def test_doctor_says_that_the_server_answers_and_what_is_wrong_with_the_connection(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests connect as a superuser; the clock is made wrong."""
    migrations.open_existing(home)
    assert Run.select().count() == 0
    monkeypatch.setattr(dialect, "_measure_clock", lambda _connection: None)
    monkeypatch.setattr(dialect, "_ahead", dt.timedelta(minutes=10))
    checks = server.check(home)
    assert [check.state for check in checks] == ["ok", "warning", "warning"]
    assert "superuser" in checks[1].what
    assert checks[2].what == "its clock is 600 s ahead of this computer's"


def test_doctor_says_nothing_of_a_server_where_the_database_is_a_file(tmp_path: Path) -> None:
    assert server.check(Home(tmp_path, "--home")) == []
