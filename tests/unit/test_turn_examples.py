"""Which of the owner's earlier turns are shown to the models, and how."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from jobs.evaluate import examples
from jobs.evaluate.examples import Example, choose
from jobs.evaluate.plan import Section

STARTS = ["yeah", "nah", "haha", "ok", "idk", "omg", "sure", "hmm"]
MIDDLES = ["see u at {}", "{} sounds good", "cant make {}", "im at {}", "love {}"]
PLACES = ["lunch", "dinner", "class", "the game", "work", "the gym", "the party"]


def history(n: int = 200, people: int = 12, seed: int = 1) -> list[Example]:
    chance = random.Random(seed)
    return [
        Example(
            person=f"p{chance.randrange(people)}",
            incoming=f"are you coming to {chance.choice(PLACES)} later?",
            answer=f"{chance.choice(STARTS)} {chance.choice(MIDDLES).format(chance.choice(PLACES))}"
            + chance.choice(["", "", "!", "?", " lol"]),
        )
        for _ in range(n)
    ]


def test_six_different_answers_to_six_people_in_the_order_of_the_history() -> None:
    turns = history()
    chosen = choose(turns)
    assert len(chosen) == examples.DEFAULT == 6
    assert len({turn.answer for turn in chosen}) == 6
    assert len({turn.person for turn in chosen}) == 6
    places = [next(place for place, turn in enumerate(turns) if turn is one) for one in chosen]
    assert places == sorted(places)


def test_the_choice_is_the_same_every_time_and_hardly_depends_on_what_is_added() -> None:
    assert choose(history()) == choose(history())


def test_the_chosen_answers_show_the_owners_manner_better_than_most_draws() -> None:
    """Energy distance to all answers, over the style features, beside that of random draws of six."""
    turns = history()
    reference, _ = examples._points([turn.answer for turn in turns], ["x"])

    def distance(chosen: list[Example]) -> float:
        from scipy.spatial.distance import cdist

        _, points = examples._points([turn.answer for turn in turns], [turn.answer for turn in chosen])
        return float(2 * cdist(points, reference).mean() - cdist(points, points).mean())

    chance = random.Random(3)
    drawn = sorted(distance(chance.sample(turns, 6)) for _ in range(200))
    assert distance(choose(turns)) < drawn[20]


@pytest.mark.parametrize(
    "change",
    [
        lambda turn: Example(person=turn.person, incoming="my grandma died last night", answer=turn.answer),
        lambda turn: Example(person=turn.person, incoming=turn.incoming, answer="call me at 555 0100 200"),
        lambda turn: Example(person=turn.person, incoming=turn.incoming, answer="the code is 4711"),
        lambda turn: Example(person=turn.person, incoming=turn.incoming, answer=" ".join(["long"] * 16)),
        lambda turn: Example(person=turn.person, incoming=" ".join(["long"] * 21), answer=turn.answer),
        lambda turn: Example(person=turn.person, incoming="x" * 200 + " y", answer=turn.answer),
    ],
)
def test_refused_and_long_turns_are_never_shown(change: Callable[[Example], Example]) -> None:
    assert choose([change(turn) for turn in history()]) == []


def test_answers_that_belong_to_their_message_go_first_and_others_fill_in_where_they_are_too_few() -> None:
    loose = [Example(person=f"q{n}", incoming="I agree with that", answer=f"hi anna {n}") for n in range(40)]
    assert not {turn.person for turn in choose(history() + loose)} & {turn.person for turn in loose}
    named = Example(person="p", incoming="I loved the clouds", answer="those clouds were so pretty")
    assert choose([named, *loose], 1) == [named]
    assert len(choose([named, *loose])) == 6


def test_with_few_people_or_turns_fewer_or_repeated_people_are_shown() -> None:
    assert len(choose(history(people=2))) == 6
    assert len({turn.person for turn in choose(history(people=2))}) == 2
    assert len(choose(history(n=3))) <= 3
    assert choose([]) == []
    assert choose(history(), 0) == []


def test_the_same_answer_is_shown_once_however_it_is_spelled() -> None:
    turns = [
        Example(person=str(n), incoming="you there ?", answer=text) for n, text in enumerate(["Lol", "lol!!", "LOL."])
    ]
    assert len(choose(turns)) == 1


def test_a_plan_shows_as_many_examples_as_are_chosen_by_default() -> None:
    assert Section(models=("tiny",)).turn_examples == examples.DEFAULT
