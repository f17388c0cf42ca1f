"""Every architecture of the compared models, from checkpoints of a few kilobytes: prompts, ends, batches and logits."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.evaluate.replies import generate, likelihood, prompt
from jobs.evaluate.replies.batch import Batch
from jobs.evaluate.replies.generate import Generation, Loaded
from jobs.evaluate.replies.prefix import Prefix, common
from jobs.lib.models import loading
from jobs.lib.models.catalogue import ModelEntry
from tests.tiny_models import ARCHITECTURES, make_checkpoint

RUN_DATE = dt.date(2026, 1, 31)
WORDS = ("Help with a text message.\n\nAnn: Hi?", "Help with a text message.\n\nBob: Running 10 mins late, sorry!")
SAMPLING: dict[str, Any] = {"max_tokens": 12, "temperature": 0.7}
SYSTEM = prompt.SYSTEM
#: What each model is given for "Hi".
RENDERED = {
    "qwen2": f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "smollm3": f"<|im_start|>system\nToday: 31 January 2026\n/no_think\n{SYSTEM}<|im_end|>\n"
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n",
    "mistral3": "<s>[INST]Hi[/INST]",
    "phi3": "<|user|>\nHi<|end|>\n<|assistant|>\n",
    "gemma3_text": "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
    "qwen3": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
}
#: Ends of a turn that no file of the model declares.
UNDECLARED = {
    "qwen2": {"<|endoftext|>", "<|im_start|>"},
    "smollm3": {"<|end_of_text|>", "<|im_start|>"},
    "mistral3": set(),
    "phi3": {"<|end|>", "<|assistant|>", "<|user|>"},
    "gemma3_text": {"<eos>", "<start_of_turn>"},
    "qwen3": {"<|endoftext|>", "<|im_start|>"},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: make_checkpoint(root / name, name) for name in ARCHITECTURES}


def load(folder: Path) -> Loaded:
    return generate.load(ModelEntry(key="tiny", name="tiny", path=str(folder)), folder, RUN_DATE)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_prompt_has_the_words_the_runs_date_and_no_thinking(folders: dict[str, Path], name: str) -> None:
    """Whatever the template brings: a persona, today's date, thinking, or an objection to system messages."""
    loaded = load(folders[name])
    rendered = loaded.template.render("Hi")
    assert rendered.text == RENDERED[name]
    assert loaded.tokenizer.decode(rendered.ids) == RENDERED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_earlier_replies_are_turns_of_the_assistant(folders: dict[str, Path], name: str) -> None:
    """In the words of each template, once each, with the end of the turn after it."""
    template = load(folders[name]).template
    before, after = template.render("Up?").text, template.render("Hi").text
    given = template.render("Hi", [("Up?", "yeah")]).text
    assert given.index("Up?") < given.index("yeah") < given.index("Hi")
    assert given.startswith(before[: before.index("Up?")]) and given.endswith(after[after.index("Hi") :])
    assert "Reply:" not in given and given.count("yeah") == 1
    end = ARCHITECTURES[name].eos if name != "phi3" else "<|end|>"
    assert given[given.index("yeah") :].startswith(f"yeah{end}")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_reply_ends_at_every_special_token_that_ends_a_turn(folders: dict[str, Path], name: str) -> None:
    tokenizer = load(folders[name]).tokenizer
    ends = {tokenizer.convert_ids_to_tokens(token) for token in tokenizer.eos_token_ids}
    assert ends == {ARCHITECTURES[name].eos} | UNDECLARED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_reply_of_a_batch_is_the_one_that_is_generated_alone(folders: dict[str, Path], name: str) -> None:
    loaded = load(folders[name])
    asked = [(words, seed) for words in WORDS for seed in (11, 12, 13)]
    alone = [generate.generate(loaded, words, seed=seed, **SAMPLING, stop=lambda: False) for words, seed in asked]
    together = _in_a_batch(loaded, asked)
    for one, other in zip(alone, together, strict=True):
        assert one is not None
        assert (one.text, one.tokens, one.finish_reason) == (other.text, other.tokens, other.finish_reason)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_reply_that_continues_on_a_shared_beginning_is_the_one_of_the_whole_prompt(
    folders: dict[str, Path], name: str
) -> None:
    """Reply and likelihood; the beginning is longer than a sliding window and is left as it was."""
    loaded = load(folders[name])
    earlier = [("Help.\n\nFriend: are you there?", "yeah lol")] * 6
    asked = [f"Help.\n\nFriend: {words}" for words in ("movie tomorrow?", "ok", "I am late")]
    prompts = [loaded.template.render(words, earlier).ids for words in asked]
    beginning = Prefix.empty(loaded.model).longer(common(prompts))
    assert len(beginning.ids) > 64
    for words, ids in zip(asked, prompts, strict=True):
        whole, continued = (
            generate.generate(loaded, words, seed=11, **SAMPLING, stop=lambda: False, earlier=earlier, beginning=ready)
            for ready in (None, beginning)
        )
        assert whole is not None and continued is not None
        assert (whole.text, whole.tokens, whole.ids) == (continued.text, continued.tokens, continued.ids)
        expected = likelihood.bits_per_character(loaded, ids, "sure")
        assert likelihood.bits_per_character(loaded, ids, "sure", beginning) == pytest.approx(expected, rel=1e-3)


