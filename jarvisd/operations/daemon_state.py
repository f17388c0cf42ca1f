"""Whether the daemon takes jobs now, and when the next night begins, each as a sentence."""

from __future__ import annotations

import re
import time
from functools import lru_cache

from jarvisd.errors import JarvisError
from jarvisd.host import machine
from jarvisd.host.lockfile import lock_holder
from jarvisd.operations import this_machine
from jarvisd.operations.moments import clock
from jarvisd.paths import Home
from jarvisd.plan import missed_start
from jarvisd.store import database, models, queries


def sentence(home: Home, *, has_database: bool) -> str:
    """Whether the daemon runs, why it takes no jobs, and what starts it."""
    holder = lock_holder(home)
    paused = _paused(home) if has_database else ""
    if holder is None:
        return f"{_why_down(home)}{paused}"
    if not home.ready.exists() and (error := _settings_error(home)):
        return f"The daemon (pid {holder['pid']}) waits for a valid configuration: {error}"
    return f"The daemon runs (pid {holder['pid']}, version {holder['version']}).{paused}"


def obstacle(home: Home) -> str:
    """Why no queued job will start now; "" where a daemon takes jobs. The database is open."""
    return sentence(home, has_database=True) if lock_holder(home) is None or _paused(home) else ""


def _paused(home: Home) -> str:
    machine_id = this_machine.known_identity(home)
    if machine_id is None or not queries.paused(machine_id, database.now()):
        return ""
    until = models.Machine.get_by_id(machine_id).paused_until
    return f" Paused until {clock(until)}." if until else " Paused; `jarvisctl resume` ends the pause."


def _why_down(home: Home) -> str:
    if is_idle_on_demand(home):
        return "The daemon is idle. It starts with the next job."
    if machine.MACOS and not _launchd_serves(home):
        return (
            "The daemon is down and not installed. `jarvisctl install` runs it every night; `jarvisctl start` starts "
            "it now."
        )
    return "The daemon is down. `jarvisctl start` starts it."


def _launchd_serves(home: Home) -> bool:
    from jarvisd.launchd import launchctl  # late: elsewhere than macOS `status` needs none of it

    return launchctl.serves(home)


def is_idle_on_demand(home: Home) -> bool:
    """Whether a daemon that is down only waits for the next job.

    `status` asks this and must stay fast: YAML is parsed only where a line looks like it.
    """
    path = home.config_file("settings.yaml")
    if not path.is_file() or not re.search(r"^\W*daemon\W+on-demand\b", path.read_text(errors="replace"), flags=re.M):
        return False
    from jarvisd.plan import settings

    try:
        return settings.read(home).daemon == "on-demand"
    except JarvisError:
        return False


def _settings_error(home: Home) -> str:
    from jarvisd.plan import settings

    try:
        settings.read(home)
    except JarvisError as error:
        return str(error)
    return ""


def night_lines(home: Home) -> list[str]:
    """On a Mac: whether the last nightly start was skipped, when the next is, and problems of the agents."""
    return _night_lines(home, int(time.monotonic() // 60))


@lru_cache(maxsize=1)
def _night_lines(home: Home, _minute: int) -> list[str]:
    """Computed once per minute: `status --watch` asks every second, and each answer starts launchctl."""
    lines = [line for line in (missed_start.skipped_message(home),) if line]
    if not machine.MACOS:
        return lines
    from jarvisd.launchd import launchctl

    if not launchctl.is_installed():
        return lines
    schedule = launchctl.schedule(home)
    if schedule is not None:
        lines.append(f"Next start: {schedule.next(database.now()):%a %H:%M}.")
    return lines + [f"warning: {problem}" for problem in launchctl.agent_problems(home)]
