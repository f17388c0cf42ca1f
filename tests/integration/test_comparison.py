"""The document of a run, from rows of a real database: measures, references, rounds, gates."""

from __future__ import annotations

import pytest

from jarvisd.store.models import Run
from jobs.lib.results.tables import REAL_TURNS, ReferenceScore, Score
from tests.integration.comparison_nights import Night


def test_a_plain_round_is_the_share_of_checks_over_five_scenarios(night: Night) -> None:
    """No metrics, no rounds, no rules in the snapshot. One sample per prompt gives no interval."""
    night.first_round({"a": 0.9, "b": 0.6})
    document = night.document()
    stats = document["models"]["a"]["stats"]
    assert stats["instructions"] == {"value": pytest.approx(0.9), "ci": None, "n": 13}
    assert stats["own_turns"] == {"value": None, "ci": None, "n": 0}
    assert (stats["quality"], stats["quality_ci"], stats["quality_clusters"]) == (pytest.approx(0.9), None, 13)
    assert stats["layers"]["checks"] == {"mean": 0.9, "ci": [0.9, 0.9], "n": 13, "clusters": 5}
    assert stats["layers"]["style"] == {"mean": None, "ci": None, "n": 0, "clusters": 0}
    assert (document["rounds"], document["cut"], document["yardsticks"]) == (1, None, {})
    assert (document["verdict"]["action"], document["verdict"]["pick"], document["verdict"]["present"]) == (
        "keep",
        "a",
        "a",
    )
    assert (document["verdict"]["winner"], document["verdict"]["tied"], document["settle"]) == ("a", [], "")
    assert document["groups"] == {"a": "a", "b": "b"} and document["ranking"] == ["a", "b"]
    assert document["models"]["a"]["gates"] == [] and document["models"]["a"]["dropped"] is None


def test_a_turn_of_the_owners_counts_what_it_adds_to_own_turns(night: Night) -> None:
    """Not its checks, style and meaning, which are figures beside it; one reply may add more than 1."""
    replies = night.first_round({"a": 0.9})["a"]
    night.turns([0, 1])
    for place, value in enumerate((1.3, 0.1)):
        reply = night.reply(replies[0].job, REAL_TURNS, place, quality=0.9)
        for metric, of in (("style", 0.5), ("meaning", 0.2), ("own_turns", value)):
            Score.create(reply=reply, metric=metric, value=of)
    stats = night.document()["models"]["a"]["stats"]
    assert stats["instructions"]["value"] == pytest.approx(0.9)
    assert stats["own_turns"] == {"value": pytest.approx(0.7), "ci": None, "n": 2}
    assert stats["quality"] == pytest.approx((0.9 + 0.7) / 2)
    assert (stats["layers"]["style"]["mean"], stats["layers"]["meaning"]["mean"]) == (0.5, 0.2)


def test_readings_count_where_every_reply_of_the_run_was_read_and_else_the_checks_for_all(night: Night) -> None:
    """The night ended before the last reply of one model was read: no model is on another scale than the others."""
    replies = night.first_round({"a": 0.9, "b": 0.6})
    rows = [row for of in replies.values() for row in of]

    def instructions() -> list[float]:
        models = night.document()["models"]
        return [models[model]["stats"]["instructions"]["value"] for model in "ab"]

    for row in rows[:-1]:
        Score.create(reply=row, metric="reading", value=0.5)
    assert instructions() == pytest.approx([0.9, 0.6])
    Score.create(reply=rows[-1], metric="reading", value=0.5)
    assert instructions() == pytest.approx([0.5, 0.5])


def test_the_canned_reply_of_the_scale_that_counts_is_the_bar(night: Night) -> None:
    """References are listed as models are; a model that is no better than the canned reply is not recommended."""
    replies = night.first_round({"a": 0.7, "b": 0.6})
    night.turns([0, 1])
    for metric, reference, value in (
        ("instructions", "canned", 0.9),
        ("checks", "canned", 0.3),
        ("own_turns", "canned", 0.1),
        ("own_turns", "real", 0.95),
    ):
        ReferenceScore.create(run=night.run, metric=metric, reference=reference, value=value, n=13)
    by_checks = night.document()
    assert by_checks["references"]["canned"]["instructions"] == {"value": 0.3, "ci": None, "n": 13}
    assert by_checks["references"]["real"] == {"own_turns": {"value": 0.95, "ci": None, "n": 13}}
    assert by_checks["verdict"]["recommended"]
    for row in (row for of in replies.values() for row in of):
        Score.create(reply=row, metric="reading", value=row.quality)
    read = night.document()
    assert read["references"]["canned"]["instructions"]["value"] == 0.9
    assert not read["verdict"]["recommended"]


