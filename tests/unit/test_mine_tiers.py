"""Tiers, triggers, thresholds and rivals, on cosines small enough to check by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import _tiers
from jarvisd.errors import JobFailed
from jobs.lib.matching.rules import FIRES_AT
from jobs.mine import answers, baseline, figures, rolling_origin, tiers
from jobs.mine.answers import MatchCounts, Turns
from jobs.mine.rolling_origin import Origin
from jobs.mine.tiers import TriggerSet

EYE = np.eye(6, dtype=np.float32)


def bank(owners: list[int], templates: int) -> TriggerSet:
    return TriggerSet(np.arange(len(owners), dtype=np.int32), np.array(owners, dtype=np.int32), templates)


def turns(texts: list[str], replies: list[int]) -> Turns:
    """One message of the owner's after each turn."""
    n = len(texts)
    return Turns(
        texts=texts,
        shown=texts,
        replies=np.array(replies, dtype=np.int32),
        before=np.arange(n, dtype=np.int64),
        settled=np.array([at if reply >= 0 else n for at, reply in enumerate(replies)], dtype=np.int64),
    )


def test_a_template_that_is_right_often_enough_is_automatic() -> None:
    """Twenty of twenty on the half that decides: the lower end of the interval is 0.84."""
    near = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (40, 1))
    good = np.tile(np.array([[True, False]]), (40, 1))
    threshold = tiers.calibrate(bank([0, 1], 2), near, good, 0.8)
    assert threshold.tiers == ["automatic", "phrase"]
    assert threshold.enabled.tolist() == [True, False]
    assert threshold.thresholds == [pytest.approx(0.9, abs=1e-3), None]


def test_few_turns_are_not_enough_to_be_automatic() -> None:
    """Ten of ten leave room for 0.72."""
    near = np.full((10, 1), 0.9, dtype=np.float32)
    assert tiers.calibrate(bank([0], 1), near, np.ones((10, 1), dtype=np.bool_), 0.8).tiers == ["suggest"]


def test_a_trigger_that_fires_wrongly_is_dropped_and_the_template_reaches_its_tier() -> None:
    """The second trigger spoils an automatic template: without it the tier is reached."""
    near = np.full((60, 2), 0.1, dtype=np.float32)
    near[:40, 0], near[40:, 1] = 0.9, 0.9
    good = np.zeros((60, 1), dtype=np.bool_)
    good[:40] = True
    threshold = tiers.calibrate(bank([0, 0], 1), near, good, 0.8)
    assert (threshold.tiers, threshold.enabled.tolist()) == (["automatic"], [True, False])


def test_a_useful_trigger_stays_where_automatic_is_out_of_reach() -> None:
    """Right in six of ten: worth suggesting, not dropped for its four mistakes; one of four goes. In both halves."""
    near = np.full((28, 2), 0.1, dtype=np.float32)
    near[:20, 0], near[20:, 1] = 0.9, 0.9
    good = np.array([[True]] * 12 + [[False]] * 8 + [[True]] * 2 + [[False]] * 6)
    threshold = tiers.calibrate(bank([0, 0], 1), near, good, 0.8)
    assert (threshold.tiers, threshold.enabled.tolist()) == (["suggest"], [True, False])


def test_nothing_fires_below_the_limit_of_jarvis() -> None:
    near = np.full((30, 1), 0.69, dtype=np.float32)
    threshold = tiers.calibrate(bank([0], 1), near, np.ones((30, 1), dtype=np.bool_), 0.8)
    assert (threshold.tiers, threshold.enabled.tolist()) == (["phrase"], [False])


def test_without_triggers_or_turns_everything_is_a_phrase() -> None:
    nothing = np.empty((3, 0), dtype=np.float32)
    assert tiers.calibrate(bank([], 2), nothing, np.ones((3, 2), dtype=np.bool_), 0.8).tiers == ["phrase"] * 2
    no_turns = np.empty((0, 1), dtype=np.float32)
    assert tiers.calibrate(bank([0], 1), no_turns, np.ones((0, 1), dtype=np.bool_), 0.8).tiers == ["phrase"]


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12), st.integers(1, 5))
def test_every_tier_holds_under_the_rule_that_will_fire_it(seed: int, rows: int, triggers: int, count: int) -> None:
    """Whatever the cosines: what is enabled belongs to a sendable template, and the deciding half bears it out."""
    random = np.random.default_rng(seed)
    near = random.uniform(0.5, 1, (rows, triggers)).astype(np.float32)
    good = random.random((rows, count)) < 0.7
    threshold = tiers.calibrate(bank(sorted(random.integers(0, count, triggers).tolist()), count), near, good, 0.5)
    scores = threshold.bank.scores(near[1::2], threshold.enabled)
    order = answers.first_three(scores, FIRES_AT, 4)
    won, lost = tiers.gains(order, answers.hits(order, good[1::2]), count)
    for number, tier in enumerate(threshold.tiers):
        fired = order[:, 0] == number
        meets = tiers.meets(int(good[1::2][fired, number].sum()), int(fired.sum()), 0.5)
        assert tier != "automatic" or meets
        assert tier != "suggest" or meets or tiers.helps(int(won[number]), int(lost[number]))
        assert tier != "phrase" or not threshold.enabled[threshold.bank.owners == number].any()


