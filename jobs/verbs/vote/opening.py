"""Opens a session of votes: of which models, and why there is nothing to ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jarvisd.plugin import Run, UsageError
from jarvisd.words import plain
from jobs.lib.comparison.load import load
from jobs.lib.comparison.pipeline import Comparison as Compared
from jobs.lib.comparison.pipeline import compare
from jobs.verbs.vote import words
from jobs.verbs.vote.challenger import Challenger
from jobs.verbs.vote.session import Session


@dataclass(frozen=True)
class Opened:
    """A session, and the comparison of its run before the first answer."""

    run: Run
    before: Compared
    models: list[str]  #: keys of those that may be compared
    session: Session

    def now(self) -> Compared:
        """The comparison with the answers that are stored by now."""
        return compare(load(self.run.id))

    @property
    def why_nothing(self) -> str:
        """Why there is no pair to ask about."""
        run, document = self.run, self.before.document
        if len(self.models) < 2:
            left_out = ", ".join(
                plain(words.name(self.before, key)) for key in document.models if key not in self.models
            )
            reason = f"; {left_out} did not pass the gates of the report" if left_out else ""
            return f"Nothing to compare in {run.id}: {len(self.models)} model has replies to choose from{reason}."
        if document.votes.by_owner:
            answered = f"Nothing is left to compare in {run.id}: every pair has your answer."
            return f"{answered} `jarvisctl vote --stats` shows them."
        return f"Nothing to compare in {run.id}: no two models gave different replies to the same prompt."


def opened(run: Run, between: Sequence[str] = (), shown: Callable[[str], str] = words.shown) -> Opened:
    """A session on a run, of the two models that `between` names or else of all that may be chosen.

    `shown` is the text of a reply as a person will see it. Raises UsageError for a model that the run does not have.
    """
    before = compare(load(run.id))
    models = [key for key, model in before.document.models.items() if not model.fails_gate]
    if between:
        models = _two_models(before, between)
    return Opened(run, before, models, Session(run, models, shown, Challenger.of(before, models)))


def _two_models(compared: Compared, names: Sequence[str]) -> list[str]:
    """The keys of two models of the run, each given by its key or name. Raises UsageError for any other words."""
    models = compared.document.models
    known = {model.name.casefold(): key for key, model in models.items()}
    keys = [name if name in models else known.get(name.casefold(), name) for name in names]
    unknown = next((key for key in keys if key not in models), None)
    if unknown is not None:
        raise UsageError(f"the run has no model {unknown!r}", f"Its models: {', '.join(models)}.")
    if keys[0] == keys[1]:
        raise UsageError(f"--between names {keys[0]} twice", "Name two models.")
    return keys
