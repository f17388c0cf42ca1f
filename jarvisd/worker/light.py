"""The child of a job that needs none of jarvisd's libraries, such as a command.

The daemon starts it by `light_start.py`, without site-packages. It keeps every promise of `worker/main.py` and imports
next to nothing, because that is what takes its time: 20 ms instead of 300 from its start to that of the program. What
it writes stands in `store/fence.py`, for both.
"""

from __future__ import annotations

import _json
import _sqlite3  # `sqlite3` adds converters for dates
import _thread
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterator
    from typing import Any
else:
    import _signal  # `signal` makes enums of its numbers

from jarvisd import failpoints  # noqa: E402
from jarvisd.store import fence  # noqa: E402

#: How long a job tries to store that its work begins, and then its outcome, in seconds.
PATIENCE_S = 600


class Stale(Exception):
    """Another attempt is the current one."""


class NotStored(Exception):
    """What had to be stored could not be."""


class Child:
    """This process: which job it does, and whether it was asked to stop."""

    def __init__(self, words: list[str]) -> None:
        options = dict(zip(words[1::2], words[2::2], strict=True))
        self.job, self.attempt = int(words[0]), int(options["--attempt"])
        self.home, self.token, self.entry = options["--home"], options["--token"], options["--entry"]
        self.lifeline = int(options["--lifeline"])
        self.name = self.run = ""
        self.is_stopped = False

    def should_stop(self) -> bool:
        return self.is_stopped

    def ask_to_stop(self, _number: int, _frame: Any) -> None:
        self.is_stopped = True

    def open(self) -> _sqlite3.Connection:
        path = os.path.join(self.home, "var", "jarvis.db")
        database = _sqlite3.connect(path, timeout=fence.BUSY_TIMEOUT_S, isolation_level=None)
        for name, value in fence.DURABLE.items():
            database.execute(f"PRAGMA {name} = {value}")
        return database

    def remark(self, line: str) -> None:
        """Write a line to the job's log and to the run's. On a full disk it is lost."""
        stamped = f"{_zoned_time()} {self.name}: {line}\n"
        try:
            sys.stderr.write(stamped)
            with open(os.path.join(self.home, "var", "results", self.run, "experiment.log"), "a") as log:
                log.write(stamped)
        except OSError:
            pass


def _zoned_time() -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return f"{text[:-2]}:{text[-2:]}"


def main(words: list[str]) -> str:
    """Do one job. Returns the name of its exit code."""
    os.umask(0o077)
    failpoints.set_role("child")
    child = Child(words)
    if os.read(child.lifeline, 1) != b"g":
        return "DAEMON_GONE"
    os.set_inheritable(child.lifeline, False)  # or the program would hold it
    _thread.start_new_thread(_die_with_daemon, (child,))
    try:
        return _do(child)
    except Stale:
        child.remark(fence.refusal(child.job, child.attempt))
        return "STALE_ATTEMPT"
    except NotStored as error:
        child.remark(str(error))
    except _sqlite3.Error as error:  # it is damaged
        child.remark(f"the database cannot be used: {error}")
    return "NOT_STORED"


def _do(child: Child) -> str:
    """The job itself. Raises Stale and NotStored, and what SQLite raises for a database that cannot be used."""
    database = child.open()
    if database.execute(fence.SCHEMA_FOUND).fetchone() != (fence.schema(),):
        print("the database has another schema than this version of jarvisd: restart the daemon", file=sys.stderr)
        _say_other_version(child)
        return "OTHER_VERSION"
    params, is_limited = _read(database, child)
    _signal.signal(_signal.SIGTERM, child.ask_to_stop)
    failpoints.failpoint("attempt.begun")
    if is_limited:
        _patiently(child, database, "that work begins", fence.WORK_BEGAN, (child.job,))
    if database.execute(fence.WANTED, (child.job,)).fetchone() is None:
        return "CANCELLED"
    outcome = _run(child, params)
    _patiently(child, database, "the outcome", fence.OUTCOME, (_document(child, outcome), child.job), "outcome")
    return "SUCCEEDED" if outcome["ok"] else "FAILED"


def _run(child: Child, params: dict[str, Any]) -> dict[str, Any]:
    """What the job's code returns. Of an exception that it did not foresee only the type is kept."""
    try:
        return _load(child.entry)(params, child.should_stop)
    except Exception as error:
        return {"ok": False, "reason": f"unexpected {type(error).__name__} in {child.entry}", "summary": {}}