def test_without_a_stored_canned_reply_a_model_must_be_above_the_floor(night: Night) -> None:
    """In the first round nothing was measured of a canned reply yet."""
    night.first_round({"a": 0.3, "b": 0.5})
    verdict = night.document()["verdict"]
    assert (verdict["recommended"], verdict["action"], verdict["pick"]) == (False, "keep", "b")


def test_the_value_of_own_turns_lies_within_0_and_1(night: Night) -> None:
    """What replies add may lie outside."""
    job = night.loaded("a")
    night.turns([0, 1])
    for place in (0, 1):
        Score.create(reply=night.reply(job, REAL_TURNS, place), metric="own_turns", value=1.2)
    assert night.document()["models"]["a"]["stats"]["own_turns"]["value"] == 1


def test_without_own_turns_quality_is_instructions_alone_and_says_so(night: Night) -> None:
    """Checks and style of a reply to the owner's turns are not the measure."""
    replies = night.first_round({"a": 0.9, "b": 0.6})
    night.turns([0])
    for model, of in replies.items():
        reply = night.reply(of[0].job, REAL_TURNS, 0, quality=0.1)
        assert reply.model == model
        Score.create(reply=reply, metric="style", value=0.5)
    document = night.document()
    stats = document["models"]["a"]["stats"]
    assert (stats["own_turns"]["value"], stats["quality"]) == (None, pytest.approx(0.9))
    assert "could not be measured" in document["verdict"]["why"] + document["verdict"]["details"]


def test_failed_replies_to_the_owners_turns_count_0_where_the_others_were_measured(night: Night) -> None:
    """A model with too few complete replies for the measure has no value, whatever failed."""
    jobs = {model: night.loaded(model) for model in "abc"}
    night.turns([0, 1])
    measured = night.reply(jobs["a"], REAL_TURNS, 0)
    Score.create(reply=measured, metric="own_turns", value=0.8)
    night.reply(jobs["a"], REAL_TURNS, 1, success=False)
    night.reply(jobs["b"], REAL_TURNS, 0)
    night.reply(jobs["c"], REAL_TURNS, 0, success=False)
    for model in "bc":
        night.reply(jobs[model], REAL_TURNS, 1, success=False)
    models = night.document()["models"]
    values = [models[model]["stats"]["own_turns"]["value"] for model in "abc"]
    assert values == [pytest.approx(0.4), None, 0]


@pytest.mark.parametrize("key", ["measures", "weights"])
def test_the_weights_of_the_measures_are_those_of_the_plan(night: Night, key: str) -> None:
    """The same in every round, however many turns were asked; `weights` may name them beside those of the order."""
    Run.update(snapshot={"plan": {"report": {key: {"instructions": 0.9, "own_turns": 0.1}}}}).execute()
    job = night.first_round({"a": 1.0})["a"][0].job
    night.turns(list(range(20)))
    for place in range(20):
        Score.create(reply=night.reply(job, REAL_TURNS, place), metric="own_turns", value=0.0)
    assert night.document()["models"]["a"]["stats"]["quality"] == pytest.approx(0.9)


def test_a_metric_that_one_reply_does_not_have_is_left_out_at_that_prompt(night: Night) -> None:
    """The night ended before the second model's replies were measured: both are compared by their checks."""
    replies = night.first_round({"a": 0.9, "b": 0.9})
    for reply in replies["a"]:
        Score.create(reply=reply, metric="style", value=0.1)
    document = night.document()
    assert document["pairs"][0]["difference"] == pytest.approx(0.0)
    assert document["models"]["a"]["generations"][0]["style"] == 0.1


def test_a_failed_reply_counts_as_0_in_every_metric(night: Night) -> None:
    """It has no scores of its own, and that is no way out."""
    job = night.loaded("a")
    good = night.reply(job, "invite", 0, quality=1.0)
    night.reply(job, "invite", 0, sample=2, success=False)
    Score.create(reply=good, metric="style", value=0.8)
    stats = night.document()["models"]["a"]["stats"]
    assert stats["layers"]["style"]["mean"] == pytest.approx(0.4)
    assert stats["quality"] == pytest.approx(0.5)


def test_later_rounds_bring_conversations_as_clusters(night: Night) -> None:
    """Samples are averaged within a prompt, turns within a conversation; the owner's answer stands beside."""
    job = night.loaded("a")
    night.reply(job, "invite", 0, quality=1.0)
    later = night.loaded("a", 2, load_time_s=9.0, process_mb=2500.0)
    night.turns([0, 0, 1])
    night.reply(later, "invite", 0, sample=2, quality=0.0, batched=True, latency_ms=None)
    for place, value in enumerate([0.2, 0.4, 0.9]):
        reply = night.reply(later, REAL_TURNS, place, bits_per_character=2.0 + place)
        Score.create(reply=reply, metric="own_turns", value=value)
    document = night.document()
    model = document["models"]["a"]
    assert model["stats"]["instructions"]["value"] == pytest.approx(0.5)
    assert model["stats"]["own_turns"] == {"value": pytest.approx((0.3 + 0.9) / 2), "ci": None, "n": 2}
    assert model["stats"]["quality"] == pytest.approx((0.5 + 0.6) / 2)
    assert model["stats"]["quality_clusters"] == 3
    assert model["stats"]["layers"]["bits_per_character"]["mean"] == pytest.approx((2.5 + 4.0) / 2)
    assert (model["rounds"], document["rounds"]) == (2, 2)
    last = model["generations"][-1]
    assert (last["reference"], last["chat"], last["round"]) == ("yo 2", 1, 2)
    assert model["generations"][0]["reference"] is None
    assert document["cut"]["chosen"] == 3 and document["cut"]["turns_after"] == 70
    assert [entry["id"] for entry in document["scenarios"]] == ["invite"]


