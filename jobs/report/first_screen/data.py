"""What the first screen of a report shows, as plain data: all that first_screen.html needs.

Texts are plain: not escaped, and no Markdown in them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Tone(enum.StrEnum):
    """What a card asks of its reader; the page colours it by that."""

    ACT = "act"  #: do what it says
    WAIT = "wait"  #: keep what there is, or decide first
    FAILED = "failed"  #: something has to be mended


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command to copy, and what it does or takes in a few words."""

    text: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One line of a card: words that stand out, and the rest."""

    strong: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One decision: what to do, at most a few points, commands, and the reasons to unfold."""

    topic: str
    tone: Tone
    heading: str
    points: tuple[Point, ...] = ()
    commands: tuple[Command, ...] = ()
    why: str = ""  #: Markdown of our own sentences, shown behind "Why?"


@dataclass(frozen=True, kw_only=True)
class RankedModel:
    """A line of the ranking."""

    key: str
    name: str
    value: float | None  #: quality, 0..1
    low: float | None  #: its interval
    high: float | None
    seconds: str
    complete: str  #: complete replies of all
    memory: str
    against_first: str
    is_present: bool  #: the model that the owner uses now
    is_out: bool  #: misses a limit, so that it may not be chosen
    #: quality, speed and memory on one scale of 0..1, what the weights weigh; empty where one is unknown.
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply of one model to a prompt."""

    model: str
    text: str
    seconds: str
    failure: str  #: "" for a complete reply
    times: int  #: how often the model said the same
    checks: int
    failed_checks: tuple[str, ...]

    @property
    def passed(self) -> int:
        return self.checks - len(self.failed_checks)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt and the replies to it."""

    anchor: str
    incoming: str
    instruction: str
    replies: tuple[Reply, ...]
    more: int  #: further replies, which are not shown
    differs: bool  #: the models lie apart by the checks

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that any reply fails, each once."""
        return tuple(dict.fromkeys(name for reply in self.replies for name in reply.failed_checks))

    @property
    def has_failed(self) -> bool:
        return any(reply.failure or reply.failed_checks for reply in self.replies)


@dataclass(frozen=True, kw_only=True)
class FirstScreen:
    """Everything of it."""

    title: str
    when: str  #: Sun 22 Nov 22:00 → Mon 06:55
    jobs: str  #: "7 of 7 jobs"
    all_succeeded: bool
    badge: str  #: "demo data", or ""
    note: str  #: what a reader must know first, or ""
    links: tuple[tuple[str, str], ...]  #: anchor -> what it is called
    cards: tuple[Card, ...]
    ranking: tuple[RankedModel, ...]
    weights: Mapping[str, int]  #: of quality, speed and memory in the plan, in percent
    prompts: tuple[Prompt, ...]  #: those where the replies differ most first
    problems: tuple[str, ...] = ()  #: parts that could not be made, by the type of their error

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks that any reply fails, the most frequent first."""
        names = [name for prompt in self.prompts for reply in prompt.replies for name in reply.failed_checks]
        return tuple(sorted(dict.fromkeys(names), key=lambda name: (-names.count(name), name)))

    @property
    def can_be_weighed(self) -> bool:
        """Whether other weights could change the order."""
        return sum(bool(model.parts) and not model.is_out for model in self.ranking) > 1
