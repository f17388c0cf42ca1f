"""Does own_turns put the owner's real answers first and canned ones last, and what can it tell apart?

python -m benchmarks sound
python -m benchmarks.sound [--people N] [--turns 40]

Three people of the demonstration's corpus and one more, each split by time as a run does it. For each: how well the fit
tells the real answer from another real one, and what each reference set gets. Beside those of a run: the owner's words
with a capital and a full stop, what other people answered to other messages, six texts that are sent to everything, and
what came in, sent back. The last table: how much the sound of few replies spreads. Vectors come from var/cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.mining import conversations
from jarvisd import paths as homes
from jobs.evaluate import earlier, holdout
from jobs.evaluate.metrics import fit as fit_metric
from jobs.evaluate.metrics import own_turns as measure
from jobs.evaluate.metrics import style_set
from jobs.evaluate.metrics.fit import Encode, Fit
from jobs.evaluate.metrics.own_turns import AskedTurn
from jobs.evaluate.metrics.style_set import Voice
from jobs.lib import imessage
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.imessage import Message
from jobs.verbs.demo import corpus, preparation

PEOPLE = {
    "A": corpus.OWNER,
    "B": "31267496-e50f-4f91-a197-c5b1bfde803b",
    "C": "720840be-e522-47ba-9e9f-143f66372673",
    "D": "0f9fe1f8-9afe-4bc0-b283-4841cf9954d8",
}
CANNED = (
    "haha yeah",
    "lol",
    "That's cool, what about you?",
    "Haha yes! Saw it, thanks, no worries, see you soon! What time works?",
    "As an AI language model, I can't do that.",
    "fuck off",
)
SIZES = (10, 20, 40, 80)
DRAWS = 40
_SEED = 20261127


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person's history, split."""

    name: str
    turns: list[AskedTurn]  #: held out
    others: list[str]  #: what other people answered, before the split
    voice: Voice
    fit: Fit


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sound")
    parser.add_argument("--people", type=int, default=len(PEOPLE), choices=range(1, len(PEOPLE) + 1))
    parser.add_argument("--turns", type=int, action="append", help="held-out turns; default 40 and 100")
    chosen = parser.parse_args(words or [])
    home = homes.find()
    files = preparation.prepare(home, "small", lambda line: print("  " + line))
    data = conversations(home)
    encoder = Encoder(files.embedder, "all-MiniLM-L6-v2", home.cache / "embeddings")
    for name, owner in list(PEOPLE.items())[: chosen.people]:
        messages = messages_of(data, owner)
        for count in chosen.turns or [40, 100]:
            person = split(name, messages, count, encoder.encode)
            table(person)
        spread(split(name, messages, holdout.MOST_TURNS, encoder.encode))


def messages_of(data: bytes, owner: str) -> list[Message]:
    """All messages of the owner's conversations, as a history reads them."""
    chats: dict[str, int] = {}
    return [
        Message(
            rowid, chats.setdefault(said.partner, len(chats)), False, said.partner, said.from_me, said.when, said.text
        )
        for rowid, said in enumerate(corpus.read(data, owner))
    ]


def split(name: str, messages: Sequence[Message], count: int, encode: Encode) -> Person:
    """The first `count` held-out turns, and what is known from before them."""
    found = imessage.turns(messages)
    at = holdout.instant(found)
    assert at is not None
    chosen = holdout.choose([turn for turn in found if holdout.is_usable(turn, at)])[:count]
    turns = [AskedTurn(conversation=chat, incoming=turn.text, answer=holdout.answer(turn)) for chat, turn in chosen]
    own, others = earlier.own_turns(messages, at), earlier.other_answers(messages, at)
    voice = style_set.voice([turn.answer for turn in own], others)
    model = fit_metric.train([(turn.incoming, turn.answer) for turn in own], encode)
    assert voice and model
    fit = fit_metric.measure(
        model, [(turn.incoming, turn.answer) for turn in turns], [turn.conversation for turn in turns]
    )
    assert fit
    answers = [text for person in sorted(others) for text in others[person]]
    return Person(name=name, turns=turns, others=answers, voice=voice, fit=fit)


def rows(person: Person) -> dict[str, list[str]]:
    """Reply sets by name, the best to be expected first."""
    count = len(person.turns)
    references = measure.reference_replies(person.turns)
    real, another = references[measure.Reference.REAL], references[measure.Reference.ANOTHER]
    step = len(person.others) // count
    return {
        "the owner's real answer": real,
        "the same, capital and full stop": [polished(text) for text in real],
        "another real answer": another,
        "the same, capital and full stop ": [polished(text) for text in another],
        "other people's answers": [person.others[place * step] for place in range(count)],
        "what came in, sent back": [turn.incoming for turn in person.turns],
        **{f'"{text[:34]}"': [text] * count for text in CANNED},
    }


def polished(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def table(person: Person) -> None:
    separation = person.fit.separation
    print(
        f"  person {person.name}, {separation.turns} turns in {separation.conversations} conversations: real answer "
        f"against another real one, area under the curve {separation.auc:.2f} "
        f"({separation.low:.2f} to {separation.high:.2f}), weight of the fit {separation.weight:.2f}"
    )
    print(f"    {'':37}{'own_turns':22}{'fit':22}{'sounds like the owner':26}distinct")
    for name, replies in rows(person).items():
        scored = measure.own_turns(person.voice, person.fit, person.turns, replies)
        assert scored and scored.fit and scored.sounds
        cells = [
            f"{part.value:.2f} ({part.low:.2f} to {part.high:.2f})"
            for part in (scored.total, scored.fit, scored.sounds)
        ]
        print(f"    {name:37}{cells[0]:22}{cells[1]:22}{cells[2]:26}{scored.sounds.distinct:4}")


def spread(person: Person) -> None:
    """The sound of random draws of the owner's own held-out answers and of other people's."""
    chance = np.random.default_rng(_SEED)
    print(f"  person {person.name}, sounds like the owner, {DRAWS} draws: 5 % of the owner's below, of others' above")
    for size in (size for size in SIZES if size >= style_set.LEAST_REPLIES):
        own = drawn(person.voice, [turn.answer for turn in person.turns], size, chance)
        others = drawn(person.voice, person.others, size, chance)
        print(f"    {size:3} replies: {np.quantile(own, 0.05):.2f} and {np.quantile(others, 0.95):.2f}")


def drawn(voice: Voice, texts: Sequence[str], size: int, chance: np.random.Generator) -> list[float]:
    values = []
    for _ in range(DRAWS):
        places = chance.choice(len(texts), size, replace=False)
        scored = style_set.score_set(voice, [texts[place] for place in places], list(range(size)))
        assert scored
        values.append(scored.value)
    return values


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
