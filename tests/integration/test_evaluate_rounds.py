"""Later rounds of the evaluate job: samples side by side, turns of the owner's history, the end of the night."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import StaleAttempt
from jarvisd.paths import Home
from jarvisd.registry import Outcome, PlanContext
from jarvisd.store import database, transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate import plan
from jobs.evaluate.plan import Section
from jobs.evaluate.replies import batch, generate, likelihood, prefix
from jobs.evaluate.replies.session import Session
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, ModelLoad, Reply, TurnExample
from tests.claiming import claim
from tests.tiny_llama import make_model

SCENARIOS = """\
opening: Help with a text message.
turn_instruction: Answer as I would
scenarios:
  - id: one
    context: "Ann: Hi?"
    prompts:
      - {instruction: Say yes, checks: {says yes: {says: ['yes']}}}
      - {instruction: Say no}
  - id: two
    context: "Bob: Late"
    prompts:
      - {instruction: Say fine}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


Rounds = Callable[..., JobContext]


@pytest.fixture
def rounds(home: Home, make_run: Callable[..., Run], tiny: Path) -> Rounds:
    """rounds(samples=[2, 3]): that job of round 2, whose run had its first round; model= for another folder."""
    (home.root / "scenarios.yaml").write_text(SCENARIOS)
    setting = PlanContext(home=home, folder=home.root, messages=home.root / "chat.db")

    def begin(model: Path = tiny, **params: Any) -> JobContext:
        Job.update(status="succeeded").execute()
        section = Section.model_validate({"models": [str(model)], "max_tokens": 8, "rounds": "auto", "meaning": None})
        run = make_run(plan.jobs(section, setting)[0].name)
        Run.update(snapshot={"plan": {"evaluate": plan.resolve(section, setting)}}).where(Run.id == run.id).execute()
        Job.update(params={"model": model.name}).where(Job.run == run.id).execute()
        evaluate.run(claim(home))
        for place, text in enumerate(("are you there?", "movie tomorrow?", "ok")):
            row = {"incoming": text, "answer": f"sure {place}", "sent_at": database.now()}
            HeldOutTurn.create(run=run.id, place=place, chat=place % 2, **row)
        return further(home, run, model.name, **params)

    return begin


def further(home: Home, run: Run, model: str, round_: int = 2, **params: Any) -> JobContext:
    """The next job of a run, claimed."""
    Job.update(status="succeeded").execute()
    fields = {"name": f"evaluate:{model}", "kind": "evaluate", "place": 0, "params": {"model": model, **params}}
    Job.create(run=run, round=round_, **fields)
    return claim(home)


def of_job(context: JobContext) -> list[Reply]:
    return list(Reply.select().where(Reply.job == context.job_id).order_by(Reply.id))


def keys(rows: Iterable[Reply]) -> list[tuple[str, int, int]]:
    return sorted((row.scenario_id, row.prompt, row.sample) for row in rows)


PROMPTS = (("one", 0), ("one", 1), ("two", 0))


# ------------------------------------------------------------------------------------------------------ more samples


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


# ------------------------------------------------------------------------------------------------------- real turns


def test_real_turns_are_answered_one_by_one_with_times_and_a_likelihood(rounds: Rounds) -> None:
    context = rounds(turns=[1, 3])
    evaluate.run(context)
    rows = of_job(context)
    assert keys(rows) == [(REAL_TURNS, 1, 1), (REAL_TURNS, 2, 1)]
    assert rows[0].context == "Friend: movie tomorrow?"
    assert rows[0].instruction == "Answer as I would"
    assert "Help with a text message.\n\nFriend: movie tomorrow?\n\nInstruction: Answer as I would" in rows[0].rendered
    for row in rows:
        assert 0 < row.ttft_ms <= row.latency_ms
        assert row.bits_per_character > 0
        assert set(row.checks) == {*plan.scenarios.GENERAL_CHECKS}
        assert not row.batched


PAIRS = [("you up?", "yeah lol"), ("movie?", "cant tonight"), ("hey", "heyyy"), ("where r u", "at work"), ("ok?", "k")]


def show(context: JobContext) -> None:
    """Store examples for the job's run."""
    for place, (incoming, answer) in enumerate(PAIRS):
        TurnExample.create(run=context.run_id, place=place, incoming=incoming, answer=answer)


