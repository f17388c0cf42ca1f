"""Drafts of replies for any program: which of the owner's own templates answers a message, and how likely each is.

    from jobs.lib.matching import Matcher

    matcher = Matcher.load(home)                        # reads the database once; the model is loaded when first needed
    matcher.drafts("are you free tomorrow?")            # (Draft(reply="yeah", probability=0.12, ...), ...)
    matcher.drafts("and sunday?", previous="saturday is full", limit=1)

A Matcher may be asked from several threads; the texts are embedded one after another. It keeps no text on disk.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jarvisd import plugin
from jarvisd.plugin import Home, JarvisError
from jobs.lib.matching import inputs, levels, never, readers, safety, subjects
from jobs.lib.matching import triggers as trigger_rows
from jobs.lib.matching.inputs import Asked
from jobs.lib.matching.levels import Levels
from jobs.lib.matching.ranker import Ranker, Unreadable
from jobs.lib.results.tables import Mining, Ranking, Template
from jobs.lib.reviews import verdicts

if TYPE_CHECKING:
    from jobs.lib.embedding.single import Read

_REMEMBERED = 512  # vectors of texts that were asked before
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply that the owner might send."""

    reply: str
    template: str  #: uuid, the same every night for the same text
    probability: float  #: that the owner's real reply would be this one, as the ranker estimates it; 0 to 1
    tier: str  #: automatic | suggest | phrase: of the template, as the run measured its triggers
    level: str  #: automatic | suggest | draft: what the owner's reviews certify for such a probability

    @property
    def would_send(self) -> bool:
        """Whether the owner's reviews certify drafts of such a probability for sending."""
        return self.level == levels.AUTOMATIC


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is known about one message."""

    drafts: tuple[Draft, ...]  #: the likeliest first; empty where the message must not be answered with a template
    about: str | None  #: the subject on which nothing is drafted: grief, the law, what you said never to answer
    ms: float  #: time taken, without loading the model


@dataclass(frozen=True, slots=True)
class _Text:
    """What is sent and where it comes from."""

    reply: str
    template: str
    tier: str


class Matcher:
    """matcher = Matcher.load(home); matcher.drafts("where are you?") -> (Draft, Draft, Draft)"""

    def __init__(self, home: Home, mining: Mining, ranking: Ranking, certified: Levels) -> None:
        """Raises Unreadable where the stored ranker is damaged, or of another version."""
        ranker = Ranker.from_bytes(bytes(ranking.weights))
        self.home, self.mining, self.levels = home, mining, certified
        self.figures: dict[str, Any] = ranking.figures  #: what its probabilities were measured on
        self.space = readers.space_of(self.figures)  #: in which texts are embedded
        self.loading_s = 0.0  #: seconds that loading the model took so far
        self._ranker = ranker
        self._texts = _texts(mining, ranker)
        self._never = never.Never.of_owner(self._vector)
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, home: Home) -> Matcher:
        """The ranker of the newest run that has templates. Raises JarvisError where there is none."""
        plugin.open_database(home)
        return cls.of(home, trigger_rows.newest())

    @classmethod
    def of(cls, home: Home, mining: Mining) -> Matcher:
        """The ranker of one mining, the database being open. Raises JarvisError where it has none."""
        matcher = cls.find(home, mining)
        if matcher is None:
            raise JarvisError(f"{mining.run_id} has no ranker: it is of an earlier version", trigger_rows.MINE_AGAIN)
        return matcher

    @classmethod
    def find(cls, home: Home, mining: Mining) -> Matcher | None:
        """As `of`; None where the mining has no ranker, being of an earlier version or without a matcher on disk."""
        row = Ranking.get_or_none((Ranking.job == mining.job_id) & (Ranking.space == readers.FLOAT32))
        if row is None:
            return None
        try:
            return cls(home, mining, row, levels.certified(mining))
        except Unreadable as error:
            raise JarvisError(
                f"the ranker of {mining.run_id} cannot be read ({error})", trigger_rows.MINE_AGAIN
            ) from None

    def drafts(self, text: str, previous: str | None = None, limit: int = 3) -> tuple[Draft, ...]:
        """The likeliest replies to `text`, at most `limit`, the likeliest first. Raises JarvisError.

        `text` is what came in, its messages one per line; `previous` the owner's own message before it, if known.
        Empty where `text` is about something that no template may answer.
        """
        return self.answer(text, previous, limit).drafts

    def answer(self, text: str, previous: str | None = None, limit: int = 3) -> Answer:
        """As `drafts`, with the reason where there is none, and the time taken. Raises JarvisError."""
        with self._lock:
            self._read  # noqa: B018  # loaded before the clock starts
            began = time.perf_counter()
            about = subjects.sensitive(text) or (never.ABOUT if self._never.covers(text) else None)
            messages = tuple(line for line in text.splitlines() if line.strip())
            drafts = self._ranked(Asked(messages, previous), limit) if messages and about is None else ()
            return Answer(drafts, about, 1000 * (time.perf_counter() - began))

    def warm(self) -> None:
        """Load the model, so that the next answer is as fast as later ones."""
        with self._lock:
            self._never.covers("ok")
            self._read("ok")

    def _ranked(self, asked: Asked, limit: int) -> tuple[Draft, ...]:
        turn, last, previous = (self._vector(form)[None] for form in asked.forms)
        shares = self._ranker.probabilities(inputs.stack(turn, last, previous, [inputs.numbers(asked)]))[0]
        best = [int(place) for place in np.argsort(-shares, kind="stable") if int(place) in self._texts]
        return tuple(self._draft(self._texts[place], float(shares[place])) for place in best[: max(0, limit)])

    def _draft(self, text: _Text, probability: float) -> Draft:
        return Draft(text.reply, text.template, probability, text.tier, self.levels.of(probability))

    def vector(self, form: str) -> Vector:
        """The unit vector of a normal form in this matcher's space. Raises JarvisError."""
        with self._lock:
            return self._vector(form)

    def _vector(self, form: str) -> Vector:
        """The unit vector of a form; zeros for "", which stands for a text that there is not."""
        if not form:
            return np.zeros(self._size, dtype=np.float32)
        known = self._known.pop(form, None)
        vector = self._read(form) if known is None else known
        self._known[form] = vector
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return vector

    @cached_property
    def _size(self) -> int:
        return (len(self._ranker.weights) - len(inputs.numbers(Asked(("",))))) // 3

    @cached_property
    def _read(self) -> Read:
        began = time.perf_counter()
        read = readers.open_reader(self.mining, self.home, self.space)
        self.loading_s += time.perf_counter() - began
        return read


def _texts(mining: Mining, ranker: Ranker) -> dict[int, _Text]:
    """Column of the ranker -> its template, without those that the run no longer has or that must not be sent.

    The owner's wording takes the place of a template that was edited; one that was rejected is never drafted.
    """
    rows = {str(row.uuid): row for row in Template.select().where(Template.job == mining.job_id)}
    edited, rejected = verdicts.edited(), verdicts.rejected()
    known = [(place, rows[uuid]) for place, uuid in enumerate(ranker.templates) if uuid in rows.keys() - rejected]
    texts = {
        place: _Text(edited.get(str(row.uuid), str(row.representative)), str(row.uuid), str(row.tier))
        for place, row in known
    }
    return {place: text for place, text in texts.items() if text.reply.strip() and safety.reason(text.reply) is None}
