"""The evaluate job in a real ledger with a real, tiny model: a random llama that mlx-lm loads like any other."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd.errors import JobFailed, StaleAttempt
from jarvisd.paths import Home
from jarvisd.registry import Outcome, PlanContext
from jarvisd.store import transitions
from jarvisd.store.models import Job, Run
from jarvisd.worker.context import JobContext
from jobs import evaluate
from jobs.evaluate import plan
from jobs.evaluate.plan import Section
from jobs.evaluate.replies import generate
from jobs.lib.results.tables import ModelLoad, Reply
from tests.claiming import claim
from tests.tiny_llama import CONFIG, make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


SCENARIOS = """\
opening: Help with a text message.
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

Start = Callable[..., JobContext]


@pytest.fixture
def start(home: Home, make_run: Callable[..., Run], tiny: Path) -> Start:
    """A running evaluate job for a model folder."""
    (home.root / "scenarios.yaml").write_text(SCENARIOS)
    setting = PlanContext(home=home, folder=home.root, messages=home.root / "chat.db")

    def begin(model: Path | str = tiny, **fields: Any) -> JobContext:
        section = Section.model_validate({"models": [str(model)], "max_tokens": 8} | fields)
        kept = {"evaluate": plan.resolve(section, setting)}
        (spec,) = plan.jobs(section, setting)
        run = make_run(spec.name)
        Run.update(snapshot={"plan": kept}).where(Run.id == run.id).execute()
        job = Job.get(Job.run == run.id)
        Job.update(params=spec.params).where(Job.id == job.id).execute()
        return claim(home)

    return begin


def replies() -> list[Reply]:
    return list(Reply.select().order_by(Reply.id))


