"""Every reason why tonight's run could fail, checked in advance."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sqlite3
from collections.abc import Callable, Iterator

from jarvisd import __version__, registry
from jarvisd.errors import JarvisError, PlanError
from jarvisd.host import lockfile, machine
from jarvisd.operations import daemon_state, moments, status
from jarvisd.operations.doctor import access, fleet, mac, server
from jarvisd.operations.doctor.check import Check, ok, problem, warning
from jarvisd.paths import Home
from jarvisd.plan import missed_start, plans, settings
from jarvisd.store import database, migrations, queries
from jarvisd.store.models import Run, Status
from jarvisd.words import amount

#: The plan that the nightly agent submits.
PLAN = "overnight"
#: The oldest SQLite that has RETURNING.
OLDEST_SQLITE = (3, 35, 0)
_FREE = "Free some: `jarvisctl prune --dry-run` lists old runs that could go."


def examine(home: Home) -> Iterator[Check]:
    """Yields the result of every check. A check that raises becomes a problem, and the others still run."""
    checks = (
        _python,
        _configuration,
        _memory,
        _disk,
        _sqlite,
        _server,
        _set_aside,
        _daemon,
        _clock,
        _mac,
        _fleet,
        _plan,
        _last_night,
    )
    for check in checks:
        yield from _safely(home, check)


def _safely(home: Home, check: Callable[[Home], list[Check]]) -> list[Check]:
    name = check.__name__.strip("_").replace("_", " ")
    try:
        return check(home)
    except JarvisError as error:
        remedy = "Correct that line." if isinstance(error, PlanError) else "Correct that, then check again."
        return [problem(name, error.what.rstrip("."), error.remedy or remedy)]
    except Exception as error:
        if os.environ.get("JARVISD_DEBUG"):
            raise
        what = f"could not be checked ({type(error).__name__}), which is a bug in jarvisd"
        return [problem(name, what, "`JARVISD_DEBUG=1 jarvisctl doctor` shows where.")]


def _python(_home: Home) -> list[Check]:
    return [ok("python", f"{platform.python_version()}, {platform.machine()}, jarvisd {__version__}")]


def _configuration(home: Home) -> list[Check]:
    """The settings, the nightly plan and every plan below home. Other shipped plans may name models that are absent."""
    settings.read(home)
    files = [path for path in home.config_files("plans/*.yaml") if path.is_relative_to(home.root) or path.stem == PLAN]
    read = [f"{plans.read_plan(home, path.stem).name}.yaml" for path in files]
    return [ok("configuration", f"{', '.join(['settings.yaml', *read])} are in order")]


def _memory(home: Home) -> list[Check]:
    """Whether the largest job of the plan fits into the memory of this computer, and into what is free now."""
    total, free = machine.total_mb(), machine.available_mb()
    largest = max(plans.read_plan(home, PLAN).specs(), key=lambda pair: pair[1].memory_mb, default=None)
    need = (largest[1].memory_mb if largest else 0) + settings.read(home).memory.margin_mb
    free_memory = f"{free:,} of {total:,} MB are free"
    if largest is None or need <= free:
        return [ok("memory", free_memory)]
    name = largest[1].name
    if need > total:
        return [
            problem("memory", f"{name} needs {need:,} MB, this computer has {total:,}", "Leave it out of the plan.")
        ]
    return [warning("memory", f"{free_memory}, {name} needs {need:,}", "Close other programs before the night.")]


def _disk(home: Home) -> list[Check]:
    free, wanted = machine.free_disk_mb(home.var) << 20, settings.read(home).disk.keep_free_mb << 20
    space = f"{amount(free)} are free below {home.var}"
    return [problem("disk", f"{space}, {amount(wanted)} are wanted", _FREE) if free < wanted else ok("disk", space)]


def _sqlite(_home: Home) -> list[Check]:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return [problem("sqlite", f"version {sqlite3.sqlite_version} is too old", "Install a newer Python.")]
    return [ok("sqlite", f"version {sqlite3.sqlite_version}")]


def _server(home: Home) -> list[Check]:
    return server.check(home)


def _set_aside(home: Home) -> list[Check]:
    """Damaged databases that the daemon replaced by a new one. Their runs are listed nowhere else."""
    damaged = sorted(home.var.glob("jarvis-damaged-*.db"))
    if not damaged:
        return []
    more = f", and {len(damaged) - 1} before it" if len(damaged) > 1 else ""
    message = f"it was damaged, and is kept as {damaged[-1]}{more}"
    return [warning("database", message, "It holds the runs until then. Remove it when you do not need them.")]


def _daemon(home: Home) -> list[Check]:
    held = lockfile.lock_holder(home)
    if held is None and daemon_state.is_idle_on_demand(home):
        return [ok("daemon", "idle; it starts with the next job")]
    if held is None:
        return [warning("daemon", "down", "`jarvisctl start` starts it; the nightly start does so too.")]
    running = f"runs since {_since(str(held['since']))} (pid {held['pid']})"
    if held["version"] != __version__:
        versions = f"{running}, version {held['version']}, and {__version__} is installed"
        return [warning("daemon", versions, "`jarvisctl restart` starts the new one.")]
    if not home.ready.exists():
        return [problem("daemon", f"{running}, but takes no jobs", f"{home.logs / 'jarvisd.log'} says why.")]
    return [ok("daemon", running)]


def _since(stamp: str) -> str:
    """When the daemon began, by the local clock; what the lock says where that is no instant."""
    try:
        return moments.day_and_time(dt.datetime.fromisoformat(stamp), database.now())
    except ValueError:
        return stamp


def _clock(_home: Home) -> list[Check]:
    """The time zone of the times in plans, and whether the clocks change within a day."""
    now = database.now().astimezone()
    later = (now.replace(tzinfo=None) + dt.timedelta(days=1)).astimezone()
    local_time = f"{now:%Y-%m-%d %H:%M} {now.tzname()}"
    if now.year < 2026:
        return [problem("clock", local_time, "Set the clock: this version is younger than that.")]
    if now.utcoffset() != later.utcoffset():
        return [warning("clock", f"{local_time}; the clocks change within a day", "A deadline may come an hour off.")]
    return [ok("clock", local_time)]


def _mac(home: Home) -> list[Check]:
    return mac.all_of(home) if machine.MACOS else []


def _fleet(home: Home) -> list[Check]:
    return fleet.check(home)


def _plan(home: Home) -> list[Check]:
    """The Messages database and the models that the jobs of the plan need, and what else is missing for them."""
    plan = plans.read_plan(home, PLAN)
    specs = [spec for _, spec in plan.specs()]
    readers = {spec.name for spec in specs if spec.reads_messages}
    messages = [access.check(home, plan.setting.messages)] if readers else []
    missing = plan.missing_requirements([spec.name for spec in specs], messages_checked=bool(readers))
    models = registry.load(registry.CHECK_MODELS)(plan, [item.download for item in missing if item.download])
    others = [problem(item.job, item.what, item.remedy) for item in missing if not item.download]
    unreadable = any(check.state == "problem" for check in messages)
    failing = {item.job for item in missing} | (readers if unreadable else set())
    ready = sorted({spec.name for spec in specs} - failing)
    return [*messages, models, *others, *([ok("jobs", f"{', '.join(ready)}: nothing is missing")] if ready else [])]


def _last_night(home: Home) -> list[Check]:
    if skipped := missed_start.skipped_message(home):
        return [warning("last night", skipped.rstrip("."), "See whether the Mac will be awake, under next start.")]
    if not migrations.open_existing(home):
        return [ok("last night", "nothing was submitted yet")]
    run = Run.select().where(Run.plan == PLAN).order_by(Run.number.desc()).first()
    if run is None:
        return [ok("last night", f"{PLAN} was never submitted")]
    jobs = queries.jobs_of(run)
    unsuccessful = [job for job in jobs if job.status in (Status.FAILED, Status.SKIPPED)]
    result = f"{run.id} is {status.state(jobs)}, {len(unsuccessful)} of {len(jobs)} jobs failed or were skipped"
    if unsuccessful:
        return [warning("last night", f"{result}: {unsuccessful[0].name}", "`jarvisctl report` says why.")]
    return [ok("last night", result)]