def _say_other_version(child: Child) -> None:
    from jarvisd.worker.exit_codes import LIFELINE_OTHER_VERSION  # late: few children need it

    try:
        os.write(child.lifeline, LIFELINE_OTHER_VERSION)
    except OSError:
        pass  # the daemon is gone, or of a version that only writes into it


def _read(database: _sqlite3.Connection, child: Child) -> tuple[dict[str, Any], bool]:
    """The job's parameters, and whether it has a limit of attempts. SQLite reads the JSON: `json` would import more."""
    row = "SELECT name, run_id, max_attempts, json_extract(params, '$.cwd') FROM job WHERE id = ?"
    child.name, child.run, limit, cwd = database.execute(row, (child.job,)).fetchone()
    each = "SELECT part.key, part.value FROM job, json_each(job.params, ?) AS part WHERE job.id = ? ORDER BY part.id"
    program = [value for _, value in database.execute(each, ("$.program", child.job))]
    env = dict(database.execute(each, ("$.env", child.job)).fetchall())
    return {"program": program, "cwd": cwd, "env": env}, limit is not None


def _load(dotted: str) -> Callable[[dict[str, Any], Callable[[], bool]], dict[str, Any]]:
    """The function that "package.module:name" names."""
    module, _, name = dotted.partition(":")
    __import__(module)
    return getattr(sys.modules[module], name)


def _document(child: Child, outcome: dict[str, Any]) -> str:
    """What the daemon reads when this process has ended, as JSON; see `_commit` of worker/main.py."""
    import resource  # late: the program has run meanwhile

    if not outcome["reason"].isprintable():
        from jarvisd.words import plain

        outcome["reason"] = plain(outcome["reason"])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # our own includes what the daemon had at the fork
    peak_mb = peak // (1024 * 1024 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes here
    return as_json({"attempt": child.attempt, **outcome, "peak_memory_mb": peak_mb, "next_round": []})


def as_json(value: Any) -> str:
    """Texts, whole numbers, truth values and what holds them as JSON. `json` would import ten milliseconds more."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(key)}: {as_json(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    if isinstance(value, str):
        return _json.encode_basestring(value)
    if isinstance(value, int):
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    raise TypeError(type(value).__name__)


def _patiently(
    child: Child, database: _sqlite3.Connection, what: str, statement: str, values: tuple[object, ...], point: str = ""
) -> None:
    """Write behind the fence, again and again while the disk is full or another process holds the database.

    Raises Stale, and NotStored after PATIENCE_S or when this job is asked to stop.
    """
    for is_last in _tries(child):
        try:
            _write(child, database, statement, values, point)
            return
        except _sqlite3.OperationalError as error:
            if is_last:
                raise NotStored(f"{what} cannot be stored: {type(error).__name__}") from None
        child.remark(f"{what} cannot be stored yet; trying again")
        time.sleep(2)


def _tries(child: Child) -> Iterator[bool]:
    """Whether each try is the last one."""
    end = time.monotonic() + PATIENCE_S
    while True:
        yield time.monotonic() > end or child.is_stopped


def _write(child: Child, database: _sqlite3.Connection, statement: str, values: tuple[object, ...], point: str) -> None:
    """One write transaction. Raises Stale, with nothing written, when another attempt is the current one."""
    database.execute("BEGIN IMMEDIATE")
    try:
        if database.execute(fence.CURRENT, (child.job, child.attempt)).fetchone() is None:
            raise Stale
        database.execute(statement, values)
        if point:
            failpoints.failpoint("outcome.before-commit")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
    if point:
        failpoints.failpoint("outcome.committed")


def _die_with_daemon(child: Child) -> None:
    """Wait for the end of the lifeline, then become the process that ends this job's tree: no daemon is left."""
    try:
        while os.read(child.lifeline, 1):
            pass
    except OSError:
        pass  # the daemon ended without reading what was written to it
    try:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "jarvisd.worker.orphan", "--token", child.token])
    except OSError:
        os.killpg(os.getpgrp(), _signal.SIGKILL)


def do_and_exit(words: list[str]) -> None:
    """Do the job that the words name, and end this process with its exit code."""
    name = main(words)
    from jarvisd.worker.exit_codes import ExitCode

    sys.stderr.flush()
    os._exit(ExitCode[name])
