"""Text from outside, such as a model folder's, forges no line and no escape wherever it is written."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from jarvisd import cli, logs
from jarvisd.operations import placeholder, submit
from jarvisd.paths import Home
from jarvisd.registry import Outcome
from jarvisd.store import database, queries, queue, transitions
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker import main as worker
from tests.claiming import claim, claimed

MakeRun = Callable[..., Run]
Sink = Callable[[Home, MakeRun], str | None]
#: An escape, a bell, C1, a change of direction, four kinds of line break, a lone surrogate.
HOSTILE = "x\x1b]0;t\x07\x9b31m\u202egnp\u2066\r\nFORGED a\x85FORGED b\u2028FORGED c\u2029FORGED d\udc80\x00"

#: The same as a name that a database and a command line can hold.
NAME = HOSTILE.replace("\udc80", "").replace("\0", "")


def _run_log(home: Home, make_run: MakeRun) -> str:
    run = make_run("mine")
    logs.append(home, run.id, HOSTILE)
    return logs.run_log(home, run.id).read_text("utf-8")


def _job_log_and_run_log(home: Home, make_run: MakeRun) -> str:
    run = make_run("mine")
    logs.make_folder(home, run.id)
    log = logs.logger(home, run.id, f"50%(x)s {HOSTILE}")
    log.error("%s", HOSTILE)
    for handler in list(log.handlers):
        handler.close()
        log.removeHandler(handler)
    return logs.run_log(home, run.id).read_text("utf-8")


@contextmanager
def _daemon_log(home: Home) -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    logs.daemon_logging(home, foreground=False)
    yield logging.getLogger("jarvisd")
    for handler in [handler for handler in root.handlers if handler not in before]:
        handler.close()
        root.removeHandler(handler)
    root.setLevel(level)
    logging.raiseExceptions = raising


def _jarvisd_log(home: Home, make_run: MakeRun) -> str:
    with _daemon_log(home) as log:
        log.warning("a model is called %s", HOSTILE)
    return (home.logs / "jarvisd.log").read_text("utf-8")


def _place_of_an_exception(home: Home, make_run: MakeRun) -> str:
    with _daemon_log(home) as log:
        try:
            exec(compile("1 / 0", HOSTILE.replace("\0", ""), "exec"))
        except ZeroDivisionError:
            log.exception("an error")
    return (home.logs / "jarvisd.log").read_text("utf-8")


def _stored(column: str) -> str:
    (value,) = database.db.execute_sql(f"SELECT {column} FROM job ORDER BY id LIMIT 1").fetchone()
    return str(value)


def _reason_of_a_settled_job(home: Home, make_run: MakeRun) -> str:
    make_run("mine")
    transitions.settle(claimed(), Status.FAILED, HOSTILE, database.now())
    return _stored("reason")


def _reason_of_a_requeued_job(home: Home, make_run: MakeRun) -> str:
    make_run("mine")
    transitions.requeue(claimed(), HOSTILE)
    return _stored("reason")


def _reason_of_a_skipped_job(home: Home, make_run: MakeRun) -> str:
    run = make_run("mine")
    queue.skip(queries.jobs_of(run), HOSTILE, database.now())
    return _stored("reason")


def _reason_of_a_deferred_job(home: Home, make_run: MakeRun) -> str:
    run = make_run("mine")
    transitions.defer(queries.jobs_of(run), HOSTILE, until=database.now(), since=database.now())
    return _stored("reason")


def _reason_of_an_outcome(home: Home, make_run: MakeRun) -> str:
    make_run("mine")
    worker._commit(claim(home), Outcome(ok=False, reason=HOSTILE))
    return str(Job.get().outcome["reason"])


def _note_of_a_job(home: Home, make_run: MakeRun) -> str:
    make_run("mine")
    claim(home).progress(1, 1, HOSTILE)
    return _stored("note")


def _warnings_of_a_run(home: Home, make_run: MakeRun) -> str:
    run = Run(plan="p", night="2026-11-22", created_at=database.now(), snapshot={"plan": {}}, warnings=[HOSTILE])
    (returned,) = submit.store(home, run, [Job(name="mine", kind="mine", place=0, params={})]).warnings
    (stored,) = Run.get(Run.plan == "p").warnings
    return f"{returned}\n{stored}"


def _page_of_a_failed_report(home: Home, make_run: MakeRun) -> str:
    run = make_run(f"mine {NAME}")
    Job.update(reason=HOSTILE).execute()
    placeholder.plain_report(home, run, HOSTILE)
    return (home.run_folder(run.id) / "REPORT.md").read_text("utf-8")


def _on_the_terminal(*words: str) -> Sink:
    def call(home: Home, make_run: MakeRun) -> None:
        make_run(f"mine {NAME}")
        Job.update(reason=HOSTILE).execute()
        database.disconnect()
        with pytest.raises(SystemExit):
            cli.main(["--home", str(home.root), *words])

    return call


@contextmanager
def uncaptured() -> Iterator[None]:
    """Without pytest's own copy of the log: tests that run in several processes cannot pass on a lone surrogate."""
    root = logging.getLogger()
    captors = [handler for handler in root.handlers if type(handler).__module__.startswith("_pytest")]
    for handler in captors:
        root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in captors:
            root.addHandler(handler)


#: Unicode categories of what is not shown, and of line and paragraph breaks.
CONTROL = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
SINKS: dict[str, Sink] = {
    "experiment.log": _run_log,
    "a job's own lines": _job_log_and_run_log,
    "jarvisd.log": _jarvisd_log,
    "the place of an exception": _place_of_an_exception,
    "settled": _reason_of_a_settled_job,
    "requeued": _reason_of_a_requeued_job,
    "skipped": _reason_of_a_skipped_job,
    "deferred": _reason_of_a_deferred_job,
    "outcome": _reason_of_an_outcome,
    "note": _note_of_a_job,
    "warnings": _warnings_of_a_run,
    "REPORT.md": _page_of_a_failed_report,
    "status": _on_the_terminal("status"),
    "an error": _on_the_terminal("wait", NAME),
    "enqueue": _on_the_terminal("enqueue", "command", "--", NAME),
    "cancel": _on_the_terminal("cancel", "latest"),
    "status --json": _on_the_terminal("status", "--json"),
    "runs --json": _on_the_terminal("runs", "--json"),
}


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_hostile_text_is_one_plain_line_in_every_sink(
    sink: Sink, home: Home, make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a job, a log, the database or the terminal gets holds the words, and none of their special characters."""
    with uncaptured():
        written = sink(home, make_run) or ""
    text = written + "".join(capsys.readouterr())
    assert "FORGED d" in text
    assert [line for line in text.splitlines() if line.startswith("FORGED")] == []
    assert {character for character in text if unicodedata.category(character) in CONTROL} <= {"\n"}
