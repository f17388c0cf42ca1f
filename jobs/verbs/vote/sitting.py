"""A session of votes as the local page asks about it. Runs in a process of its own: it needs numerical libraries."""

from __future__ import annotations

from functools import partial
from typing import Any

from jarvisd.plugin import UsageError
from jarvisd.words import counted
from jobs.lib.comparison.preference import MOST_VOTES
from jobs.verbs.vote import opening, runs, words
from jobs.verbs.vote.opening import Opened
from jobs.verbs.vote.session import CHOICES, Comparison


class Sitting:
    """A session of votes; its answers are in the database. Each method returns a document for the page."""

    def __init__(self) -> None:
        self.opened: Opened | None = None
        self.ballot: Comparison | None = None  #: the pair that is shown; None where none is left
        self.note = ""  #: how far it is
        self.ends = False  #: the end was proposed

    def begin(self, run: str, between: list[str]) -> dict[str, Any]:
        """The first pair; where there is none, {"nothing": why}. Raises UsageError for an unknown run or model."""
        opened = self.opened = opening.opened(
            runs.run_to_vote_on(run or None), between, partial(words.shown, line_end="\n")
        )
        if not opened.session.remaining:
            return {"nothing": opened.why_nothing}
        return self._go_on(words.before(opened.session))

    def answer(self, pair: str, choice: str) -> dict[str, Any]:
        """Store an answer to the pair that is shown, or skip it."""
        session = self._opened.session
        if self.ballot is None or pair != _name(self.ballot):
            return self._go_on("That pair was answered before. This is the next one.", self.ballot)
        if choice == "skip":
            session.skip(self.ballot)
            return self._go_on(self.note)
        if choice not in CHOICES:
            raise UsageError(f"{choice!r} is no answer to a pair", "Go back and use one of its buttons.")
        if not session.answer(self.ballot, choice):
            return self._go_on(words.NOT_STORED)
        self.ends = self.ends or session.answers_left == 0
        return self._go_on(words.after_answer(session, "press “Show the names”"))

    def undo(self) -> dict[str, Any]:
        """Take back the last answer of this session and ask again."""
        last = self._opened.session.undo()
        note = "Taken back." if last else "There is no answer of this session to take back."
        return self._go_on(note, last or self.ballot)

    def reveal(self) -> dict[str, Any]:
        """What is shown once the names may be known."""
        opened, session = self._opened, self._opened.session
        after = opened.now()
        return {
            "stored": f"{counted(session.stored, 'vote')} stored, {after.document.votes.by_owner} in all.",
            "change": words.change(opened.before, after),
            "habits": words.habits(session),
            "standing": words.standing(after),
            "rows": [
                {
                    "context": ballot.context,
                    "choice": choice,
                    "sides": [
                        {"side": side, "text": option.text, "name": words.name(after, option.model)}
                        for side, option in (("left", ballot.left), ("right", ballot.right))
                    ],
                }
                for ballot, choice in session.given
            ],
        }

    @property
    def _opened(self) -> Opened:
        assert self.opened is not None  # noqa: S101 - the page begins first
        return self.opened

    def _go_on(self, note: str, ballot: Comparison | None = None) -> dict[str, Any]:
        """The next pair, or `ballot`, without what tells its models."""
        opened = self._opened
        self.note, self.ballot = note, ballot or opened.session.next()
        shown = self.ballot
        return {
            "pair": _name(shown) if shown else "",
            "context": words.shown(shown.context, "\n") if shown else "",
            "instruction": shown.instruction if shown else "",
            "replies": [shown.left.text, shown.right.text] if shown else [],
            "number": opened.session.stored + 1,
            "most": MOST_VOTES,
            "note": note,
            "ends": self.ends,
            "stored": opened.session.stored,
            "run": opened.run.id,
        }


def _name(ballot: Comparison) -> str:
    """Names the ballot in a form, so that an answer to an older one is not taken for it."""
    return f"{ballot.left.id}-{ballot.right.id}"
