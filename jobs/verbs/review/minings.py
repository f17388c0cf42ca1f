"""Which templates are reviewed."""

from __future__ import annotations

from jarvisd.operations import lookup
from jarvisd.plugin import JarvisError, Run
from jobs.lib.matching import triggers
from jobs.lib.results.tables import Mining
from jobs.lib.reviews.session import CardSession


def chosen(name: str | None) -> Mining:
    """The newest mining of the run named, else of the newest run that has templates.

    Raises JarvisError where it has none, UsageError for an unknown run.
    """
    if name is None:
        return triggers.newest()
    run: Run = lookup.find_run(name)
    mining: Mining | None = Mining.select().where(Mining.run == run).order_by(Mining.job.desc()).first()
    if mining is None:
        raise JarvisError(f"{run.id} mined no templates", "`jarvisctl runs` lists the others.")
    return mining


def require_cards(session: CardSession) -> None:
    """Raises JarvisError where the mining has no turns to review."""
    if not session.deck.turns:
        raise JarvisError(
            f"{session.mining.run_id} has no held-out turns to review",
            "Mine again with `jarvisctl enqueue templates`; `jarvisctl review --templates` needs none.",
        )