def test_a_model_loaded_twice_keeps_its_first_time_and_newest_description(night: Night) -> None:
    """Peaks are the highest of all rounds; a batch holds several replies and does not count."""
    first = night.loaded("a", load_time_s=3.0, load_peak_mb=1000.0, first_reply_ms=700.0, process_mb=2000.0)
    second = night.loaded("a", 2, load_time_s=9.0, load_peak_mb=1200.0, first_reply_ms=100.0, process_mb=1900.0)
    night.reply(first, "invite", 0, peak_memory_mb=1500.0)
    night.reply(second, "invite", 0, sample=2, batched=True, latency_ms=5.0, peak_memory_mb=4000.0)
    model = night.document()["models"]["a"]
    assert (model["load_time_s"], model["info"]["revision"]) == (3.0, "r2")
    stats = model["stats"]
    assert (stats["first_reply_ms"], stats["process_peak_mb"], stats["peak_memory_mb"]) == (700.0, 2000.0, 1500.0)
    assert (stats["timed_replies"], stats["p50_latency_ms"], stats["total_tests"]) == (1, 1000.0, 2)


def test_a_model_that_misses_a_gate_stays_on_the_page(night: Night) -> None:
    """Marked, ranked last, and never the winner, however good its checks."""
    night.first_round({"a": 1.0}, peak_memory_mb=7000.0)
    night.first_round({"b": 0.5, "c": 0.5})
    document = night.document()
    assert document["models"]["a"]["gates"] == ["peak of 6.84 GB, over 6.00 GB"]
    assert document["ranking"][-1] == "a" and document["verdict"]["tied"] == ["b", "c"]
    assert "miss a limit of the plan: Model A" in document["verdict"]["why"]


def test_the_rules_of_the_plan_hold(night: Night) -> None:
    """Gates and weights come from the run's snapshot."""
    night.first_round({"a": 0.9, "b": 0.6}, peak_memory_mb=3000.0)
    plan = {"report": {"gates": {"memory_mb": 2000}}}
    Run.update(snapshot={"plan": plan}).execute()
    document = night.document()
    assert all(model["gates"] for model in document["models"].values())
    assert "No model keeps the limits of the plan" in document["verdict"]["why"]


def test_reference_scores_are_listed_by_metric(night: Night) -> None:
    """Ceiling, floor and random, each with its interval, its n, and what it is on the scale of the metric."""
    night.first_round({"a": 0.9})
    for what, value in (("ceiling", 0.9), ("ceiling, scaled", 0.7)):
        ReferenceScore.create(run=night.run, metric="style", reference=what, value=value, low=-0.1, high=1.2, n=400)
    scaled = {"value": 0.7, "low": 0.0, "high": 1.0}  # ends that cannot be are not shown
    expected = {"style": {"ceiling": {"value": 0.9, "low": -0.1, "high": 1.2, "n": 400, "scaled": scaled}}}
    assert night.document()["yardsticks"] == expected


def test_a_run_without_anything_has_a_document(night: Night) -> None:
    """No models, no replies: the reason says so."""
    document = night.document()
    assert (document["models"], document["pairs"], document["ranking"], document["stability"]) == ({}, [], [], None)
    assert document["verdict"]["why"] == "No model gave replies, so there is nothing to compare."


def test_the_pairs_of_the_document_have_difference_interval_and_p(night: Night) -> None:
    """Of the prompts that both answered; each was asked twice, so there is an interval."""
    jobs = {key: night.loaded(key) for key in ("a", "b")}
    for name, gap in {"invite": 0.1, "milk": 0.3, "work": 0.2, "banter": -0.1, "late": 0.2}.items():
        for sample in (1, 2):
            night.reply(jobs["a"], name, 0, quality=0.5 + gap, sample=sample)
            night.reply(jobs["b"], name, 0, quality=0.5, sample=sample)
    row = night.document()["pairs"][0]
    assert row["difference"] == pytest.approx(0.14) and row["ci"][0] < 0.14 < row["ci"][1]
    assert 0 < row["p"] == row["p_holm"] < 1 and (row["prompts"], row["clusters"]) == (5, 5)
