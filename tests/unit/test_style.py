"""What counts as the owner's style, on two made-up writers who say the same things differently."""

from __future__ import annotations

import json
import random

import pytest

from jobs.evaluate.metrics import style

THINGS = ["dinner", "the game", "class", "lunch", "the movie", "work", "practice", "the party", "the trip"]
WHEN = ["tomorrow", "tonight", "on friday", "later", "at noon", "next week"]
CASUAL = [
    "yeah im going to {} {} lol",
    "u coming to {} {}?",
    "haha cant make it to {} {}",
    "ok see u at {} {}",
    "idk about {} {} tbh",
    "dont forget {} {} haha",
]
FORMAL = [
    "I am going to {} {}.",
    "Will you be coming to {} {}?",
    "Unfortunately, I cannot make it to {} {}.",
    "Very well, I will see you at {} {}.",
    "I'm not certain about {} {}, to be honest.",
    "Please don't forget {} {}!",
]
ASSISTANT = ["I'd be delighted to assist with dinner tomorrow.", "Thank you for reaching out! I appreciate it."]


def written(forms: list[str], n: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(forms).format(chance.choice(THINGS), chance.choice(WHEN)) for _ in range(n)]


@pytest.fixture(scope="module")
def own() -> list[str]:
    return written(CASUAL, 400, 1)


@pytest.fixture(scope="module")
def others() -> list[str]:
    return written(FORMAL, 400, 2)


@pytest.fixture(scope="module")
def fitted(own: list[str], others: list[str]) -> style.Fitted:
    made = style.yardsticks(own, others)
    assert made is not None
    return made


def test_the_owners_other_half_is_more_like_the_owner_than_other_people_are(fitted: style.Fitted) -> None:
    assert fitted.ceiling.low is not None
    assert fitted.floor.high is not None
    assert fitted.ceiling.low > fitted.floor.high
    assert (fitted.ceiling.n, fitted.floor.n) == (200, 400)


def test_clipping_moves_both_ends_of_the_scale(fitted: style.Fitted, own: list[str], others: list[str]) -> None:
    """What the same messages get as a reply would: the owner's other half not 1, other people not 0."""
    scale = style.Scale(profile=fitted.profile, floor=fitted.floor.mean, ceiling=fitted.ceiling.mean)
    for what, texts in (("ceiling", own[1::2]), ("floor", others)):
        clipped = [scale.value(fitted.profile.style(text).raw) for text in texts]
        assert fitted.scaled[what].mean == pytest.approx(sum(clipped) / len(clipped))
        assert fitted.scaled[what].n == len(texts)
    assert 0 < fitted.scaled["floor"].mean < fitted.scaled["ceiling"].mean < 1


def test_where_others_write_alike_there_is_no_scale(own: list[str]) -> None:
    yardsticks = style.yardsticks(own, own[::2])
    assert yardsticks is not None and yardsticks.ceiling.mean <= yardsticks.floor.mean
    assert yardsticks.scaled == {}


def test_the_same_words_in_the_owners_way_score_above_an_assistants_way(fitted: style.Fitted) -> None:
    mine = fitted.profile.style("ok see u at dinner tomorrow lol")
    for text in ASSISTANT:
        polite = fitted.profile.style(text)
        assert mine.raw > polite.raw
        assert mine.shape > polite.shape
        assert mine.familiar > polite.familiar


def test_length_alone_is_no_likeness(fitted: style.Fitted) -> None:
    """A cosine with the whole corpus would grow with the text; the share of familiar n-grams does not."""
    short, long = fitted.profile.style("I'd be delighted."), fitted.profile.style(" ".join(ASSISTANT * 4))
    assert long.raw < fitted.floor.mean
    assert long.familiar < short.familiar + 0.2


def test_everything_stays_between_0_and_1(fitted: style.Fitted) -> None:
    for text in ("", " ", "…", "🎉🎉🎉", "A" * 5000, "ok see u at lunch tonight", "\ud83d", "你好"):
        marks = fitted.profile.style(text)
        assert 0 <= marks.familiar <= 1
        assert 0 <= marks.shape <= 1
        assert marks.raw == pytest.approx((marks.shape * marks.familiar) ** 0.5)


def test_too_few_messages_leave_the_metric_out(own: list[str], others: list[str]) -> None:
    assert style.yardsticks(own[:199], others) is None
    assert style.yardsticks(own[:200], others) is not None
    assert style.yardsticks(own, others[:49]) is None


def test_the_same_messages_give_the_same_profile(fitted: style.Fitted, own: list[str], others: list[str]) -> None:
    assert style.yardsticks(list(own), list(others)) == fitted


def test_at_most_two_thousand_messages_of_each_are_looked_at() -> None:
    yardsticks = style.yardsticks(written(CASUAL, 9001, 3), written(FORMAL, 5003, 4))
    assert yardsticks is not None
    assert (yardsticks.profile.texts, yardsticks.ceiling.n, yardsticks.floor.n) == (2000, 2000, 2000)


def test_a_profile_survives_the_database(fitted: style.Fitted) -> None:
    back = style.Profile.from_json(json.loads(json.dumps(fitted.profile.as_json())))
    assert back == fitted.profile


def test_a_profile_holds_numbers_only_and_nothing_said_once_or_twice(own: list[str], others: list[str]) -> None:
    """What stands in one or two messages, such as a code or a name, changes no n-gram of the profile."""
    secret = "my pin is QZXJ"
    document = style.fit([*own, secret, secret]).as_json()
    assert set(document) == {"texts", "means", "spreads", "weights", "unknown"}
    assert set(document["means"]) == set(style.features(""))
    assert all(gram.isdigit() and isinstance(weight, float) for gram, weight in document["weights"].items())
    assert not {str(gram) for gram in style.grams("QZXJ")} & set(document["weights"])


def test_digits_are_alike() -> None:
    assert style.grams("at 17:30") == style.grams("at 08:45")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("see you", "small start", 1.0),
        ("See you", "small start", 0.0),
        ("OK yes", "capitals", 0.4),
        ("Fine.", "ends in a full stop", 1.0),
        ("Fine...  ", "ends in a full stop", 1.0),
        ("fine", "ends in a word", 1.0),
        ("u there lol ok", "abbreviations", 0.75),
        ("I'm sure it’s ok", "contractions", 0.5),
        ("im sure thats ok", "bare contractions", 0.5),
        ("what", "question marks", 0.0),
        ("+1 ^^", "emoji", 0.0),
        ("", "word length", 0.0),
    ],
)
def test_a_feature_of_a_text(text: str, name: str, value: float) -> None:
    assert style.features(text)[name] == pytest.approx(value)


def test_more_marks_count_as_more() -> None:
    for name, one, more in (
        ("exclamation marks", "yes!", "yes!!!"),
        ("question marks", "what?", "what??"),
        ("emoji", "yay 🎉", "yay 🎉🎉"),
        ("length", "ok", "okay then"),
    ):
        assert 0 < style.features(one)[name] < style.features(more)[name]


def test_a_value_runs_from_the_floor_to_the_ceiling(fitted: style.Fitted) -> None:
    scale = style.Scale(profile=fitted.profile, floor=0.2, ceiling=0.6)
    assert [scale.value(raw) for raw in (0.0, 0.2, 0.3, 0.6, 0.9)] == pytest.approx([0, 0, 0.25, 1, 1])
