"""The child: `python -m jarvisd.worker`. Builds a JobContext, runs the job, commits its outcome.

It never writes a status: the daemon settles the row from the exit code (`exit_codes.py`) and the
committed outcome.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from jarvisd import failpoints, logs, registry
from jarvisd.errors import JarvisError, JobFailed, NotStored, OutOfReach, StaleAttempt
from jarvisd.paths import Home
from jarvisd.plan import settings
from jarvisd.registry import Outcome
from jarvisd.store import database, location, migrations, queries, transitions
from jarvisd.store.models import Job
from jarvisd.words import plain
from jarvisd.worker import orphan
from jarvisd.worker.context import JobContext
from jarvisd.worker.exit_codes import LIFELINE_OTHER_VERSION, LIFELINE_OUT_OF_REACH, ExitCode
from jarvisd.worker.proposal import FaultyProposal, columns_of

#: How long a job tries to store that its work begins, and then its outcome.
PATIENCE_S = 600
#: How long a job keeps what it has finished while the server of the database is out of reach, in seconds.
REACH_S = 300


class Cancelled(Exception):
    """The user has cancelled the job before its own code began."""


def main() -> ExitCode:
    """Do one job. Returns the exit code of the process."""
    os.umask(0o077)
    failpoints.set_role("child")
    options = _parser().parse_args()
    if os.read(options.lifeline, 1) != b"g":
        return ExitCode.DAEMON_GONE
    threading.Thread(target=_die_with_daemon, args=(options.lifeline, options.token), daemon=True).start()
    logs.quiet_libraries()
    home = Home(Path(options.home), "--home")
    try:
        code = _do(home, options)
    except Exception as error:
        if not database.is_out_of_reach(error):
            raise
        print(f"{database.out_of_reach().what}: the job ends, keeps what was stored, and starts again", file=sys.stderr)
        code = ExitCode.OUT_OF_REACH
    _say_why(options.lifeline, code)
    return code


def _say_why(lifeline: int, code: ExitCode) -> None:
    """Say in the lifeline that the job's own code did not choose this exit code, where the job is started again."""
    word = {ExitCode.OTHER_VERSION: LIFELINE_OTHER_VERSION, ExitCode.OUT_OF_REACH: LIFELINE_OUT_OF_REACH}.get(code)
    if word:
        with contextlib.suppress(OSError):  # the daemon is gone, or of a version that only writes into it
            os.write(lifeline, word)


