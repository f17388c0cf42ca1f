"""What several verbs need: the home, the ledger, and how a run or a job is named."""

from __future__ import annotations

import datetime as dt
import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jarvisd import home as homes
from jarvisd.errors import UsageError
from jarvisd.home import Home

if TYPE_CHECKING:
    from jarvisd.ledger import Job, Run


#: Longest duration that can be given, in hours.
LONGEST_H = 366 * 24


@dataclass(frozen=True)
class App:
    """What every verb is given (`@click.pass_obj`)."""

    home: Home

    @classmethod
    def at(cls, folder: str | None) -> App:
        return cls(homes.find(folder))

    def open_ledger(self) -> None:
        """Open the database to write, making it and bringing its schema up to date."""
        from jarvisd import migrations

        migrations.migrate(self.home)

    def look_into_ledger(self) -> bool:
        """Open the database to look; False when nothing was ever submitted here."""
        from jarvisd import migrations

        return migrations.open_existing(self.home)

    def need_ledger(self) -> None:
        if not self.look_into_ledger():
            raise UsageError(f"nothing was submitted in {self.home.root} yet", "Start with `jarvisctl enqueue PLAN`.")

    @property
    def daemon(self) -> dict[str, object] | None:
        """Who holds the daemon's lock, or None."""
        return homes.lock_holder(self.home)


def find_run(text: str = "latest") -> Run:
    """A run by id, unique prefix, `latest`, or one of its jobs. Raises UsageError."""
    from jarvisd.ledger import Run

    if not text:
        raise UsageError("an empty name names no job and no run", "Is a variable of your shell unset?")
    newest = Run.select().order_by(Run.number.desc())
    if text == "latest":
        run = newest.first()
        if run is None:
            raise UsageError("there is no run yet", "Start with `jarvisctl enqueue PLAN`.")
        return run
    if (exact := Run.get_or_none(Run.id == text)) is not None:
        return exact
    if text.isdecimal() or _by_name(text) is not None:
        return find_job(text).run
    close = [run for run in newest if run.id.startswith(text)]
    if len(close) == 1:
        return close[0]
    if close:
        raise UsageError(f"{text!r} fits {len(close)} runs", "Give more of the id: " + ", ".join(_ids(close)) + ".")
    raise _unknown(text, newest.first())


def _unknown(text: str, newest: Run | None) -> UsageError:
    """Neither a job nor a run: what was probably meant."""
    import difflib

    from jarvisd.ledger import Job, Run

    if newest is None:
        return UsageError(f"no run is called {text!r}", "There is none yet; start with `jarvisctl enqueue PLAN`.")
    jobs = [name for (name,) in Job.select(Job.name).where(Job.run == newest).tuples()]
    runs = [number for (number,) in Run.select(Run.id).tuples()]
    known = {word: name for name in (*jobs, *runs) for word in (name, name.partition(":")[2]) if word}
    close = difflib.get_close_matches(text, known, n=1)
    remedy = "`jarvisctl status` lists the jobs, `jarvisctl runs` the runs."
    if close:
        remedy = f"Did you mean {known[close[0]]}?"
    return UsageError(f"no job of {newest.id} and no run is called {text!r}", remedy)


def _ids(runs: list[Run]) -> list[str]:
    return [str(run.id) for run in runs[:5]]


def find(text: str) -> Job | Run:
    """What JOB|RUN names. A run's jobs are not read: there may be thousands.

    A pure number is a job's id; then a run's exact id, a job's name in the newest run (without its kind, or a prefix,
    where only one job is meant), a unique prefix of a run's id, or `latest`.
    """
    from jarvisd import ledger

    if text.isdecimal():
        job = ledger.Job.get_or_none(ledger.Job.id == int(text)) if len(text) < 19 else None
        if job is None:
            raise UsageError(f"no job has the number {text}", "`jarvisctl status` lists them.")
        return job
    if ledger.Run.get_or_none(ledger.Run.id == text) is None and text != "latest":
        named = _by_name(text)
        if named is not None:
            return named
    return find_run(text)


def find_job(text: str) -> Job:
    from jarvisd import ledger

    found = find(text)
    if isinstance(found, ledger.Run):
        raise UsageError(f"{text!r} is a run, not a job", "Name one of its jobs, or its number.")
    return found


def _by_name(text: str) -> Job | None:
    from jarvisd import ledger

    newest = ledger.Run.select().order_by(ledger.Run.number.desc()).first()
    if newest is None or not text:
        return None
    rows = ledger.Job.select().where(ledger.Job.run == newest).order_by(ledger.Job.round.desc(), ledger.Job.place)
    exact: Job | None = rows.where(ledger.Job.name == text).first()
    if exact is not None:
        return exact
    names = ledger.Job.select(ledger.Job.name).where(ledger.Job.run == newest).distinct().limit(2).tuples()
    for close in (ledger.Job.name == ledger.Job.kind.concat(f":{text}"), ledger.Job.name.startswith(text)):
        if found := [name for (name,) in names.where(close)]:
            latest: Job | None = rows.where(ledger.Job.name == found[0]).first()
            return latest if len(found) == 1 else None
    return None


# ----------------------------------------------------------------------------------------------------------- words


def counted(number: int, what: str) -> str:
    """1 run, 2 runs, 10,000 runs."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def duration(text: str) -> dt.timedelta:
    """2h, 90m, 45s or 1h30m as a timedelta. Raises UsageError."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not text.strip() or parts is None:
        raise UsageError(f"{text!r} is no duration", "Write it as 2h, 90m or 1h30m.")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    if hours + minutes / 60 + seconds / 3600 > LONGEST_H:
        raise UsageError(f"{text!r} is longer than a year", "Without --for a pause has no end of its own.")
    return dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)


def took(seconds: float) -> str:
    """75 -> 1:15, 4000 -> 1:06:40"""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plain(text: str | None) -> str:
    """Text for a terminal: no control characters, no escapes, no change of direction."""
    return "".join(
        " " if character in "\n\t" else character
        for character in text or ""
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co")
    )


def label(job: Job) -> str:
    """A job's name, with its round from the second one on."""
    return plain(job.name) + (f" (round {job.round})" if job.round > 1 else "")


def on_terminal() -> bool:
    return sys.stdout.isatty()
