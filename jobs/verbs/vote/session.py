"""Blind votes: which two replies to show next. Each answer is stored at once. Nothing here knows a terminal.

A ballot does not name the models. The ids of the two replies decide their sides, so two sessions at the same time show
a pair in the same way, and the database refuses the second answer to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import peewee

from jarvisd import plugin
from jarvisd.plugin import Run
from jobs.lib.comparison.preference import MOST_VOTES, Agreement
from jobs.lib.comparison.preferences import KeyedVote
from jobs.lib.comparison.votes import SHARES
from jobs.lib.results.tables import OWNER, REAL_TURNS, Reply, Vote
from jobs.verbs.vote import own_names
from jobs.verbs.vote.challenger import Challenger

CHOICES = tuple(SHARES)


@dataclass(frozen=True, slots=True)
class Option:
    """A reply as a ballot shows it."""

    id: int
    model: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two replies of different models to the same prompt."""

    scenario_id: str
    prompt: int
    sample: int
    context: str
    instruction: str  #: what the reply should say; "" for a turn of the owner's history
    left: Option
    right: Option

    @property
    def models(self) -> tuple[str, str]:
        one, two = sorted((self.left.model, self.right.model))
        return one, two

    @property
    def place(self) -> tuple[str, int]:
        return self.scenario_id, self.prompt

    @property
    def asks(self) -> tuple[object, ...]:
        """Identifies the comparison: the same two texts of the same two models are shown once."""
        return (self.place, self.models, frozenset((self.left.text, self.right.text)))


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer of this session, and the ballots that it took from those that are left."""

    vote: int
    ballot: Comparison
    choice: str
    dropped: list[Comparison]


class Session:
    """The votes of a run, and what is left to ask."""

    def __init__(
        self,
        run: Run,
        models: Iterable[str],
        shown: Callable[[str], str] = str,
        challenger: Challenger | None = None,
    ) -> None:
        """`models` may be compared; `shown` is the text of a reply as a person will see it.

        Without a `challenger` the two models are asked about that were compared least.
        """
        self.run, self.stored, self._challenger = run, 0, challenger
        self._votes: list[KeyedVote] = []
        self._given: list[_Given] = []
        self._seen: Counter[tuple[str, int]] = Counter()
        ballots = list(_ballots(run, shown))
        asked = self._read_votes(ballots)
        allowed = set(models)
        self._left = [one for one in ballots if set(one.models) <= allowed and one.asks not in asked]
        self._most = len(self._votes) + MOST_VOTES
        self._proposed = self.answers_left == 0

    def _read_votes(self, ballots: list[Comparison]) -> set[tuple[object, ...]]:
        """Count the stored votes of the owner; returns the keys of their comparisons."""
        known = {frozenset((one.left.id, one.right.id)): one for one in ballots}
        asked = set()
        for vote in Vote.select().where(Vote.run == self.run, Vote.by == OWNER).order_by(Vote.id):
            one = known.get(frozenset((vote.left_id, vote.right_id)))
            if one is None:
                continue
            asked.add(one.asks)
            self._seen[one.place] += 1
            left_is_left = vote.left_id == one.left.id
            left, right = (one.left, one.right) if left_is_left else (one.right, one.left)
            self._votes.append(self._vote(left, right, vote.choice))
        return asked

    def _vote(self, left: Option, right: Option, choice: str) -> KeyedVote:
        scores = self._challenger.scores(left.id, right.id) if self._challenger else None
        return KeyedVote(first=left.model, second=right.model, share=SHARES[choice], scores=scores)

    @property
    def given(self) -> list[tuple[Comparison, str]]:
        """The answers of this session, each a ballot with one of CHOICES."""
        return [(given.ballot, given.choice) for given in self._given]

    @property
    def remaining(self) -> int:
        return len(self._left)

    @property
    def answers_left(self) -> int | None:
        """How many further answers decide at best, of at most MOST_VOTES in a session; 0 where it may end, and None
        where that is not known."""
        return self._challenger.answers_left(self._votes, self._most) if self._challenger else None

    def proposes_end(self) -> bool:
        """Whether to propose the end now: once in a session, after an answer of it has decided."""
        proposes = bool(self.stored) and self.answers_left == 0 and not self._proposed
        self._proposed = self._proposed or proposes
        return proposes

    @property
    def agreement(self) -> Agreement:
        """In how many of the votes so far the owner preferred the reply with the better score."""
        return self._challenger.agreement(self._votes) if self._challenger else Agreement(0, 0)

    def next(self) -> Comparison | None:
        """The ballot to show next, the same one for the same votes; None where none is left.

        Of the pairs of models the leader and its challenger, else the one that was compared least; of its prompts one
        that was not shown yet, of these a turn of the owner's history.
        """
        if not self._left:
            return None
        pairs = {one.models for one in self._left}
        chosen = self._challenger.pair(self._votes, pairs) if self._challenger else None
        compared = Counter(frozenset((vote.first, vote.second)) for vote in self._votes)
        return min(
            [one for one in self._left if one.models == chosen] or self._left,
            key=lambda one: (
                compared[frozenset(one.models)],
                self._seen[one.place],
                one.scenario_id != REAL_TURNS,
                one.sample,
                one.prompt,
                one.scenario_id,
                one.models,
            ),
        )

    def answer(self, ballot: Comparison, choice: str) -> bool:
        """Store an answer, one of CHOICES. False where the pair was answered elsewhere, or a reply is gone."""
        dropped = self._drop(ballot)
        try:
            with plugin.write():
                vote = Vote.create(
                    run=self.run,
                    by=OWNER,
                    left=ballot.left.id,
                    right=ballot.right.id,
                    choice=choice,
                    created_at=plugin.now(),
                )
        except peewee.IntegrityError:
            return False
        self._votes.append(self._vote(ballot.left, ballot.right, choice))
        self._given.append(_Given(vote.id, ballot, choice, dropped))
        self.stored += 1
        return True

    def undo(self) -> Comparison | None:
        """Take the last answer of this session back; returns its ballot, None where there is none."""
        if not self._given:
            return None
        last = self._given.pop()
        with plugin.write():
            Vote.delete().where(Vote.id == last.vote).execute()
        self._votes.pop()
        self._seen[last.ballot.place] -= 1
        self._left += last.dropped
        self.stored -= 1
        return last.ballot

    def skip(self, ballot: Comparison) -> None:
        """Do not ask again in this session."""
        self._drop(ballot)

    def _drop(self, ballot: Comparison) -> list[Comparison]:
        """Returns the ballots that are no longer asked: this one and those that look the same."""
        self._seen[ballot.place] += 1
        dropped = [one for one in self._left if one.asks == ballot.asks]
        self._left = [one for one in self._left if one.asks != ballot.asks]
        return dropped


# ------------------------------------------------------------------------------------------------- what may be asked


def _ballots(run: Run, shown: Callable[[str], str]) -> Iterator[Comparison]:
    """Every pair of successful replies of two models to the same prompt and sample that do not look the same.

    A reply that names its model or its maker is left out.
    """
    fields = (Reply.scenario_id, Reply.prompt, Reply.sample)
    wanted = (Reply.id, Reply.model, Reply.reply, Reply.context, Reply.instruction, *fields)
    query = Reply.select(*wanted).where(Reply.run == run, Reply.success).order_by(*fields, Reply.model)
    rows = list(query)
    tells = own_names.tells({row.model for row in rows})
    together: dict[tuple[str, int, int], list[Any]] = {}
    for row in rows:
        if tells(row.reply):
            continue
        together.setdefault((row.scenario_id, row.prompt, row.sample), []).append(row)
    for (scenario, prompt, sample), group in together.items():
        texts = {row.id: shown(row.reply) for row in group}
        for one, two in combinations(group, 2):
            if texts[one.id] != texts[two.id]:
                left, right = (Option(row.id, row.model, texts[row.id]) for row in _shuffled(one, two))
                instruction = "" if scenario == REAL_TURNS else one.instruction
                yield Comparison(scenario, prompt, sample, one.context, instruction, left, right)


def _shuffled(one: Any, two: Any) -> tuple[Any, Any]:
    """The two in an order that says nothing of their models, and is the same at any time."""
    first, second = sorted((one, two), key=lambda row: int(row.id))
    odd = hashlib.sha256(f"{first.id}:{second.id}".encode()).digest()[0] & 1
    return (second, first) if odd else (first, second)
