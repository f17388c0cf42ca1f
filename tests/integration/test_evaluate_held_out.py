"""Held-out turns in later rounds: one by one, with times, a likelihood and the owner's earlier answers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate import plan
from jobs.evaluate.replies import generate, likelihood, prefix
from jobs.evaluate.replies.session import Session
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import REAL_TURNS, ModelLoad, Reply, TurnExample
from tests.integration.later_rounds import PROMPTS, Rounds, further, keys, of_job, starter
from tests.tiny_llama import make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def rounds(home: Home, make_run: Callable[..., Run], tiny: Path) -> Rounds:
    return starter(home, make_run, tiny)


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


def test_real_turns_come_after_the_owners_earlier_answers_as_replies_to_such_prompts_and_scenarios_do_not(
    rounds: Rounds, tiny: Path
) -> None:
    context = rounds(samples=[2, 2], turns=[0, 2])
    show(context)
    evaluate.run(context)
    for row in of_job(context):
        assert ("yeah lol" in row.rendered) == (row.scenario_id == REAL_TURNS)
    turn = next(row for row in of_job(context) if row.scenario_id == REAL_TURNS)
    loaded = generate.load(ModelEntry(key="tiny", name="tiny", path=str(tiny)), tiny, dt.date(2026, 1, 31))
    start, end = "Help with a text message.\n\nFriend: ", "\n\nInstruction: Answer as I would"
    pairs = [(f"{start}{incoming}{end}", answer) for incoming, answer in PAIRS]
    assert turn.rendered == loaded.template.render(f"{start}are you there?{end}", pairs).text
    assert turn.rendered.index("yeah lol") < turn.rendered.index("cant tonight") < turn.rendered.index("are you there?")
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