def _do(home: Home, options: argparse.Namespace) -> ExitCode:
    """Do the job. Raises OutOfReach, or the database's own error, where the server does not answer for REACH_S."""
    server = location.server(home)
    database.connect(home.database, server=server, patience_s=database.LONG_PATIENCE_S, reach_s=REACH_S)
    if not migrations.matches_code():
        print("the database has another schema than this version of jarvisd: restart the daemon", file=sys.stderr)
        return ExitCode.OTHER_VERSION
    job = Job.get_by_id(options.job)
    context = _context(home, job, options.attempt)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _ask_to_stop(context, _frame))
    failpoints.failpoint("attempt.begun")
    try:
        outcome = _run(context, job.kind, is_limited=job.max_attempts is not None)
        _commit(context, outcome)
    except StaleAttempt as stale:
        context.log.warning("%s", stale)
        return ExitCode.STALE_ATTEMPT
    except Cancelled:
        return ExitCode.CANCELLED
    except OutOfReach:
        raise
    except JarvisError as error:
        context.log.error("%s", error)
        return ExitCode.NOT_STORED
    return ExitCode.SUCCEEDED if outcome.ok else ExitCode.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jarvisd.worker", description="One job, started by jarvisd.")
    parser.add_argument("job", type=int)
    parser.add_argument("--home", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--token", required=True, help="tells this process from another one with its pid")
    parser.add_argument("--lifeline", type=int, required=True, help="a socket that ends when the daemon does")
    return parser


def _die_with_daemon(lifeline: int, token: str) -> None:
    """Wait for the end of the lifeline, then end this job's whole process tree, because no daemon is left to do it."""
    with contextlib.suppress(OSError):  # the daemon ended without reading what was written to it
        while os.read(lifeline, 1):
            pass
    orphan.end_own_tree(token)


def _context(home: Home, job: Job, attempt: int) -> JobContext:
    return JobContext(
        home=home,
        run_id=job.run_id,
        job_id=job.id,
        job_name=job.name,
        attempt=attempt,
        round=job.round,
        params=job.params,
        plan=job.run.snapshot["plan"],
        folder=home.run_folder(job.run_id),
        ends_by=queries.soft_deadline(job.run, settings.read(home).report.reserve_minutes),
        log=logs.logger(home, job.run_id, job.name),
    )


def _ask_to_stop(context: JobContext, _frame: FrameType | None) -> None:
    context.stop.set()


def _run(context: JobContext, kind: str, *, is_limited: bool = False) -> Outcome:
    """Run the job. Of an unforeseen exception only its type and place are kept: its text may quote a message.

    `is_limited`: the job has a limit of attempts, so it is recorded that its own code begins.
    """
    try:
        entry = _entry(kind)
        if is_limited:
            _patiently(context, "that work begins", lambda: _record_work_began(context))
        if queries.cancel_wanted(context.job_id):
            raise Cancelled
        outcome = entry(context)
        if not isinstance(outcome, Outcome):
            raise TypeError("run(context) must return an Outcome")
    except (StaleAttempt, NotStored, OutOfReach, Cancelled):
        raise
    except JobFailed as failure:
        outcome = Outcome(ok=False, reason=str(failure))
    except MemoryError:
        outcome = Outcome(ok=False, reason="not enough memory. Close other programs, or choose a smaller model.")
    except Exception as error:
        for line in logs.places(error):
            context.log.error("%s", line)
        last = logs.places(error)[-1]
        reason = f"unexpected {type(error).__name__} {last}; `jarvisctl logs` shows where"
        if trouble := database.disk_error(error):
            reason = f"{trouble}. Mend that, then `jarvisctl retry {context.job_id}`; what was stored is kept"
        if damage := database.damage(error):
            reason = damage
        outcome = Outcome(ok=False, reason=reason)
    if not outcome.ok and database.was_out_of_reach():
        raise database.out_of_reach()  # most likely it failed for that alone, also where it says something else
    return outcome


def _entry(kind: str) -> Callable[[JobContext], Outcome]:
    """The function that runs a job of this kind. Raises JobFailed where its package is gone since submission."""
    try:
        entry: Callable[[JobContext], Outcome] = registry.load(registry.find(kind).entry)
    except JarvisError as error:
        raise JobFailed(error.what, error.remedy) from None
    return entry


def _commit(context: JobContext, outcome: Outcome) -> None:
    next_round, reason = _next_round(context, outcome)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak // (1024 * 1024 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes here
    document = {
        "attempt": context.attempt,
        "ok": outcome.ok,
        "reason": plain(reason),
        "summary": outcome.summary,
        "peak_memory_mb": peak_mb,
        "next_round": next_round,
    }
    _patiently(context, "the outcome", lambda: transitions.record_outcome(context.job_id, context.attempt, document))


def _record_work_began(context: JobContext) -> None:
    transitions.record_work_began(context.job_id, context.attempt)


def _patiently(context: JobContext, name: str, write: Callable[[], None]) -> None:
    """Write, again and again while the disk is full or another process holds the database: a job is at stake.

    Raises NotStored after PATIENCE_S, or when this job is asked to stop; OutOfReach where the server did not answer.
    """
    end = time.monotonic() + (REACH_S if database.is_shared() else PATIENCE_S)
    while True:
        try:
            write()
            return
        except database.OperationalError as error:
            if time.monotonic() > end or context.should_stop():
                if database.is_out_of_reach(error):
                    raise database.out_of_reach() from None
                raise NotStored(f"{name} cannot be stored: {type(error).__name__}") from None
            context.log.warning("%s cannot be stored yet; trying again", name)
            time.sleep(2)


def _next_round(context: JobContext, outcome: Outcome) -> tuple[list[dict[str, Any]], str]:
    """The columns of the jobs of the next round, and the outcome's reason. A faulty proposal is no next round."""
    try:
        return columns_of(outcome.next_round), outcome.reason
    except FaultyProposal as fault:
        remark = f"no next round: the proposal is faulty: {fault}"
        context.log.error("%s", remark)
        return [], f"{outcome.reason}; {remark}" if outcome.reason else remark


def run_and_exit() -> None:
    """Do the job, then end the process at once with its exit code."""
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: destructors of GPU and thread-pool libraries must not change the exit code.
    os._exit(code)
