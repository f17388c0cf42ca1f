"""Synthetic nights of a comparison, whose truth is known: what `python -m benchmarks decision` decides on.

13 prompts in 5 scenarios. A reply's score is the share of its asked checks that it passes times that of the general
ones. Prompts, scenarios and each model's own quirks in them are normal on the log-odds scale, and each model's level is
then set so that its mean over these 13 prompts is exactly the true one. Turns of the owner's history have effects of
the conversation, of the model in the conversation, and of the model at the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison import preference
from jobs.lib.comparison.preference import ScorePrior, Vote, VoteLog

Floats = NDArray[np.float64]

SCENARIO_OF = np.repeat(np.arange(5), (3, 3, 3, 2, 2))
ASKED = np.array([2, 2, 3, 2, 3, 2, 3, 2, 2, 2, 3, 2, 3])  # checks by prompt
GENERAL, GENERAL_CHANCE = np.array([1.0, 5 / 6, 4 / 6]), np.array([0.8, 0.15, 0.05])
PROMPTS, SAMPLES, TURNS_A_ROUND = len(SCENARIO_OF), 5, 40

SCENARIO_SD, PROMPT_SD, QUIRK_SD = 0.8, 0.6, 0.6  # log odds
CONVERSATION_SD, MODEL_IN_CONVERSATION_SD, TURN_SD = 0.06, 0.04, 0.12


@dataclass(frozen=True, kw_only=True)
class World:
    """What the nights of one row have in common."""

    turns: int = 0
    conversations: int = 1
    quirks: bool = True
    #: added to every model's level, on the instructions and on the turns
    base: float = 0.70
    leads: Sequence[float] = field(default=(0.0,) * 6)
    lead_on_turns: bool = True
    #: standard deviation of levels drawn anew for each night, and whether both measures share them
    spread: float = 0.0
    same_on_turns: bool = True


@dataclass(frozen=True, kw_only=True)
class Night:
    """All replies that a night could ask for, and the truth."""

    scores: Floats  #: models x prompts x samples
    turns: Floats  #: models x turns, in the order in which they are asked
    conversations: NDArray[np.int64]  #: of each turn
    truth: Floats  #: true quality of each model


def draw(world: World, rng: np.random.Generator) -> Night:
    """One night of a world."""
    models = len(world.leads)
    levels = world.base + np.asarray(world.leads) + world.spread * rng.normal(size=models)
    on_turns = levels
    if not world.lead_on_turns:
        on_turns = levels - np.asarray(world.leads)
    if not world.same_on_turns:
        on_turns = world.base + world.spread * rng.normal(size=models)
    levels = np.clip(levels, 0.05, 0.94)
    turns, conversations = _turns(world, on_turns, rng)
    on_turns = _clipped_mean(on_turns)
    truth = (levels + on_turns) / 2 if world.turns else levels
    return Night(scores=_scores(world, levels, rng), turns=turns, conversations=conversations, truth=truth)


def _scores(world: World, levels: Floats, rng: np.random.Generator) -> Floats:
    models = len(levels)
    logits = SCENARIO_SD * rng.normal(size=5)[SCENARIO_OF] + PROMPT_SD * rng.normal(size=PROMPTS)
    logits = np.broadcast_to(logits, (models, PROMPTS))
    if world.quirks:
        logits = logits + QUIRK_SD * rng.normal(size=(models, 5))[:, SCENARIO_OF]
        logits = logits + QUIRK_SD * rng.normal(size=(models, PROMPTS))
    chance = _levelled(logits, levels / (GENERAL @ GENERAL_CHANCE))
    size = (models, PROMPTS, SAMPLES)
    passed = rng.binomial(ASKED[None, :, None], chance[:, :, None], size=size) / ASKED[None, :, None]
    return passed * rng.choice(GENERAL, p=GENERAL_CHANCE, size=size)


def _levelled(logits: Floats, target: Floats) -> Floats:
    """Chances with these log odds, moved for each model so that their mean is its target."""
    low, high = np.full(len(logits), -12.0), np.full(len(logits), 12.0)
    for _ in range(30):
        middle = (low + high) / 2
        below = (1 / (1 + np.exp(-logits - middle[:, None]))).mean(axis=1) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(1 / (1 + np.exp(-logits - low[:, None])))


def _turns(world: World, levels: Floats, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    models, conversations = len(levels), np.arange(world.turns) % world.conversations
    shared = CONVERSATION_SD * rng.normal(size=world.conversations)
    own = MODEL_IN_CONVERSATION_SD * rng.normal(size=(models, world.conversations))
    scores = levels[:, None] + (shared + own)[:, conversations] + TURN_SD * rng.normal(size=(models, world.turns))
    return np.clip(scores, 0.0, 1.0), conversations


def _clipped_mean(levels: Floats) -> Floats:
    """Mean of a turn's score around a level, cut off at 0 and 1."""
    from scipy.special import ndtr

    sd = np.sqrt(CONVERSATION_SD**2 + MODEL_IN_CONVERSATION_SD**2 + TURN_SD**2)
    low, high = -levels / sd, (1 - levels) / sd
    inside = levels * (ndtr(high) - ndtr(low)) + sd * (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(
        2 * np.pi
    )
    return np.asarray(inside + 1 - ndtr(high))


# ------------------------------------------------------------------------------------------------------------ votes


@dataclass(frozen=True)
class Ear:
    """What an owner prefers, and what the scores say of it."""

    utility: tuple[float, ...]  #: log odds
    scores: tuple[float, ...] | None = None  #: quality by score; None: all alike


@dataclass(frozen=True)
class VoteOutcome:
    named: int | None  #: by the first vote at which a model was named
    chosen: int  #: the best guess at the end
    votes: int


REPLY_SD = 0.15  #: of a reply's score around its model's
SCORE_SD = 0.02  #: of a model's score around its true one


def vote_session(ear: Ear, rng: np.random.Generator, votes: int = 30, *, stops: bool = False) -> VoteOutcome:
    """Answers of an owner to the pairs that are asked about; `stops` ends the session where it calls itself decided."""
    quality = np.asarray(ear.scores or (0.7,) * len(ear.utility))
    prior = ScorePrior(quality, SCORE_SD**2 * np.eye(len(quality)))
    log, named = VoteLog(), None
    heard = preference.hear(prior, log.votes)
    while len(log) < votes and not (stops and heard.is_decided()):
        first, second = preference.next_pair(heard) or (0, 1)
        wins = rng.random() < 1 / (1 + np.exp(ear.utility[second] - ear.utility[first]))
        a, b = quality[[first, second]] + REPLY_SD * rng.normal(size=2)
        log = log.add(Vote(first, second, float(wins), (float(a), float(b))))
        heard = preference.hear(prior, log.votes)
        named = heard.winner if named is None else named
    return VoteOutcome(named, heard.leader, len(log))
