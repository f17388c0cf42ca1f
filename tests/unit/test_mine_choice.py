"""Normalising, refusing, choosing and measuring, on inputs small enough to check by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from jobs.lib.imessage import Message
from jobs.lib.matching.normalise import normal
from jobs.lib.matching.safety import reason
from jobs.mine import corpus, coverage, person_names, rolling_origin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Loool!!", "lol"),
        (" YES. ", "yes"),
        ("so   good…", "so good"),
        ("😂😂😂", "😂"),
        ("hahahahaha", "haha"),
        ("ok?", "ok?"),
        ("1000", "1000"),
        ("...", "."),
        ("Cafe\u0301", "café"),
        ("Straße", "strasse"),
        ("hahahah", "haha"),
        ("ahahaha", "haha"),
        ("Oh yeah hahaha", "oh yeah haha"),
        ("hehehehe", "hehe"),
        ("lololol", "lol"),
        ("hmm", "hm"),
        ("Hmmmmm...", "hm"),
        ("yess", "yes"),
        ("yesss", "yes"),
        ("heyy", "hey"),
        ("soo gooood", "so good"),
        ("I miss you too", "i miss you too"),
        ("ok 😂", "ok"),
        ("thanks! :)", "thanks"),
        ("lol 👍🏽 xD", "lol"),
        (":)", ":)"),
        ("❤️", "❤️"),
        ("🙄?", "?"),
    ],
)
def test_spellings_of_one_message_become_one(text: str, expected: str) -> None:
    assert normal(text) == expected


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("my code is 4821", "code"),
        ("see you at 123456", "number of four digits or more"),
        ("$20 ok", "money"),
        ("5 bucks", "money"),
        ("write to a.b@example.org", "e-mail address"),
        ("https://example.org/x", "link"),
        ("www.example.org", "link"),
        ("call +49 151 1234567", "phone number"),
        ("the password is hunter", "password"),
        ("12 Main Street", "address"),
    ],
)
def test_what_must_never_be_a_template_is_refused(text: str, why: str) -> None:
    assert reason(text) == why


@pytest.mark.parametrize(
    "text", ["ok", "see you at 7", "10 mins", "100 %", "at 7:30", "lol", "what's the code?", "no way"]
)
def test_harmless_texts_are_not_refused(text: str) -> None:
    assert reason(text) is None


def unit_vectors(seed: int, rows: int, size: int = 6) -> NDArray[np.float32]:
    rows_of_noise = np.random.default_rng(seed).normal(size=(rows, size)).astype(np.float32)
    return np.asarray(rows_of_noise / np.linalg.norm(rows_of_noise, axis=1, keepdims=True), dtype=np.float32)


def weights_of(seed: int, rows: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).integers(1, 6, rows).astype(np.float32)


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_each_chosen_text_adds_the_most_of_those_that_lie_apart_from_the_chosen(seed: int, rows: int) -> None:
    """What lazy evaluation must not change."""
    vectors, weights = unit_vectors(seed, rows), weights_of(seed, rows) + 1
    near = coverage.neighbours(vectors, np.ones(rows, dtype=np.bool_), weights, 0.5)
    chosen, gains = coverage.greedy(near, weights, rows)
    left, open_texts = weights.astype(np.float64), set(range(rows))
    for place, gain in zip(chosen, gains, strict=True):
        assert place in open_texts
        assert gain == max(left[near.of([other])[0]].sum() for other in open_texts)
        left[near.of([place])[0]] = 0.0
        open_texts -= {int(member) for member in near.of([place])[0]}
    assert gains == sorted(gains, reverse=True)
    assert coverage.cumulative_shares(near, chosen, weights) == pytest.approx(np.cumsum(gains) / weights.sum())


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_every_member_lies_within_the_radius_of_its_template(seed: int, rows: int) -> None:
    vectors, weights = unit_vectors(seed, rows), weights_of(seed, rows)
    near = coverage.neighbours(vectors, np.ones(rows, dtype=np.bool_), weights, 0.5)
    for place, members in zip(near.candidates, near.lists, strict=True):
        assert (vectors[members] @ vectors[place] >= 0.5 - 1e-5).all()


def test_blocks_do_not_change_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, weights = unit_vectors(1, 50), weights_of(1, 50)
    everything = np.ones(50, dtype=np.bool_)
    whole = coverage.neighbours(vectors, everything, weights, 0.5)
    monkeypatch.setattr(coverage, "_BLOCK_BYTES", 4 * 50 * 7)
    parts = coverage.neighbours(vectors, everything, weights, 0.5)
    assert [list(texts) for texts in whole.lists] == [list(texts) for texts in parts.lists]


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_the_old_count_is_that_of_dbscan(seed: int, rows: int) -> None:
    vectors, weights = unit_vectors(seed, rows, 4), weights_of(seed, rows)
    labels = DBSCAN(eps=0.2, min_samples=5, metric="cosine").fit(vectors, sample_weight=weights).labels_
    clustered = coverage.in_any_cluster(vectors, weights, distance=0.2, least=5)
    assert clustered.tolist() == (labels >= 0).tolist()


def say(*texts: str) -> list[Message]:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return [
        Message(number, 1, False, f"person {number % 3}", True, start + dt.timedelta(minutes=number), text)
        for number, text in enumerate(texts)
    ]


def test_the_most_frequent_spelling_is_shown_and_long_or_refused_ones_are_no_candidates() -> None:
    counted = corpus.build(say("Lol", "lol", "Lol!", "Lol", "pin 4821", "pin 4821", "pin 9", "a b c d"), max_words=3)
    assert counted.texts[0] == "lol"
    assert counted.shown[0] == "Lol"
    assert counted.refused == {"code": 2}  # what was said once can be no template, whatever it says
    assert [counted.texts[place] for place in np.flatnonzero(counted.candidate)] == ["lol"]


def test_an_origin_never_sees_what_comes_later() -> None:
    """A phrase of the second half is no template of the first origin, and one of the first half is."""
    counted = corpus.build(say(*["early"] * 100, *["late"] * 100), max_words=5)
    vectors = np.eye(2, dtype=np.float32)
    near = coverage.neighbours(vectors, counted.candidate, counted.counts(), 0.8)
    origins = rolling_origin.origins(counted, near, templates=10, least=3)
    assert [origin.share for origin in origins] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert [counted.texts[place] for place in origins[0].chosen] == ["early"]
    assert [origin.coverage for origin in origins] == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_too_few_messages_are_not_measured() -> None:
    counted = corpus.build(say(*["ok"] * 50), max_words=5)
    near = coverage.neighbours(np.ones((1, 1), dtype=np.float32), counted.candidate, counted.counts(), 0.8)
    assert rolling_origin.origins(counted, near, templates=10, least=3) == []


def test_no_template_is_chosen_twice_in_other_words() -> None:
    """The second text lies near the first and alone has the third: choosing it would add, and still it is not."""
    vectors = np.array([[1, 0], [0.9, 0.436], [0.62, 0.785]], dtype=np.float32)
    weights = np.array([9, 5, 4], dtype=np.float32)
    near = coverage.neighbours(vectors, np.array([True, True, False]), weights, 0.8)
    assert coverage.greedy(near, weights, 3) == ([1], [18.0])
    weights[0] = 30
    near = coverage.neighbours(vectors[[0, 1]], np.array([True, True]), weights[:2], 0.95)
    assert coverage.greedy(near, weights[:2], 3) == ([0, 1], [30.0, 5.0])


def test_a_text_that_occurs_once_is_no_template_and_neither_is_one_that_is_not_allowed() -> None:
    near = coverage.neighbours(
        np.eye(3, dtype=np.float32), np.ones(3, dtype=np.bool_), np.ones(3, dtype=np.float32), 0.8
    )
    weights = np.array([5, 1, 4], dtype=np.float32)
    assert coverage.greedy(near, weights, 3)[0] == [0, 2]
    assert coverage.greedy(near, weights, 3, allowed=np.array([False, True, True]))[0] == [2]


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_chosen_templates_lie_apart_and_cover_what_they_say(seed: int, rows: int) -> None:
    vectors, weights = unit_vectors(seed, rows), weights_of(seed, rows)
    near = coverage.neighbours(vectors, np.ones(rows, dtype=np.bool_), weights, 0.5)
    chosen, gains = coverage.greedy(near, weights, rows)
    between = vectors[chosen] @ vectors[chosen].T - np.eye(len(chosen), dtype=np.float32)
    assert (between < 0.5).all()
    assert sum(gains) == weights[coverage.covered(near, chosen, rows)].sum()


def said_to(people: int, *texts: str) -> list[Message]:
    """Each text to each of so many people."""
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return [Message(n, n, False, f"person {n}", True, start, text) for text in texts for n in range(people)]


@pytest.mark.parametrize(("partners", "needed"), [(0, 1), (1, 1), (3, 1), (4, 2), (5, 2), (6, 3), (100, 3)])
def test_a_template_was_said_to_three_people_where_there_are_enough(partners: int, needed: int) -> None:
    assert corpus.people_needed(partners, 3) == needed


def test_what_only_two_people_were_told_is_refused_and_counted() -> None:
    counted = corpus.build([*said_to(6, "on my way"), *said_to(2, "our secret"), *said_to(1, "once")], max_words=5)
    assert [counted.texts[place] for place in np.flatnonzero(counted.candidate)] == ["on my way"]
    assert counted.refused == {"said to fewer than 3 people": 2}
    assert corpus.build(said_to(2, "ok"), max_words=5).candidate.all()
    counted = corpus.build([*said_to(6, "ok"), *said_to(1, "x", "x")], max_words=5, min_people=1)
    assert counted.candidate.all()


def test_how_many_people_know_a_text_never_looks_ahead() -> None:
    counted = corpus.build([*said_to(6, "early"), *said_to(6, "late")], max_words=5)
    assert counted.candidate.all()
    assert counted.allowed(6).tolist() == [text == "early" for text in counted.texts]
    assert counted.reach(9)[counted.index()["late"]] == 3


def test_an_early_origin_is_not_told_who_hears_a_text_later() -> None:
    """Among four partners two are enough, whether or not a third one is ever told."""
    early = [*said_to(4, "to all"), *said_to(2, "to two", "to two")]
    counted = corpus.build([*early, *said_to(6, "to all", "later")], max_words=5)
    assert [text for text, ok in zip(counted.texts, counted.allowed(len(early)), strict=True) if ok] == [
        "to all",
        "to two",
    ]
    assert not counted.candidate[counted.index()["to two"]]


def test_names_become_slots_that_are_shown_and_never_sent() -> None:
    messages = [*said_to(6, "Thanks Anna!"), *said_to(6, "thanks Mike"), *said_to(6, "ok then")]
    counted = corpus.build(messages, max_words=5, name_words=frozenset({"anna", "mike"}))
    assert [counted.texts[place] for place in np.flatnonzero(counted.candidate)] == ["ok then"]
    assert counted.refused == {"a name": 12}
    assert counted.slots == {"Thanks {name}!": 6, "thanks {name}": 6}


def test_names_are_known_from_addresses_titles_and_greetings() -> None:
    assert person_names.known(["anna.smith@example.org", "+15550001", "info@example.org"], ["Bob"]) == {
        "anna",
        "smith",
        "bob",
    }
    texts = [
        "Hey Carla how are you",
        "thanks Carla",
        "I will will",
        "thanks Will you come",
        "hey You",
        "ok Carla",
        "Hi Friday",
    ]
    assert person_names.addressed_names(say(*texts)) == {"carla"}
    assert person_names.mask_names("Carla's here, carlas not", frozenset({"carla"})) == "{name}'s here, carlas not"
    assert person_names.mask_names("nobody here", frozenset({"carla"})) == "nobody here"


def test_essays_need_no_vector() -> None:
    counted = corpus.build(say("word " * 17, "word " * 16, "ok"), max_words=12)
    assert dict(zip(map(len, counted.texts), counted.embeddable.tolist(), strict=True)) == {
        84: False,
        79: True,
        2: True,
    }