def test_the_half_that_decides_has_chosen_nothing() -> None:
    """Its turns may be right or wrong: which triggers stay depends on the other half alone."""
    near = np.full((40, 2), 0.1, dtype=np.float32)
    near[0::4, 0], near[2::4, 1] = 0.9, 0.9
    near[1::4, 0], near[3::4, 1] = 0.9, 0.9
    good = np.ones((40, 1), dtype=np.bool_)
    good[2::4] = False  # the second trigger, on the choosing half
    other = good.copy()
    other[3::4] = False  # and on the deciding half
    for truth in (good, other):
        assert tiers.calibrate(bank([0, 0], 1), near, truth, 0.6).enabled.tolist() == [True, False]


def test_a_template_right_in_six_of_ten_cases_is_hardly_ever_called_automatic() -> None:
    """In 2 of 100 simulated calibrations at most; one right in 95 of 100 in 80 at least, given 180 turns."""
    wrong, right = (_tiers._share(_tiers._automatic, precision, 180, 100) for precision in (0.6, 0.95))
    assert wrong <= 0.02
    assert right >= 0.8


def test_one_turn_makes_no_template_worth_suggesting() -> None:
    assert not tiers.helps(1, 0)
    assert tiers.helps(2, 0)
    assert not tiers.helps(2, 1)


