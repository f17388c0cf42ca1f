"""Style and meaning of replies in a real database, with a real (tiny) embedder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import StaleAttempt
from jarvisd.operations import control, lookup
from jarvisd.paths import Home
from jarvisd.registry import Outcome
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate.metrics import job, similarity, style
from jobs.lib.comparison.load import load
from jobs.lib.embedding.cache import Cache
from jobs.lib.results.tables import (
    ReferenceScore,
    Score,
    StyleProfile,
    TrainTestSplit,
)
from jobs.lib.stopping import Stopped
from jobs.report.gather import gather
from tests.claiming import claim
from tests.integration.metric_runs import (
    ANSWERS,
    CUT,
    EARLIER,
    HOUR,
    SECRET,
    add,
    again,
    make_messages,
    starter,
)
from tests.tiny_embedder import make_embedder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("embedder") / "tiny")


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    return make_messages(tmp_path)


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run], embedder: Path, messages: Path) -> Callable[..., JobContext]:
    return starter(home, make_run, embedder, messages)


def yardsticks(context: JobContext) -> None:
    """A profile of a person who writes in small letters, among others who do not."""
    own = [f"ok see you at {answer} lol" for answer in ANSWERS * 40]
    others = [f"I would be delighted to see you: {answer.title()}." for answer in ANSWERS * 40]
    style.store(context.run_id, style.yardsticks(own, others))


def scores() -> dict[tuple[str, int], float]:
    return {(score.metric, score.reply_id): score.value for score in Score.select()}


def stop_after(monkeypatch: pytest.MonkeyPatch, commits: int, then: Callable[[], None]) -> None:
    """Call `then` after so many committed batches of one reply each."""
    real, made = job._commit, []
    monkeypatch.setattr(job, "BATCH", 1)

    def counting(*arguments: Any) -> None:
        real(*arguments)
        made.append(1)
        if len(made) == commits:
            then()

    monkeypatch.setattr(job, "_commit", counting)


# --------------------------------------------------------------------------------------------------------- the metrics


def test_every_successful_reply_gets_its_scores(start: Callable[..., JobContext]) -> None:
    context = start()
    yardsticks(context)
    alike = add(context, "ok see you at dinner lol", place=0)
    polite = add(context, "I would be delighted to assist you.", model="two", place=0)
    scenario = add(context, "ok lol", scenario_id="dinner")
    failed = add(context, "", place=1, success=False, failure="empty")
    outcome = job.measure(context)
    without = f"reading left out: the plan holds no scenarios; {too_few_replies()}"
    assert outcome == Outcome(summary={"style": 3, "meaning": 2}, reason=without)
    rows = scores()
    assert set(rows) == {
        ("style", alike.id),
        ("style", polite.id),
        ("style", scenario.id),
        ("meaning", alike.id),
        ("meaning", polite.id),
    }
    assert failed.id not in {reply for _, reply in rows}
    assert rows["style", alike.id] > rows["style", polite.id]
    assert all(0 <= value <= 1 for value in rows.values())
    assert Job.get_by_id(context.job_id).done == 5


def test_the_owners_own_answer_means_what_the_owner_said(start: Callable[..., JobContext]) -> None:
    context = start()
    same = [add(context, answer, place=place) for place, answer in enumerate(ANSWERS)]
    other = [add(context, ANSWERS[place - 1], model="two", place=place) for place in range(len(ANSWERS))]
    job.measure(context)
    rows = scores()
    assert [rows["meaning", reply.id] for reply in same] == pytest.approx([1.0] * len(same), abs=0.01)
    assert sum(rows["meaning", reply.id] for reply in other) < 0.5 * len(other)


def marks_of(metric: str) -> dict[str, ReferenceScore]:
    return {mark.reference: mark for mark in ReferenceScore.select().where(ReferenceScore.metric == metric)}


def test_random_is_the_likeness_of_an_answer_from_before_the_cut(start: Callable[..., JobContext]) -> None:
    """Also as a reply is scored: clipped one by one, which leaves more than nothing."""
    context = start()
    add(context, "ok")
    job.measure(context)
    marks = marks_of("meaning")
    encoder = similarity.encoder_of(context)
    assert not isinstance(encoder, str)
    near = [float(value) for value in (encoder.encode(ANSWERS) @ encoder.encode(EARLIER).T).ravel()]
    random = sum(near) / len(near)
    clipped = [min(1.0, max(0.0, (value - random) / (1 - random))) for value in near]
    assert (set(marks), marks["random"].n) == ({"random", "random, scaled"}, len(ANSWERS))
    assert marks["random"].value == pytest.approx(random, abs=1e-4)
    assert marks["random, scaled"].value == pytest.approx(sum(clipped) / len(clipped), abs=1e-4)
    assert marks["random, scaled"].value > 0.01
    assert all(mark.low <= mark.value <= mark.high for mark in marks.values())


def test_a_run_has_one_scale_of_meaning(start: Callable[..., JobContext], messages: Path) -> None:
    """A later round measures by what the first one kept, whatever became of the messages."""
    context = start()
    add(context, "ok")
    job.measure(context)
    before = [(mark.reference, mark.value) for mark in marks_of("meaning").values()]
    messages.unlink()
    add(context, "yes", place=1)
    assert job.measure(context) == Outcome(
        summary={"style": 0, "meaning": 1}, reason=f"{without_style()}; {too_few_replies()}"
    )
    assert [(mark.reference, mark.value) for mark in marks_of("meaning").values()] == before


def without_style() -> str:
    return "style left out: it needs 200 of your messages and 50 of other people's from before the held-out turns"


def too_few_replies() -> str:
    return "own_turns left out: it needs 20 replies of a model to your own messages"


def test_without_messages_from_before_the_cut_meaning_is_left_out(
    start: Callable[..., JobContext], messages: Path
) -> None:
    context = start()
    add(context, "ok")
    TrainTestSplit.update(at=CUT - 99 * HOUR).execute()
    assert "there are no answers of yours from before the held-out turns" in job.measure(context).reason
    messages.unlink()
    outcome = job.measure(context)
    assert outcome.ok and "meaning left out: there is no Messages database" in outcome.reason
    assert marks_of("meaning") == {}


def test_yardsticks_of_style_are_stored_once(start: Callable[..., JobContext]) -> None:
    context = start()
    yardsticks(context)
    yardsticks(context)
    marks = marks_of("style")
    assert set(marks) == {"ceiling", "ceiling, scaled", "floor", "floor, scaled"}
    assert marks["floor"].high < marks["ceiling"].low
    assert StyleProfile.select().count() == 1


def test_too_few_messages_leave_style_out_with_a_remark(start: Callable[..., JobContext]) -> None:
    context = start()
    style.store(context.run_id, style.yardsticks(["ok"] * 199, ["Fine."] * 300))
    add(context, "ok")
    outcome = job.measure(context)
    assert outcome.ok
    assert outcome.reason.startswith("style left out: it needs 200 of your messages")
    assert {metric for metric, _ in scores()} == {"meaning"}


def test_others_who_write_like_the_owner_leave_style_out(start: Callable[..., JobContext]) -> None:
    context = start()
    style.store(context.run_id, style.yardsticks(["ok lol", "Fine then."] * 150, ["ok lol"] * 100))
    ReferenceScore.update(value=0.9).where(ReferenceScore.reference == "floor").execute()
    add(context, "ok")
    outcome = job.measure(context)
    assert "look as much like yours as your own do" in outcome.reason
    assert outcome.ok


@pytest.mark.parametrize("missing", ["none named", "not on this disk", "no model"])
def test_without_an_embedder_style_is_still_measured(
    start: Callable[..., JobContext], tmp_path: Path, missing: str
) -> None:
    (tmp_path / "no model").mkdir()
    context = start(None if missing == "none named" else tmp_path / missing)
    yardsticks(context)
    add(context, "ok lol")
    outcome = job.measure(context)
    assert outcome.ok
    assert outcome.reason.startswith("meaning left out: ")
    assert {metric for metric, _ in scores()} == {"style"}


def test_nothing_to_do_is_done(start: Callable[..., JobContext]) -> None:
    assert job.measure(start()) == Outcome(summary={"style": 0, "meaning": 0})


def test_replies_of_other_runs_are_left_alone(start: Callable[..., JobContext], home: Home) -> None:
    old = start()
    reply = add(old, "ok")
    Job.update(status="succeeded").execute()
    context = start()
    yardsticks(context)
    job.measure(context)
    assert not Score.select().where(Score.reply == reply).exists()


def test_a_later_round_scores_only_what_is_new(start: Callable[..., JobContext]) -> None:
    context = start()
    yardsticks(context)
    add(context, "ok")
    job.measure(context)
    before = [(score.id, score.value) for score in Score.select()]
    add(context, "yes", place=1)
    outcome = job.measure(context)
    assert outcome.summary == {"style": 1, "meaning": 1}
    assert [(score.id, score.value) for score in Score.select()][: len(before)] == before


@pytest.mark.parametrize("commits", [1, 3, 4, 5])
def test_a_job_killed_at_any_batch_goes_on_and_scores_nothing_twice(
    start: Callable[..., JobContext], home: Home, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    class Killed(Exception):
        pass

    def kill() -> None:
        raise Killed

    context = start()
    yardsticks(context)
    for place, text in enumerate(ANSWERS[:3]):
        add(context, text, place=place)
    with monkeypatch.context() as patch:
        stop_after(patch, commits, kill)
        with pytest.raises(Killed):
            job.measure(context)
    assert Score.select().count() == commits
    outcome = job.measure(again(home, context))
    assert sum(outcome.summary.values()) == 6 - commits
    assert len(scores()) == Score.select().count() == 6


def test_a_stop_ends_it_between_two_batches_and_says_how_far_it_came(
    start: Callable[..., JobContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = start()
    yardsticks(context)
    for place in range(3):
        add(context, SECRET, place=place)
    stop_after(monkeypatch, 2, context.stop.set)
    outcome = job.measure(context)
    assert not outcome.ok
    assert outcome.reason == "asked to stop after 2 of 6 scores"
    assert Score.select().count() == 2


def test_the_deadline_ends_it_well_with_what_is_there(
    start: Callable[..., JobContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = start()
    yardsticks(context)
    for place in range(3):
        add(context, "ok", place=place)
    left = iter([100.0, 100.0, 100.0])
    monkeypatch.setattr(JobContext, "seconds_left", lambda _: next(left, 4.0))
    monkeypatch.setattr(job, "BATCH", 1)
    outcome = job.measure(context)
    assert outcome.ok
    assert outcome.reason == "out of time after 1 of 6 scores"


@pytest.mark.parametrize("left_s", [100.0, 0.0])
def test_a_stop_while_texts_are_embedded_ends_it_well_only_where_the_deadline_is_why(
    start: Callable[..., JobContext], monkeypatch: pytest.MonkeyPatch, left_s: float
) -> None:
    context, left = start(), [100.0]
    yardsticks(context)
    add(context, "ok", place=0)

    def asked_to_stop(*_: object) -> None:
        left[0] = left_s
        raise Stopped

    monkeypatch.setattr(JobContext, "seconds_left", lambda _: left[0])
    monkeypatch.setattr(Cache, "fill", asked_to_stop)
    outcome = job.measure(context)
    assert outcome.ok == (left_s == 0)
    assert outcome.reason.endswith("after 1 of 2 scores")


def test_a_stale_attempt_stores_nothing(start: Callable[..., JobContext], home: Home) -> None:
    context = start()
    yardsticks(context)
    add(context, "ok")
    again(home, context)
    with pytest.raises(StaleAttempt):
        job.measure(context)
    assert Score.select().count() == 0


def test_no_text_of_a_message_reaches_the_log(
    start: Callable[..., JobContext], caplog: pytest.LogCaptureFixture
) -> None:
    context = start()
    yardsticks(context)
    add(context, SECRET)
    with caplog.at_level(logging.DEBUG):
        outcome = job.measure(context)
    assert "style: 1 replies" in caplog.text
    for word in (SECRET, *ANSWERS):
        assert word not in caplog.text + str(outcome)


def test_the_tables_go_with_their_run(start: Callable[..., JobContext]) -> None:
    context = start()
    yardsticks(context)
    Run.delete().where(Run.id == context.run_id).execute()
    assert StyleProfile.select().count() == ReferenceScore.select().count() == 0


def test_a_job_that_0_1_0_named_layers_is_retried_measured_and_reported(
    start: Callable[..., JobContext], home: Home
) -> None:
    context = start()
    yardsticks(context)
    add(context, "ok")
    old = {"name": "layers", "params": {"layers": True}, "status": Status.FAILED, "reason": "no memory"}
    Job.update(old).where(Job.id == context.job_id).execute()
    assert [(line.name, line.remedy) for line in gather(context.run_id, home).jobs] == [
        ("layers", f"jarvisctl retry {context.job_id}")
    ]
    control.retry(home, lookup.find_job("layers"))
    outcome = evaluate.run(claim(home))
    assert outcome.summary == {"style": 1, "meaning": 1}
    assert {job.name for job in load(context.run_id).jobs} == {"layers"}
