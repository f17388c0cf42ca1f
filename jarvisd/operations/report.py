"""The report of a run as files: which run has one, and writing it again from the database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from jarvisd import registry
from jarvisd.errors import UsageError
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store import database, models
from jarvisd.store.models import Job, Run, Status

#: Writes one file of the report: name and text in, path out.
Publish = Callable[[str, str], Path]
#: Statuses of a report job that leave a page: a full report, or a placeholder that says what failed.
_LEAVES_A_PAGE = (Status.SUCCEEDED, Status.FAILED)


def newest_reported_run() -> Run:
    """The newest run whose report was written, else the newest whose report job is settled, as of a cancelled run.

    Raises UsageError where there is none.
    """
    for statuses in (_LEAVES_A_PAGE, models.SETTLED):
        settled = Run.select().join(Job).where(Job.is_report, Job.status.in_(statuses))
        newest: Run | None = settled.order_by(Run.number.desc()).first()
        if newest is not None:
            return newest
    raise UsageError("no report is finished yet", "`jarvisctl status` shows what is still to be done.")


def is_current(run: Run) -> bool:
    """Whether the files of the run were written by its newest settled report job."""
    newest = _newest_settled(run)
    return newest is not None and newest.status in _LEAVES_A_PAGE


def _newest_settled(run: Run) -> Job | None:
    settled = Job.select().where(Job.run == run, Job.is_report, Job.status.in_(models.SETTLED))
    newest: Job | None = settled.order_by(Job.round.desc()).first()
    return newest


def is_written(home: Home, run: Run, name: str) -> bool:
    """Whether this machine has a file of the run's report that is its last word.

    Where several machines share the database none is: another one may have written the report, or stored votes, since.
    """
    return not database.is_shared() and (home.run_folder(run.id) / name).is_file() and is_current(run)


def is_rendered(home: Home, run: Run, name: str) -> bool:
    """Whether this machine has a file of the run's newest report, whichever machine ran its job."""
    path, newest = home.run_folder(run.id) / name, _newest_settled(run)
    if newest is None or newest.status not in _LEAVES_A_PAGE or not path.is_file():
        return False
    is_ours = not database.is_shared() or newest.started_at is None
    return is_ours or path.stat().st_mtime >= newest.started_at.timestamp()


def can_be_rendered(run: Run) -> bool:
    """Whether a report that another machine has written can be rendered on this one."""
    newest = _newest_settled(run)
    return database.is_shared() and newest is not None and newest.status == Status.SUCCEEDED


def write_again(home: Home, run: Run, comparison: object = None) -> Path:
    """Render the run's report from the database and replace its files. Returns their folder.

    `comparison` is what the report reads first, where the caller has it already.
    """
    folder = home.run_folder(run.id)
    render: Callable[[str, Home, Publish, object], object] = registry.load(registry.RENDER_REPORT)
    render(run.id, home, partial(_publish, folder), comparison)
    return folder


class FirstScreen(Protocol):
    """HTML of a report's first screen; every text in it was escaped when the report was written."""

    @property
    def cards(self) -> str:
        """What the run is, and a card for each decision."""

    @property
    def rest(self) -> str:
        """The ranking, and where the replies differ."""


def first_screen(page: str, whole: str) -> FirstScreen | None:
    """The first screen of a report.html, whose other links lead to the address `whole`; None in an old one."""
    cut: Callable[[str, str], FirstScreen | None] = registry.load(registry.FIRST_SCREEN)
    return cut(page, whole)


def is_due(run: Run) -> bool:
    """Whether a report job of the run is settled, so that its files should hold what was stored since."""
    return bool(Job.select().where(Job.run == run, Job.is_report, Job.status.in_(models.SETTLED)).exists())


def write_after_vote(home: Home, run: Run, comparison: object = None) -> Path | None:
    """Render the run's report with its new votes. Returns the page; None where no report job is settled yet."""
    if not is_due(run):
        return None
    folder = write_again(home, run, comparison)
    page = folder / "report.html"
    return page if page.is_file() else folder / "REPORT.md"


def _publish(folder: Path, name: str, text: str) -> Path:
    return files.replace(folder / name, text)
