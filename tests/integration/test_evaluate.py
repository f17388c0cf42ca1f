"""The evaluate job in a real ledger with a real, tiny model: a random llama that mlx-lm loads like any other."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd import ledger
from jarvisd.context import JobContext
from jarvisd.errors import JobFailed, StaleAttempt
from jarvisd.home import Home
from jarvisd.kinds import Outcome, Setting
from jarvisd.ledger import Job, Run
from jobs import evaluate
from jobs.evaluate import generate, plan
from jobs.evaluate.plan import Section
from jobs.results import Evaluation, Reply

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "eos_token_id": 1,
}


def make_model(folder: Path, template: str | None = TEMPLATE, **config: Any) -> Path:
    """A llama of two layers with random weights and a tokenizer of bytes."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models.llama import Model, ModelArgs
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    fast.chat_template = template
    fast.save_pretrained(folder)
    settings = CONFIG | {"vocab_size": len(fast), "eos_token_id": fast.eos_token_id} | config
    (folder / "config.json").write_text(json.dumps(settings))
    mx.random.seed(7)
    weights = dict(tree_flatten(Model(ModelArgs.from_dict(settings)).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


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
    setting = Setting(home=home, folder=home.root, messages=home.root / "chat.db")

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


def claim(home: Home) -> JobContext:
    """The next attempt, as the daemon and the child would begin it."""
    job = ledger.claim("here", "boot", ledger.now())
    assert job is not None
    job = Job.get_by_id(job.id)
    return JobContext(
        home=home,
        run_id=job.run_id,
        job_id=job.id,
        job_name=job.name,
        attempt=job.attempt,
        round=job.round,
        params=job.params,
        plan=job.run.snapshot["plan"],
        folder=home.run_folder(job.run_id),
        ends_by=None,
        log=logging.getLogger("test"),
    )


def replies() -> list[Reply]:
    return list(Reply.select().order_by(Reply.id))


def calls_of(monkeypatch: pytest.MonkeyPatch, after: Callable[[int], None] = lambda _: None) -> list[int]:
    """Seeds of the replies that are generated from here on; `after` is called with their number."""
    made: list[int] = []
    real = generate.generate

    def counting(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if options["seed"]:  # 0 is the warm-up
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
    loaded = Evaluation.get()
    assert (loaded.model, loaded.info["path"], loaded.info["chat_template"]) == ("tiny", str(tiny), True)
    assert loaded.info["remark"] == ""
    assert loaded.load_time_s > 0
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
    assert job.fruitless == 0
    ledger.requeue(job, None, fruitless=0)
    evaluate.run(claim(home))
    assert [(row.id, row.reply) for row in replies()][:2] == first
    assert len(replies()) == 3
    assert len(made) == len(set(made)) == 3


def test_a_stop_in_the_middle_of_a_reply_leaves_no_half_reply(start: Start) -> None:
    context = start()
    context.stop.set()
    assert not evaluate.run(context).ok
    assert replies() == []
    assert Evaluation.select().count() == 0  # loading alone is no progress


def test_a_finished_job_is_not_loaded_again(start: Start, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    context = start()
    first = evaluate.run(context)
    ledger.requeue(Job.get_by_id(context.job_id), None, fruitless=0)
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
    with pytest.raises(JobFailed, match="cannot load"):
        evaluate.run(start(folder))
    assert not (tmp_path / "ran").exists()


def test_a_model_without_a_chat_template_is_asked_in_plain_text_and_says_so(start: Start, tmp_path: Path) -> None:
    evaluate.run(start(make_model(tmp_path / "base", template=None)))
    assert Evaluation.get().info["chat_template"] is False
    assert all(row.rendered.endswith("\nReply:") for row in replies())
    assert all("\n" not in row.reply for row in replies())


def test_a_template_that_raises_costs_its_replies_and_not_the_night(start: Start, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "picky", template="{{ raise_exception('no') }}")
    outcome = evaluate.run(start(folder))
    assert not outcome.ok
    assert outcome.reason.startswith("no usable reply: 3 of 3 failed (the model broke off with ")
    assert [(row.success, row.quality, row.reply) for row in replies()] == [(False, 0, "")] * 3


def test_the_log_never_holds_a_reply_or_a_prompt(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="test")
    evaluate.run(start())
    lines = "\n".join(record.getMessage() for record in caplog.records if record.name == "test")
    assert "one 1, sample 1: " in lines
    texts = [row.reply for row in replies()] + ["Ann", "Say yes", "Hi?"]
    assert not [text for text in texts if len(text) > 2 and text in lines]
    assert "Ann" not in str([job.note for job in Job.select()])