def test_a_template_that_the_past_would_not_have_chosen_is_a_phrase() -> None:
    near, good = np.full((40, 2), 0.9, dtype=np.float32), np.ones((40, 2), dtype=np.bool_)
    allowed = np.array([False, True])
    threshold = tiers.calibrate(bank([0, 1], 2), near, good, 0.8, allowed)
    assert threshold.tiers == ["phrase", "automatic"]
    assert threshold.enabled.tolist() == [False, True]


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 8))
def test_what_a_template_adds_is_counted_as_leaving_it_out_would(seed: int, rows: int, count: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.uniform(0.5, 1, (rows, count)).astype(np.float32)
    good = random.random((rows, count)) < 0.4
    order = answers.first_three(scores, 0.7, 4)
    won, lost = tiers.gains(order, answers.hits(order, good), count)
    for number in range(count):
        without = scores.copy()
        without[:, number] = -1
        kept = answers.hits(answers.first_three(without, 0.7), good).any(axis=1).sum()
        assert won[number] - lost[number] == answers.hits(order[:, :3], good).any(axis=1).sum() - kept


def test_triggers_are_harmless_short_and_belong_to_one_template() -> None:
    incoming = turns(["hey", "hey", "hey", "my code is 482913", "word " * 13, "hello"], [0, 0, 1, 0, 0, -1])
    label = np.array([0, 1], dtype=np.int32)
    triggers = tiers.bank(incoming, incoming.past(6), tiers.allowed(incoming), label, 2)
    assert [(incoming.texts[turn], owner) for turn, owner in zip(triggers.turns, triggers.owners, strict=True)] == [
        ("hey", 0)
    ]


def test_a_turn_that_names_somebody_is_no_trigger() -> None:
    incoming = turns(["hey", "hey chris", "is Chris's car here"], [0, 0, 0])
    assert tiers.allowed(incoming, frozenset({"chris"})).tolist() == [True, False, False]


def test_a_turn_belongs_to_one_part_only() -> None:
    """A turn asked before a cut and answered after it is in neither part, and no mining before it knows its reply."""
    incoming = turns(["a", "b", "c", "d"], [0, 0, 0, -1])
    straddling = Turns(
        incoming.texts, incoming.shown, incoming.replies, incoming.before, incoming.settled + np.array([0, 1, 0, 0])
    )
    assert straddling.past(2).tolist() == [0]
    assert straddling.within(0, 2, 4).tolist() == [0]
    assert straddling.within(2, 4, 4).tolist() == [2, 3]


def test_rivals_are_measured_on_the_same_turns() -> None:
    """Most frequent: always the same. Exact: only where the text is known."""
    incoming = turns(["hi", "hi", "bye", "hi", "new", "bye"], [0, 0, 1, 0, 2, -1])
    past, held = incoming.past(3), incoming.within(3, 6, 6)
    assert baseline.frequent(incoming, EYE, past, held, 0.8) == MatchCounts(
        turns=3, replied=2, fired=3, right=1, hit_at_3=1 + 1
    )
    assert baseline.exact(incoming, EYE, past, held, 0.8) == MatchCounts(
        turns=3, replied=2, fired=2, right=1, hit_at_3=1
    )


def test_ranking_follows_the_turns_most_like_it_and_else_the_most_frequent() -> None:
    incoming = EYE[[0, 0, 1, 0, 5]]
    led = np.array([[True, False], [True, False], [False, True]])
    ranking = answers.nearest_voted(incoming, np.array([3, 4, 2]), np.array([0, 1, 2]), led)
    assert ranking[:, 0].tolist() == [0, 0, 0]  # a prior of five turns outweighs one neighbour
    again = answers.nearest_voted(
        EYE[[1] * 40 + [0] * 41 + [1]], np.array([81]), np.arange(81), np.repeat(EYE[:2], [40, 41], 0) > 0
    )
    assert again[:, 0].tolist() == [0]


def test_manual_templates_are_read_from_yaml_and_from_jarvis(tmp_path: Path) -> None:
    """What an earlier deployment wrote, and what is switched off, is no work of the owner's."""
    own = tmp_path / "manual.yaml"
    own.write_text("templates:\n  - {name: omw, reply: On my way!, triggers: [where are you]}\n")
    assert [one.reply for one in baseline.load(own)] == ["On my way!"]
    row = {"id": "1", "name": "omw", "template_text": "On my way!", "trigger_phrases": ["where are you"]}
    rows = [row, row | {"enabled": False}, row | {"tags": ["jarvisd"]}]
    theirs = tmp_path / "custom_templates.json"
    theirs.write_text(json.dumps({"version": 1, "templates": rows}))
    assert len(baseline.load(theirs)) == 1


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "[]"), ("a.json", "{"), ("a.yaml", "templates: 3"), ("b.yaml", "")]
)
def test_a_file_of_templates_that_is_not_understood_is_one_clear_line(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    if name[0] == "a":
        path.write_text(text)
    with pytest.raises(JobFailed):
        baseline.load(path)


def test_manual_templates_fire_by_the_same_rule() -> None:
    one = baseline.Manual(name="a", reply="a", triggers=("x",))
    manual = baseline.ManualSet([one, one], EYE[:2], EYE[[0, 1, 2]], np.array([0, 1, 1], dtype=np.int32))
    assert manual.offers(EYE[[0, 2, 3]])[:, 0].tolist() == [0, 1, -1]
    assert manual.covered(EYE, 0.8).tolist() == [True, True, False, False, False, False]


def test_a_trigger_of_the_owners_own_goes_first_where_it_is_nearer() -> None:
    one = baseline.Manual(name="a", reply="a", triggers=("x",))
    manual = baseline.ManualSet([one], EYE[:1], EYE[[0]], np.array([0], dtype=np.int32))
    near = np.array([[0.9, 1.0], [0.9, 1.0]], dtype=np.float32)
    assert manual.ahead_of(near, EYE[[0, 1]]).tolist() == [[-1.0, 1.0], pytest.approx([0.9, 1.0])]


def origin(share: float, messages: int = 1000) -> Origin:
    return Origin(share=0.5, begin=0, end=messages, chosen=[0], steps=[share])


def test_drift_is_said_when_the_newest_part_leaves_the_others_range() -> None:
    steady = rolling_origin.drift([origin(0.2), origin(0.21), origin(0.19), origin(0.2)])
    fallen = rolling_origin.drift([origin(0.2), origin(0.21), origin(0.19), origin(0.02)])
    assert steady is not None and fallen is not None
    assert (steady["differs"], fallen["differs"], fallen["others"]) == (False, True, 3)
    assert rolling_origin.drift([origin(0.2), origin(0.2)]) is None


#: What one person's five cuts gave.
CUTS = (0.184, 0.282, 0.036, 0.06, 0.161)


def test_parts_that_always_differ_are_no_drift() -> None:
    """16.1 % is nothing new for a person whose earlier parts lie between 3.6 and 28.2 %."""
    drift = rolling_origin.drift([origin(share, messages=2366) for share in CUTS])
    assert drift is not None and drift["differs"] is False  # a test on 2,366 messages each would say it does


def test_each_interval_belongs_to_its_number() -> None:
    """The median of the cuts has their range, their mean Student's t over them: no interval counts messages."""
    numbers = figures.coverage([origin(share) for share in CUTS])
    assert (numbers["coverage"], numbers["coverage_range"]) == (0.161, [0.036, 0.282])
    assert numbers["coverage_mean"] == pytest.approx(0.1446)
    assert numbers["coverage_mean_ci"] == pytest.approx([0.0201, 0.2691], abs=1e-3)
    assert not {"coverage_ci", "coverage_pooled"} & set(numbers)


def test_an_interval_over_parts_stays_between_nothing_and_everything() -> None:
    assert figures.over("hit_rate", [0.0, 0.0, 0.02])["hit_rate_mean_ci"][0] == 0.0
    assert figures.over("hit_rate", [0.3]) == {
        "hit_rate": 0.3,
        "hit_rate_range": [0.3, 0.3],
        "hit_rate_mean": 0.3,
        "hit_rate_mean_ci": None,
    }
    assert figures.over("hit_rate", [])["hit_rate"] is None