def test_a_prompt_that_begins_otherwise_is_computed_whole(folders: dict[str, Path]) -> None:
    loaded = load(folders["qwen2"])
    beginning = Prefix.empty(loaded.model).longer([1, 2, 3])
    first, second = (
        generate.generate(loaded, WORDS[0], seed=11, **SAMPLING, stop=lambda: False, beginning=ready)
        for ready in (None, beginning)
    )
    assert first is not None and second is not None
    assert first.text == second.text


def _in_a_batch(loaded: Loaded, asked: list[tuple[str, int]]) -> list[Generation]:
    batch = Batch(loaded, WORDS, **SAMPLING, memory_mb=0, size=len(asked))
    places = [batch.add(words, seed) for words, seed in asked]
    done: dict[int, Generation] = {}
    while len(done) < len(asked):
        done.update(batch.step())
    batch.close()
    return [done[place] for place in places]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_mlx_lm_is_asked_whether_it_can_load_a_model(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    """A type that it does not know and a config that does not fit the weights; half a tokenizer comes first."""
    folder = shutil.copytree(folders[name], tmp_path / "copy")
    assert loading.flaw(folder) is None
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "unheard_of"}))
    assert loading.flaw(folder) == "mlx-lm cannot load it: it does not know the model type unheard_of"
    text = config.get("text_config", config)
    text["vocab_size"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    assert str(loading.flaw(folder)).startswith("mlx-lm cannot load it: ValueError at ")
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes()[:-100])
    assert str(loading.flaw(folder)).startswith("its tokenizer.json is damaged")


def test_a_type_that_mlx_lm_loads_under_another_name_is_known() -> None:
    """mistral has no module of its own: it is a llama."""
    assert loading.is_known("mistral") and loading.is_known("llama")
    assert not loading.is_known("unheard_of")


def test_mistral_common_beside_it_changes_nothing(folders: dict[str, Path]) -> None:
    """The options keep transformers from the tokenizer of mistral-common, and take the corrected pattern."""
    assert loading.TOKENIZER_OPTIONS == {
        "trust_remote_code": False,
        "mistral_format": False,
        "fix_mistral_regex": True,
    }


# --------------------------------------------------------------------------------------------- against transformers

#: Of the largest logit. Two float32 implementations differ by rounding; a wrong rotary base differs by far more.
TOLERANCE = 1e-3
IDS = [(7 * place) % 250 for place in range(150)]  # beyond the sliding window of 64

_TRANSFORMERS = """
import json, sys
import torch
from transformers import AutoModelForCausalLM
logits = {}
for folder in sys.argv[2:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits[folder] = model(torch.tensor([json.loads(sys.argv[1])])).logits[0, -1].tolist()
print(json.dumps(logits))
"""


@pytest.mark.slow
def test_logits_agree_with_those_of_transformers(folders: dict[str, Path], tmp_path: Path) -> None:
    import mlx.core as mx

    paths = {name: str(_text_model(folder, tmp_path / name)) for name, folder in folders.items()}
    done = subprocess.run(
        [sys.executable, "-c", _TRANSFORMERS, json.dumps(IDS), *paths.values()],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = json.loads(done.stdout.splitlines()[-1])
    for name, folder in folders.items():
        logits = load(folder).model(mx.array([IDS]))[0, -1].astype(mx.float32).tolist()
        differences = [abs(one - other) for one, other in zip(logits, expected[paths[name]], strict=True)]
        assert max(differences) < TOLERANCE * max(map(abs, logits)), name


def _text_model(folder: Path, target: Path) -> Path:
    """The checkpoint as transformers loads it: without parts for images, and without their prefix."""
    import mlx.core as mx

    config = json.loads((folder / "config.json").read_text())
    shutil.copytree(folder, target)
    if "text_config" in config:
        (target / "config.json").write_text(json.dumps(config["text_config"]))
        weights = mx.load(str(folder / "model.safetensors"))
        own = {key.removeprefix("language_model."): value for key, value in weights.items() if "language_model" in key}
        mx.save_safetensors(str(target / "model.safetensors"), own, metadata={"format": "pt"})
    return target
