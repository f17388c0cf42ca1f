"""Later rounds of the evaluate job: samples side by side, and the end of the night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import StaleAttempt
from jarvisd.paths import Home
from jarvisd.registry import Outcome
from jarvisd.store import database, transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate.replies import batch, generate
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import Reply
from tests.claiming import claim
from tests.integration.later_rounds import PROMPTS, Rounds, keys, of_job, starter
from tests.tiny_llama import make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def rounds(home: Home, make_run: Callable[..., Run], tiny: Path) -> Rounds:
    return starter(home, make_run, tiny)


def test_further_samples_are_batched_and_carry_no_times(rounds: Rounds) -> None:
    context = rounds(samples=[2, 4])
    evaluate.run(context)
    rows = of_job(context)
    assert keys(rows) == sorted((*prompt, sample) for prompt in PROMPTS for sample in (2, 3, 4))
    for row in rows:
        assert (row.batched, row.round) == (True, 2)
        times = (row.ttft_ms, row.latency_ms, row.inter_token_ms, row.tokens_per_second, row.characters_per_second)
        assert times == (None,) * 5
        assert row.peak_memory_mb is None
        assert 0 < row.tokens <= 8
        assert len(row.prompt_ids) == row.prompt_tokens
        assert row.finish_reason in ("stop", "length")


def test_a_batched_reply_is_the_one_that_would_have_been_generated_alone(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = rounds(samples=[2, 4])
    evaluate.run(together)
    alone = rounds(samples=[2, 4])

    def refuse(*_: Any, **__: Any) -> Any:
        raise batch.CannotBatch("ValueError")

    monkeypatch.setattr("jobs.evaluate.replies.session.Batch", refuse)
    evaluate.run(alone)
    fields = [
        {(row.scenario_id, row.prompt, row.sample): (row.reply, row.tokens, row.seed, row.prompt_ids) for row in rows}
        for rows in (of_job(together), of_job(alone))
    ]
    assert fields[0] == fields[1]


def test_more_replies_than_a_batch_holds_are_all_generated_once(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch.Batch.__init__, "__kwdefaults__", {"size": 2})
    context = rounds(samples=[2, 6])
    assert evaluate.run(context).summary["replies"] == 15
    assert len({row.seed for row in of_job(context)}) == 15


def test_a_model_whose_cache_cannot_be_merged_is_asked_one_by_one_and_the_log_says_so(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mlx_lm.models.cache import KVCache

    context = rounds(samples=[2, 3])
    monkeypatch.delattr(KVCache, "merge")
    evaluate.run(context)
    rows = of_job(context)
    assert keys(rows) == sorted((*prompt, sample) for prompt in PROMPTS for sample in (2, 3))
    assert all(not row.batched and row.latency_ms > 0 for row in rows)
    assert "tiny cannot batch (ValueError): one by one instead" in caplog.text


def test_a_batch_of_a_model_without_a_chat_template_keeps_to_its_line(rounds: Rounds, tmp_path: Path) -> None:
    context = rounds(make_model(tmp_path / "base", template=None), samples=[2, 9])
    evaluate.run(context)
    assert len(of_job(context)) == 24
    assert all("\n" not in row.reply for row in of_job(context))


def test_a_stopped_batch_keeps_what_is_done_and_a_later_attempt_does_the_rest(
    rounds: Rounds, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = rounds(samples=[2, 6])
    real = batch.Batch.step

    def step(self: batch.Batch) -> Any:
        done = real(self)
        if done:
            context.stop.set()
        return done

    monkeypatch.setattr(batch.Batch, "step", step)
    outcome = evaluate.run(context)
    first = {row.id: row.reply for row in of_job(context)}
    assert outcome == Outcome(ok=False, reason=f"asked to stop after {len(first)} of 15 replies")
    assert 0 < len(first) < 15
    monkeypatch.setattr(batch.Batch, "step", real)
    transitions.requeue(Job.get_by_id(context.job_id), None, starts_without_progress=0)
    evaluate.run(claim(home))
    rows = of_job(context)
    assert len(rows) == len(set(keys(rows))) == 15
    assert {row.id: row.reply for row in rows if row.id in first} == first


class Killed(BaseException):
    """Ends everything on the spot, as a signal does."""


@pytest.mark.parametrize("params", [{"samples": [2, 6]}, {"turns": [0, 3]}])
def test_a_killed_job_goes_on_where_it_was(
    rounds: Rounds, home: Home, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any]
) -> None:
    context = rounds(**params)
    real = Reply.create.__func__  # type: ignore[attr-defined]
    count = 0

    def create(cls: type[Reply], **fields: Any) -> Reply:
        nonlocal count
        count += 1
        if count == 3:
            raise Killed
        return real(cls, **fields)

    monkeypatch.setattr(Reply, "create", classmethod(create))
    with pytest.raises(Killed):
        evaluate.run(context)
    first = [(row.id, row.reply) for row in of_job(context)]
    assert len(first) == 2
    transitions.requeue(Job.get_by_id(context.job_id), None, starts_without_progress=0)
    evaluate.run(claim(home))
    rows = of_job(context)
    assert [(row.id, row.reply) for row in rows][:2] == first
    assert len(rows) == len(set(keys(rows))) == (15 if "samples" in params else 3)
    assert count == len(rows) + 1  # the one that was killed is the only one made twice


def test_a_stale_attempt_can_store_nothing_of_a_batch(rounds: Rounds) -> None:
    context = rounds(samples=[2, 3])
    Job.update(attempt=context.attempt + 1).where(Job.id == context.job_id).execute()
    with pytest.raises(StaleAttempt):
        evaluate.run(context)
    assert of_job(context) == []


def test_a_sampler_draws_what_mlx_lm_draws_from_the_same_seed() -> None:
    import mlx.core as mx
    from mlx_lm.sample_utils import make_sampler

    mx.random.seed(1)
    logits = [mx.random.normal((1, 50)) for _ in range(20)]
    own, theirs = batch._Sampler(77, 0.7), make_sampler(temp=0.7)
    mx.random.seed(77)
    assert [theirs(row).item() for row in logits] == [own(row).item() for row in logits]
    greedy = batch._Sampler(77, 0.0)
    assert [greedy(row).item() for row in logits] == [mx.argmax(row).item() for row in logits]


# -------------------------------------------------------------------------------------------------- the night's end


def left(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """What each question for the time left is answered; the last answer stays."""
    answers = list(seconds)
    monkeypatch.setattr(JobContext, "seconds_left", lambda _: answers.pop(0) if len(answers) > 1 else answers[0])


def test_without_time_a_later_round_loads_nothing_and_fails_nothing(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = replace(rounds(turns=[0, 3]), ends_by=database.now() + dt.timedelta(seconds=5))
    monkeypatch.setattr(generate, "load", lambda *_: pytest.fail("loaded"))
    outcome = evaluate.run(context)
    assert (outcome.ok, outcome.reason) == (True, "the night's time was used up after 0 of 3 replies")


def test_a_round_ends_with_what_it_has_before_the_time_is_up(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    context = rounds(turns=[0, 3])
    left(monkeypatch, 1000, 1000, 1000, 9)  # before loading and before each of the first two replies
    monkeypatch.setattr("jobs.evaluate.checks.failure", lambda *_: None)
    outcome = evaluate.run(context)
    assert (outcome.ok, outcome.reason) == (True, "the night's time was used up after 2 of 3 replies")
    assert len(of_job(context)) == 2


def test_nothing_is_added_to_a_batch_when_the_time_is_up(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    context = rounds(samples=[2, 5])
    monkeypatch.setattr("jobs.evaluate.checks.failure", lambda *_: None)
    left(monkeypatch, *[1000] * 6, 9)  # before loading and before each of the first five
    outcome = evaluate.run(context)
    assert (outcome.ok, outcome.reason) == (True, "the night's time was used up after 5 of 12 replies")
    assert len(of_job(context)) == 5


def test_the_first_round_does_not_watch_the_time(rounds: Rounds, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    context = rounds(samples=[2, 2])
    Reply.delete().execute()
    left(monkeypatch, -100)
    evaluate.run(replace(context, round=1))
    assert len(of_job(context)) == 3


@pytest.mark.parametrize(("seconds", "ok"), [(3.0, True), (-20.0, True), (600.0, False)])
def test_asked_to_stop_at_the_end_of_the_night_is_no_failure(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, seconds: float, ok: bool
) -> None:
    context = rounds(turns=[0, 3])
    context.stop.set()
    left(monkeypatch, 1000, seconds)
    assert evaluate.run(context).ok is ok


@pytest.mark.parametrize("usable_before", [True, False])
def test_a_later_round_without_a_complete_reply_fails_only_a_model_that_never_gave_one(
    rounds: Rounds, usable_before: bool
) -> None:
    context = rounds(samples=[2, 2])
    evaluate.run(context)
    Reply.update(success=usable_before).where(Reply.round == 1).execute()
    Reply.update(success=False, failure="truncated").where(Reply.round == 2).execute()
    outcome = evaluate.run(context)
    assert outcome.ok is usable_before
    assert "3 of 3" in outcome.reason


def test_a_batch_holds_as_many_replies_as_the_declared_memory_allows(tiny: Path) -> None:
    loaded = generate.load(ModelEntry(key="tiny", name="tiny", path=str(tiny)), tiny, dt.date(2026, 1, 31))
    large = replace(loaded, weights_mb=2050.0, process_mb=450, cache_bytes_per_token=384 * 1024)
    assert batch.fitting_size(large, 3522, 200) == 4
    assert batch.fitting_size(large, 5000, 200) == 8
    assert batch.fitting_size(large, 0, 200) == 4  # no limit was given
    assert batch.fitting_size(replace(large, cache_bytes_per_token=None), 3522, 200) == 4