def calls_of(monkeypatch: pytest.MonkeyPatch, after: Callable[[int], None] = lambda _: None) -> list[int]:
    """Seeds of the replies that are generated from here on; `after` is called with their number."""
    made: list[int] = []
    real = generate.generate

    def counting(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if options["seed"]:  # 0 is the first reply, which is not kept
            made.append(options["seed"])
            after(len(made))
        return result

    monkeypatch.setattr(generate, "generate", counting)
    return made


# -------------------------------------------------------------------------------------------------------------- tests


def test_every_prompt_gets_one_reply_with_its_figures(start: Start) -> None:
    context = start()
    evaluate.run(context)
    rows = replies()
    assert [(row.scenario_id, row.prompt, row.sample) for row in rows] == [("one", 0, 1), ("one", 1, 1), ("two", 0, 1)]
    for row in rows:
        assert row.rendered.startswith("<|im_start|>user\nHelp with a text message.\n\n")
        assert len(row.prompt_ids) == row.prompt_tokens
        assert (row.round, row.batched, row.thinking) == (1, False, 0)
        assert row.characters_per_second == pytest.approx(len(row.reply) / row.latency_ms * 1000)
        assert row.tokens_per_second is None or row.inter_token_ms * row.tokens_per_second == pytest.approx(1000)
        assert row.prompt_tokens > 40
        assert 0 < row.tokens <= 8
        assert 0 < row.ttft_ms <= row.latency_ms
        assert row.tokens_per_second is None or row.tokens_per_second > 0
        assert row.finish_reason in ("stop", "length")
        assert row.peak_memory_mb > 0
        assert row.success == (row.failure is None)
        assert set(row.checks) >= {"one message", "plain text"}
    assert "says yes" in rows[0].checks


def test_the_model_is_described_and_the_comparison_written(start: Start, tiny: Path) -> None:
    context = start()
    evaluate.run(context)
    loaded = ModelLoad.get()
    assert (loaded.model, loaded.info["path"], loaded.info["chat_template"]) == ("tiny", str(tiny), True)
    assert loaded.info["remark"] == ""
    assert loaded.load_time_s > 0
    assert loaded.first_reply_ms > 0
    assert loaded.process_mb > loaded.load_peak_mb
    assert set(loaded.conditions) == {"power", "low_power_mode", "launchd", "free_mb", "swap_mb"}
    document = json.loads((context.folder / "mlx_comparison_results.json").read_text())
    assert document["models"]["tiny"]["stats"]["total_tests"] == 3


def test_the_same_prompt_and_sample_give_the_same_reply_in_every_run(start: Start) -> None:
    evaluate.run(start())
    Job.update(status="succeeded").execute()
    evaluate.run(start())
    rows = replies()
    assert [row.reply for row in rows[:3]] == [row.reply for row in rows[3:]]
    assert [row.seed for row in rows[:3]] == [row.seed for row in rows[3:]]


def test_samples_of_a_prompt_differ(start: Start) -> None:
    evaluate.run(start(samples=2))
    rows = replies()
    assert [row.sample for row in rows] == [1, 1, 1, 2, 2, 2]
    assert len({row.seed for row in rows}) == 6
    assert {row.reply for row in rows[:3]} != {row.reply for row in rows[3:]}


def test_a_later_attempt_generates_only_what_is_missing(
    start: Start, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = start()
    made = calls_of(monkeypatch, after=lambda count: context.stop.set() if count == 2 else None)
    outcome = evaluate.run(context)
    assert outcome == Outcome(ok=False, reason="asked to stop after 2 of 3 replies")
    first = [(row.id, row.reply) for row in replies()]
    job = Job.get_by_id(context.job_id)
    assert job.starts_without_progress == 0
    transitions.requeue(job, None, starts_without_progress=0)
    evaluate.run(claim(home))
    assert [(row.id, row.reply) for row in replies()][:2] == first
    assert len(replies()) == 3
    assert len(made) == len(set(made)) == 3


def test_a_stop_in_the_middle_of_a_reply_leaves_no_half_reply(start: Start) -> None:
    context = start()
    context.stop.set()
    assert not evaluate.run(context).ok
    assert replies() == []
    assert ModelLoad.select().count() == 0  # loading alone is no progress


def test_a_finished_job_is_not_loaded_again(start: Start, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    context = start()
    first = evaluate.run(context)
    transitions.requeue(Job.get_by_id(context.job_id), None, starts_without_progress=0)
    monkeypatch.setattr(generate, "load", lambda *_: pytest.fail("loaded again"))
    assert evaluate.run(claim(home)) == first


def test_a_stale_attempt_can_store_nothing(start: Start) -> None:
    context = start()
    Job.update(attempt=context.attempt + 1).execute()
    with pytest.raises(StaleAttempt):
        evaluate.run(context)
    assert replies() == []


def test_a_model_that_is_not_there_fails_with_a_remedy(start: Start, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match=r"not on this disk.*Name a folder"):
        evaluate.run(start(tmp_path / "nowhere"))


def test_a_model_that_mlx_lm_does_not_know_fails_with_its_reason(start: Start, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "odd", model_type="llama")
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "unheard_of"}))
    with pytest.raises(JobFailed, match=r"mlx-lm cannot load odd.*unheard_of"):
        evaluate.run(start(folder))


def test_code_that_comes_with_a_model_is_not_run(start: Start, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "sly")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_file": "evil.py"}))
    with pytest.raises(JobFailed, match=r"evil\.py, which could run code"):
        evaluate.run(start(folder))
    assert not (tmp_path / "ran").exists()


def test_a_model_without_a_chat_template_is_asked_in_plain_text_and_says_so(start: Start, tmp_path: Path) -> None:
    evaluate.run(start(make_model(tmp_path / "base", template=None)))
    assert ModelLoad.get().info["chat_template"] is False
    assert all(row.rendered.endswith("\nReply:") for row in replies())
    assert all("\n" not in row.reply for row in replies())


