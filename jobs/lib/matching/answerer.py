"""What `jarvisctl match` says to one text: the drafts of the ranker, and whether a trigger fires as JARVIS fires it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jarvisd.plugin import Home, JarvisError
from jobs.lib.matching import never, subjects
from jobs.lib.matching import triggers as trigger_rows
from jobs.lib.matching.drafts import Draft, Matcher
from jobs.lib.matching.index import Index, Match
from jobs.lib.matching.rules import form_of
from jobs.lib.results.tables import Mining
from jobs.lib.reviews import verdicts


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one text."""

    drafts: tuple[Draft, ...]  #: the likeliest first; empty where nothing may be drafted, or the run has no ranker
    match: Match | None  #: the trigger nearest to it; None where the run has none that may fire
    about: str | None  #: the subject on which nothing is drafted
    ms: float  #: time taken, without loading

    @property
    def fires(self) -> bool:
        """Whether a trigger fires, or the owner's reviews certify the first draft for sending."""
        return self.about is None and (self.by_trigger or any(draft.would_send for draft in self.drafts[:1]))

    @property
    def by_trigger(self) -> bool:
        """Whether the nearest trigger fires, as JARVIS fires it."""
        return self.match is not None and self.match.fires


class Answerer:
    """answerer = Answerer.of(home, mining); answerer.answer("where are you?") -> Reply"""

    def __init__(self, index: Index | None, matcher: Matcher | None) -> None:
        self.index, self.matcher = index, matcher
        self._never = frozenset(form_of(text) for text in verdicts.never_answered())

    @classmethod
    def of(cls, home: Home, mining: Mining) -> Answerer:
        """Of one mining, the database being open."""
        matcher, triggers = Matcher.find(home, mining), trigger_rows.find_triggers(mining)
        return cls(Index(home, mining, triggers, matcher) if triggers else None, matcher)

    @property
    def can_answer(self) -> bool:
        return self.index is not None or self.matcher is not None

    @property
    def loading_s(self) -> float:
        """Seconds that loading the model and the triggers took so far."""
        return sum(part.loading_s for part in (self.index, self.matcher) if part is not None)

    def warm(self) -> None:
        """Load everything, so that the next answer is as fast as later ones."""
        for part in (self.matcher, self.index):
            if part is not None:
                part.warm()

    def answer(self, text: str, previous: str | None = None, limit: int = 3) -> Reply:
        """Raises JarvisError where the model is gone or another one by now."""
        loading, began = self.loading_s, time.perf_counter()
        drafts, about = self._drafts(text, previous, limit)
        match = self.index.match(text) if self.index else None
        took = time.perf_counter() - began - (self.loading_s - loading)
        return Reply(drafts, match, about, 1000 * max(took, 0.0))

    def _drafts(self, text: str, previous: str | None, limit: int) -> tuple[tuple[Draft, ...], str | None]:
        """The drafts, and why there may be none."""
        if self.matcher is None:
            return (), self._refused(text)
        try:
            answer = self.matcher.answer(text, previous, limit)
        except JarvisError:
            if self.index is None or not self.index.knows(text):
                raise
            return (), self._refused(text)  # the very words of a trigger need no model
        return answer.drafts, answer.about

    def _refused(self, text: str) -> str | None:
        """Why nothing may answer `text`, as far as that is known without a model."""
        return subjects.sensitive(text) or (never.ABOUT if form_of(text) in self._never else None)
