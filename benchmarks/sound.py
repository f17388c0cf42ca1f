"""Does own_turns put the owner's real answers first and canned ones last, and what can it tell apart?

python -m benchmarks sound
python -m benchmarks.sound [--people N] [--turns 40]
python -m benchmarks.sound --rankers        other ways to tell a real answer from another one; embeds 4,000 texts each

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
from jobs.evaluate.metrics.fit import Encode, Fit, Vectors
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
SIZES = (20, 40, 80)
RANKER_TURNS = 2000  # earlier turns that the other rankers learn from
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
    parser.add_argument("--rankers", action="store_true")
    chosen = parser.parse_args(words or [])
    home = homes.find()
    files = preparation.prepare(home, "small", lambda line: print("  " + line))
    data = conversations(home)
    encoder = Encoder(files.embedder, "all-MiniLM-L6-v2", home.cache / "embeddings")
    for name, owner in list(PEOPLE.items())[: chosen.people]:
        messages = messages_of(data, owner)
        if chosen.rankers:
            rankers(name, messages, encoder.encode)
            continue
        for count in chosen.turns or [40, 100]:
            person = split(name, messages, count, encoder.encode)
            table(person)
        spread(split(name, messages, holdout.MOST_TURNS, encoder.encode))


def messages_of(data: bytes, owner: str) -> list[Message]:
    """All messages of the owner's conversations, as a history reads them."""
    chats: dict[str, int] = {}
    return [
        Message(
            rowid,
            chats.setdefault(message.partner, len(chats)),
            False,
            message.partner,
            message.from_me,
            message.when,
            message.text,
        )
        for rowid, message in enumerate(corpus.read(data, owner))
    ]


def split(name: str, messages: Sequence[Message], count: int, encode: Encode) -> Person:
    """The first `count` held-out turns, and what is known from before them."""
    history = imessage.turns(messages)
    at = holdout.instant(history)
    assert at is not None
    chosen = holdout.choose([turn for turn in history if holdout.is_usable(turn, at)])[:count]
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
    for size in SIZES:
        own = drawn(person.voice, [turn.answer for turn in person.turns], size, chance)
        others = drawn(person.voice, person.others, size, chance)
        print(f"    {size:3} replies: {np.quantile(own, 0.05):.2f} and {np.quantile(others, 0.95):.2f}")


def rankers(name: str, messages: Sequence[Message], encode: Encode) -> None:
    """The area under the curve of other ways to say how well an answer goes with a message."""
    person = split(name, messages, holdout.MOST_TURNS, encode)
    chosen = imessage.turns(messages)
    at = holdout.instant(chosen)
    assert at is not None
    known = earlier.own_turns(messages, at)[-RANKER_TURNS:]
    sides = [encode([turn.incoming for turn in turns]) for turns in (known, person.turns)]
    answers = [encode([turn.answer for turn in turns]) for turns in (known, person.turns)]
    conversations = [turn.conversation for turn in person.turns]
    print(f"  person {name}, {len(person.turns)} turns, real answer against another real one:")
    for label, table_of_scores in ranked(sides, answers).items():
        print(f"    {label:32}{area(table_of_scores, conversations)}")
    separation = person.fit.separation
    print(f"    {'affinity (jobs.evaluate)':32}{separation.auc:.3f} ({separation.low:.3f} to {separation.high:.3f})")


def ranked(incoming: Sequence[Vectors], answers: Sequence[Vectors]) -> dict[str, Vectors]:
    """Scores (messages, answers) of the held-out turns by method; both arguments are earlier, held out."""
    (before, asked), (known_answers, given) = incoming, answers
    means = before.mean(axis=0), known_answers.mean(axis=0)
    before, asked, known_answers, given = (
        before - means[0],
        asked - means[0],
        known_answers - means[1],
        given - means[1],
    )
    left, right = whitener(before), whitener(known_answers)
    learned = left @ left @ (before.T @ known_answers / len(before)) @ right @ right
    near = np.exp((asked @ before.T) / 0.1)
    return {
        "cosine": incoming[1] @ answers[1].T,
        "learned map (regularised CCA)": asked @ learned @ given.T,
        "answers to the nearest messages": near / near.sum(axis=1, keepdims=True) @ known_answers @ given.T,
    }


def whitener(rows: Vectors, ridge: float = 0.01) -> Vectors:
    """The inverse square root of the covariance with a ridge."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    return np.asarray(vectors / np.sqrt(values + ridge) @ vectors.T, dtype=np.float32)


def area(scores: Vectors, conversations: Sequence[int]) -> str:
    lead = (np.diag(scores)[:, None] > scores).sum(axis=1) / (len(scores) - 1)
    mean, low, high = fit_metric.clustered(lead, conversations)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


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