def test_the_exact_tokens_of_a_prompt_are_kept(start: Start, tiny: Path) -> None:
    """What is stored is the message put into the template, as this tokenizer cuts it."""
    from transformers import AutoTokenizer

    evaluate.run(start())
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    for row in replies():
        words = f"Help with a text message.\n\n{row.context}\n\nInstruction: {row.instruction}"
        assert row.rendered == f"<|im_start|>user\n{words}<|im_end|>\n<|im_start|>assistant\n"
        assert row.prompt_ids == tokenizer.encode(row.rendered, add_special_tokens=False)


def test_a_model_under_two_keys_gives_the_same_replies(start: Start, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "twin").symlink_to(tiny)
    evaluate.run(start())
    Job.update(status="succeeded").execute()
    evaluate.run(start(tmp_path / "twin"))
    rows = replies()
    assert [row.model for row in rows] == ["tiny"] * 3 + ["twin"] * 3
    assert [(row.seed, row.reply) for row in rows[:3]] == [(row.seed, row.reply) for row in rows[3:]]


def test_a_think_block_is_taken_off_and_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    real = generate.generate

    def thinking(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        result.text = "<think>hm</think>Yes!"
        return result

    monkeypatch.setattr(generate, "generate", thinking)
    evaluate.run(start())
    assert {(row.reply, row.thinking, row.failure) for row in replies()} == {("Yes!", 17, "leaked thinking")}


# ----------------------------------------------------------------------------------------- what fails in a minute


def test_a_template_that_raises_fails_the_model_before_any_reply(start: Start, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "picky", template="{{ raise_exception('no') }}")
    with pytest.raises(JobFailed, match="the chat template of picky does not render a message"):
        evaluate.run(start(folder))
    assert replies() == []


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pkl", "model.pt"])
def test_weights_that_are_not_safetensors_are_refused(start: Start, tmp_path: Path, name: str) -> None:
    folder = make_model(tmp_path / "old")
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(JobFailed, match="which could run code when it is loaded"):
        evaluate.run(start(folder))


def test_a_half_downloaded_model_is_refused(start: Start, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "half")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(JobFailed, match=r"model\.safetensors is missing, damaged or only half there"):
        evaluate.run(start(folder))


def test_a_model_that_cannot_write_a_first_reply_fails_with_its_kind_of_error(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("shapes (3, 4) and (5, 6) in: Ann: Hi?")

    monkeypatch.setattr(generate, "generate", broken)
    with pytest.raises(JobFailed, match="tiny broke off in its first reply with ValueError") as caught:
        evaluate.run(start())
    assert "Ann" not in str(caught.value)


def test_a_tokenizer_that_does_not_fit_fails_the_model(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    real = generate.generate

    def in_parts(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        result.text = "SureĠthing"
        return result

    monkeypatch.setattr(generate, "generate", in_parts)
    with pytest.raises(JobFailed, match="tiny writes broken tokens: its tokenizer does not fit"):
        evaluate.run(start())


def test_a_model_that_takes_all_memory_is_refused_after_its_first_reply(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.evaluate.replies.preflight.MARGIN_MB", 10**9)
    with pytest.raises(JobFailed, match=r"tiny takes \d+ MB at its peak, and this computer has \d+ MB"):
        evaluate.run(start())
    assert replies() == []


def test_less_in_memory_than_on_the_disk_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.lib.models.catalogue.weight_bytes", lambda _: 1 << 40)
    evaluate.run(start())
    assert "MB of weights are in memory" in ModelLoad.get().info["remark"]


def test_the_log_never_holds_a_reply_or_a_prompt(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="test")
    evaluate.run(start())
    lines = "\n".join(record.getMessage() for record in caplog.records if record.name == "test")
    assert "one 1, sample 1: " in lines
    texts = [row.reply for row in replies()] + ["Ann", "Say yes", "Hi?"]
    assert not [text for text in texts if len(text) > 2 and text in lines]
    assert "Ann" not in str([job.note for job in Job.select()])
