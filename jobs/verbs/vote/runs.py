"""Which run is voted on. Needs no numerical library."""

from __future__ import annotations

from jarvisd.operations import lookup
from jarvisd.plugin import JarvisError, Run
from jobs.lib.results.tables import OWNER, Reply, Vote


def run_to_vote_on(name: str | None) -> Run:
    """The run named, else the newest one with replies. Raises JarvisError where it has none."""
    chosen = lookup.find_run(name) if name else _newest()
    if chosen is None or not Reply.select().where(Reply.run == chosen).exists():
        which = "no run has" if chosen is None else f"{chosen.id} has no"
        raise JarvisError(f"{which} replies to compare yet", "`jarvisctl status` shows what is still to be done.")
    return chosen


def _newest() -> Run | None:
    """The newest run that holds a reply."""
    newest: Run | None = Run.select().where(Run.id.in_(Reply.select(Reply.run))).order_by(Run.number.desc()).first()
    return newest


def others(run: Run, most: int) -> list[Run]:
    """Other runs that hold replies, the newest first."""
    query = Run.select().where(Run.id.in_(Reply.select(Reply.run)), Run.id != run.id)
    return list(query.order_by(Run.number.desc()).limit(most))


def votes(run: Run) -> int:
    """How many votes of the owner are stored."""
    count: int = Vote.select().where(Vote.run == run, Vote.by == OWNER).count()
    return count