def test_real_turns_show_the_owners_earlier_answers_after_the_opening_and_scenarios_do_not(rounds: Rounds) -> None:
    context = rounds(samples=[2, 2], turns=[0, 2])
    show(context)
    evaluate.run(context)
    for row in of_job(context):
        assert ("This is how I answer:" in row.rendered) == (row.scenario_id == REAL_TURNS)
    turn = next(row for row in of_job(context) if row.scenario_id == REAL_TURNS)
    assert (
        "Help with a text message.\n\nThis is how I answer:\n\nFriend: you up?\nMe: yeah lol\n\nFriend: movie?"
        in turn.rendered
    )
    assert "Friend: ok?\nMe: k\n\nFriend: are you there?\n\nInstruction: Answer as I would" in turn.rendered
    assert turn.context == "Friend: are you there?"


def test_what_turns_share_is_computed_once_and_changes_no_reply(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Replies, tokens and likelihood with the shared beginning and without it; the log quotes none of the examples."""
    caplog.set_level("DEBUG", logger="test")
    computed: list[int] = []
    real = prefix.Prefix.longer

    def longer(self: prefix.Prefix, ids: list[int]) -> prefix.Prefix:
        computed.append(len(ids) - len(self.ids))
        return real(self, ids)

    monkeypatch.setattr(prefix.Prefix, "longer", longer)
    shared = rounds(turns=[0, 3])
    show(shared)
    evaluate.run(shared)
    assert computed[0] > 3 * max(computed[1:])  # the beginning once, then the rest of each prompt for its likelihood
    assert len(computed) == 4
    monkeypatch.setattr(Session, "_beginning_of_turns", lambda *_: None)
    whole = rounds(turns=[0, 3])
    show(whole)
    evaluate.run(whole)
    first, second = of_job(shared), of_job(whole)
    assert [(row.reply, row.tokens, row.prompt_ids) for row in first] == [
        (row.reply, row.tokens, row.prompt_ids) for row in second
    ]
    assert [row.bits_per_character for row in first] == pytest.approx([row.bits_per_character for row in second])
    assert all(0 < row.ttft_ms <= row.latency_ms and not row.batched for row in first)
    assert not any(text in caplog.text for pair in PAIRS[:2] for text in pair)


def test_a_beginning_that_cannot_be_computed_costs_no_reply(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context = rounds(turns=[0, 2])
    show(context)

    def fail(*_: Any) -> Any:
        raise ValueError("yeah lol")

    monkeypatch.setattr(prefix, "common", fail)
    assert evaluate.run(context).summary["replies"] == 2
    assert "tiny: every prompt is computed whole (ValueError)" in caplog.text
    assert "yeah lol" not in caplog.text


def test_replies_to_scenarios_have_no_likelihood(rounds: Rounds) -> None:
    context = rounds(samples=[2, 2])
    evaluate.run(context)
    assert {row.bits_per_character for row in Reply.select()} == {None}


def test_a_reply_is_never_generated_twice_in_a_run(rounds: Rounds, home: Home) -> None:
    second = rounds(samples=[1, 3], turns=[0, 2])
    evaluate.run(second)
    assert keys(of_job(second)) == sorted(
        [(REAL_TURNS, place, 1) for place in (0, 1)] + [(*prompt, sample) for prompt in PROMPTS for sample in (2, 3)]
    )
    third = further(home, Run.get_by_id(second.run_id), "tiny", round_=3, turns=[0, 3])
    evaluate.run(third)
    assert keys(of_job(third)) == [(REAL_TURNS, 2, 1)]
    assert Reply.select().count() == len(set(keys(Reply.select()))) == 12
    assert ModelLoad.select().count() == 3


def test_a_round_with_nothing_new_loads_no_model(rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    context = rounds(samples=[1, 1])
    monkeypatch.setattr(generate, "load", lambda *_: pytest.fail("loaded"))
    outcome = evaluate.run(context)
    assert outcome.ok
    assert outcome.summary["replies"] == 0


def test_bits_per_character_are_those_of_the_whole_text_in_one_pass(tiny: Path, home: Home) -> None:
    """Against the definition, computed the long way round: every position of prompt and answer, without a cache."""
    import mlx.core as mx
    import numpy as np

    loaded = generate.load(ModelEntry(key="tiny", name="tiny", path=str(tiny)), tiny, dt.date(2026, 1, 31))
    given = loaded.template.render("Hi").ids
    answer = loaded.tokenizer.encode("ok then", add_special_tokens=False)
    logits = np.array(loaded.model(mx.array([*given, *answer])[None])[0].astype(mx.float32), dtype=np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = sum(logs[len(given) - 1 + place, token] for place, token in enumerate(answer))
    bits = likelihood.bits_per_character(loaded, given, "ok then")
    assert bits == pytest.approx(-wanted / math.log(2) / len("ok then"), rel=1e-4)
    assert likelihood.bits_per_character(loaded, given, "") is None


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
def test_a_later_round_without_a_usable_reply_fails_only_a_model_that_never_gave_one(
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
