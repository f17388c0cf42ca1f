"""models.yaml, what a plan may call a model, and what counts as a model on the disk."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from jarvisd.errors import JobFailed, PlanError, UsageError
from jarvisd.paths import Home
from jarvisd.registry import MissingDownload, PlanContext
from jobs.lib.models import catalogue, memory
from jobs.lib.models.catalogue import ModelEntry

SIX = ["qwen2.5-1.5b", "smollm3-3b", "ministral-3b", "phi-3-mini", "gemma-3-4b", "qwen3-4b"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, "--home")


@pytest.fixture
def setting(home: Home, tmp_path: Path) -> PlanContext:
    folder = tmp_path / "plans"
    folder.mkdir()
    return PlanContext(home=home, folder=folder, messages=tmp_path / "chat.db")


def make_model(folder: Path, tensors: dict[str, int] | None = None) -> Path:
    """A folder that looks like a model: names and sizes are right, the weights are zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    header, end = {}, 0
    for name, size in (tensors or {"model.embed_tokens.weight": 64}).items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header | {"__metadata__": {"format": "mlx"}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return folder


# ------------------------------------------------------------------------------------------------------- models.yaml


def test_the_six_models_are_pinned_to_a_commit_and_say_what_a_report_needs(home: Home) -> None:
    entries = {entry.key: entry for entry in catalogue.catalogue(home)}
    assert list(entries)[:6] == SIX
    for key in SIX:
        entry = entries[key]
        assert entry.revision is not None
        assert len(entry.revision) == 40
        assert all([entry.params, entry.licence, entry.benchmark, entry.strength, entry.download_bytes])
        assert 1500 <= entry.memory_mb <= 3072


def test_a_whole_process_needs_more_than_its_weights(home: Home) -> None:
    largest = max(entry.needs_mb for entry in catalogue.catalogue(home) if entry.repo)  # not the demonstration's copies
    assert 2816 < largest <= 3.7 * 1024


def test_homes_own_file_replaces_the_shipped_one(home: Home) -> None:
    (home.root / "config").mkdir()
    (home.root / "config" / "models.yaml").write_text("models: [{key: mine, name: Mine, path: here}]\n")
    assert [entry.key for entry in catalogue.catalogue(home)] == ["mine"]


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("{key: a, name: A}", "needs either repo or path"),
        ("{key: a, name: A, repo: o/n, path: p}", "needs either repo or path"),
        ("{key: A b, name: A, path: p}", "key"),
        ("{key: a, name: A, path: p, colour: red}", "unknown key"),
        ("{key: a, name: A, path: p}, {key: a, name: B, path: q}", "twice"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_file(home: Home, entry: str, what: str) -> None:
    (home.root / "config").mkdir()
    (home.root / "config" / "models.yaml").write_text(f"models: [{entry}]\n")
    with pytest.raises(PlanError, match=what) as refused:
        catalogue.catalogue(home)
    assert "models.yaml:1" in str(refused.value)


# ---------------------------------------------------------------------------------------------- what a plan calls it


def test_a_key_of_models_yaml_is_that_entry(setting: PlanContext) -> None:
    assert catalogue.resolve("qwen3-4b", setting).repo == "mlx-community/Qwen3-4B-Instruct-2507-4bit"


def test_a_repository_that_models_yaml_knows_keeps_its_pinned_revision(setting: PlanContext) -> None:
    entry = catalogue.resolve("mlx-community/Qwen3-4B-Instruct-2507-4bit", setting)
    assert (entry.key, entry.revision) == ("qwen3-4b", "50d427756c6b1b2fe0c0a10f67fbda1fc8e82c1b")


def test_any_other_repository_may_carry_its_revision(setting: PlanContext) -> None:
    entry = catalogue.resolve("someone/Tiny_Model@abc123", setting)
    assert (entry.key, entry.repo, entry.revision) == ("tiny_model", "someone/Tiny_Model", "abc123")
    assert catalogue.resolve("someone/tiny", setting).revision is None


def test_a_relative_folder_of_a_plan_is_taken_from_the_plans_folder(setting: PlanContext) -> None:
    make_model(setting.folder / "own" / "Model 1")
    entry = catalogue.resolve("own/Model 1", setting)
    assert (entry.key, entry.path) == ("model-1", str(setting.folder / "own" / "Model 1"))
    assert entry.memory_mb == 1
    assert catalogue.problem(entry, setting.home) is None


def test_a_folder_that_is_not_there_is_still_a_folder_and_a_problem(setting: PlanContext) -> None:
    entry = catalogue.resolve("./nowhere", setting)
    assert "is not on this disk" in str(catalogue.problem(entry, setting.home))


def test_a_path_of_models_yaml_is_taken_from_home(setting: PlanContext, home: Home) -> None:
    make_model(home.root / "var/cache/models/smollm2-135m")
    entry = catalogue.resolve("smollm2-135m", setting)
    assert catalogue.locate(entry, home) == home.root / "var/cache/models/smollm2-135m"


@pytest.mark.parametrize(
    ("name", "near"), [("qwen3-4", "qwen3-4b"), ("Gemma-3-4B", "gemma-3-4b"), ("smollm", "smollm")]
)
def test_an_unknown_name_is_refused_and_the_nearest_key_named(setting: PlanContext, name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean {near}") as refused:
        catalogue.resolve(name, setting)
    assert refused.value.exit_code == 2


def test_where_models_yaml_has_none_of_the_kind_the_remedy_says_so(setting: PlanContext) -> None:
    (setting.home.root / "config").mkdir()
    (setting.home.root / "config" / "models.yaml").write_text("models: [{key: mine, name: Mine, path: here}]\n")
    with pytest.raises(UsageError, match=r"models\.yaml has no embedder\. A repository"):
        catalogue.resolve("minilm", setting, "embedder")


def test_what_is_missing_is_a_download_and_what_is_damaged_or_made_here_is_not(
    setting: PlanContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(setting.folder))
    entry = catalogue.resolve("phi-3-mini", setting)
    missing = catalogue.finding("evaluate:phi-3-mini", entry, setting.home)
    assert missing is not None
    assert missing.download == MissingDownload(name="phi-3-mini", source=catalogue.source(entry), bytes=2_151_578_230)
    (setting.folder / f"hub/models--{entry.repo.replace('/', '--')}/snapshots/{entry.revision}").mkdir(parents=True)
    for name in ("phi-3-mini", "smollm2-135m", "./nowhere"):
        requirement = catalogue.finding("a job", catalogue.resolve(name, setting), setting.home)
        assert requirement is not None
        assert requirement.download is None


def test_a_model_that_models_yaml_does_not_know_is_fetched_by_its_repository(
    setting: PlanContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(setting.folder))
    missing = catalogue.finding("a job", catalogue.resolve("someone/tiny@abc", setting), setting.home)
    assert missing is not None
    assert missing.download == MissingDownload(name="someone/tiny@abc", source="someone/tiny@abc")
    make_model(setting.folder / "hub/models--someone--tiny/snapshots/abc")
    assert catalogue.finding("a job", catalogue.resolve("someone/tiny@abc", setting), setting.home) is None


def test_an_embedder_is_no_chat_model_and_the_other_way_round(setting: PlanContext) -> None:
    assert catalogue.resolve("minilm", setting, "embedder").kind == "embedder"
    with pytest.raises(UsageError, match="embedder"):
        catalogue.resolve("minilm", setting)
    with pytest.raises(UsageError, match="chat"):
        catalogue.resolve("qwen3-4b", setting, "embedder")


# ------------------------------------------------------------------------------------------------- what is on the disk


def entry_at(folder: Path) -> ModelEntry:
    return ModelEntry(key="here", name="Here", path=str(folder))


def test_a_download_of_the_hub_is_found_at_its_revision(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    cached = tmp_path / "hf/hub/models--o--n"
    pinned, newest = make_model(cached / "snapshots/aaa"), make_model(cached / "snapshots/bbb")
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("bbb")
    assert catalogue.locate(ModelEntry(key="k", name="K", repo="o/n", revision="aaa"), home) == pinned
    assert catalogue.locate(ModelEntry(key="k", name="K", repo="o/n"), home) == newest
    assert catalogue.locate(ModelEntry(key="k", name="K", repo="o/n", revision="ccc"), home) is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert catalogue.locate(ModelEntry(key="k", name="K", repo="o/n"), home) is None


def test_a_missing_download_names_the_command_that_gets_it(
    setting: PlanContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(setting.folder))
    entry = catalogue.resolve("phi-3-mini", setting)
    assert catalogue.problem(entry, setting.home)
    assert catalogue.remedy(entry) == "Fetch it with: jarvisctl models fetch phi-3-mini"
    other = catalogue.resolve("someone/tiny@abc", setting)
    assert catalogue.remedy(other) == "Fetch it with: jarvisctl models fetch someone/tiny@abc"
    assert "jarvisctl demo" in catalogue.remedy(catalogue.resolve("smollm2-135m", setting))


def test_a_whole_model_is_no_problem(home: Home, tmp_path: Path) -> None:
    assert catalogue.problem(entry_at(make_model(tmp_path / "m")), home) is None


def test_a_job_that_requires_a_model_gets_its_folder_or_the_reason_with_a_remedy(home: Home, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    assert catalogue.require(entry_at(folder), home) == folder
    with pytest.raises(JobFailed, match="is not on this disk") as missing:
        catalogue.require(entry_at(tmp_path / "absent"), home)
    assert missing.value.remedy == catalogue.remedy(entry_at(tmp_path / "absent"))


def test_half_a_download_is_a_problem(home: Home, tmp_path: Path) -> None:
    weights = make_model(tmp_path / "m") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "half there" in str(catalogue.problem(entry_at(tmp_path / "m"), home))


def test_a_file_that_the_index_names_must_be_there(home: Home, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-2.safetensors is missing" in str(catalogue.problem(entry_at(folder), home))


@pytest.mark.parametrize(
    ("remove", "add", "what"),
    [
        ("config.json", "", "config.json"),
        ("tokenizer.json", "", "no tokenizer"),
        ("model.safetensors", "", "no weights"),
        ("model.safetensors", "model.gguf", "not .safetensors"),
    ],
)
def test_what_is_no_model_says_why(home: Home, tmp_path: Path, remove: str, add: str, what: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / remove).unlink()
    if add:
        (folder / add).write_bytes(b"anything")
    assert what in str(catalogue.problem(entry_at(folder), home))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pkl", "modeling_tiny.py", "rng_state.pth"])
def test_a_folder_with_a_file_that_could_run_code_is_refused_by_its_name(home: Home, tmp_path: Path, name: str) -> None:
    """Beside whole weights too: whoever put it there wanted it loaded."""
    folder = make_model(tmp_path / "m")
    (folder / name).write_bytes(b"anything")
    assert f"it holds {name}, which could run code" in str(catalogue.problem(entry_at(folder), home))


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 16, b"\x02\x00\x00\x00\x00\x00\x00\x00[]", b"x" * 100])
def test_a_damaged_weight_file_is_a_problem_and_no_exception(home: Home, tmp_path: Path, content: bytes) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(content)
    assert "damaged" in str(catalogue.problem(entry_at(folder), home))


def test_weights_that_a_text_model_never_loads_do_not_count(tmp_path: Path) -> None:
    tensors = {"language_model.model.norm.weight": 100, "vision_tower.a": 50, "multi_modal_projector.b": 7}
    assert catalogue.weight_bytes(make_model(tmp_path / "m", tensors)) == 100


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("config.json", {"model_type": "llama", "model_file": "own.py"}, "a model's code is never run"),
        ("modules.json", [{"type": "os.system", "path": ""}], "modules.json names os.system"),
        ("modules.json", [{"type": "custom_part.Part", "path": "1_Part"}], "modules.json names custom_part.Part"),
    ],
)
def test_a_model_that_needs_code_of_its_own_is_refused(
    home: Home, tmp_path: Path, file: str, content: object, what: str
) -> None:
    folder = make_model(tmp_path / "m")
    (folder / file).write_text(json.dumps(content))
    assert what in str(catalogue.problem(entry_at(folder), home))


def test_a_part_with_pickled_weights_is_refused(home: Home, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    modules = [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"a pickle")
    assert "its part 2_Dense" in str(catalogue.problem(entry_at(folder), home))


@pytest.mark.parametrize("content", ["{}", "[1, null]", "[", '"text"'])
def test_a_strange_list_of_modules_is_no_exception(home: Home, tmp_path: Path, content: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "modules.json").write_text(content)
    assert catalogue.problem(entry_at(folder), home) is None


# ------------------------------------------------------------------------------------------------------------- memory

#: Of the real config.json files: what decides how large the caches are.
PHI_3 = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_size": 3072}
GEMMA_3 = {
    "num_hidden_layers": 34,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 262208,
}
QWEN_2_5 = {"num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "hidden_size": 1536}


def test_the_cache_of_a_token_is_keys_and_values_of_all_layers() -> None:
    assert memory.cache_bytes_per_token(PHI_3) == 384 * 1024
    assert memory.cache_bytes_per_token(GEMMA_3) == 136 * 1024
    assert memory.cache_bytes_per_token({"text_config": QWEN_2_5, "vision_config": {}}) == 28 * 1024
    assert memory.cache_bytes_per_token(QWEN_2_5 | {"dtype": "float32"}) == 56 * 1024
    assert memory.cache_bytes_per_token({"model_type": "llama"}) is None


def test_a_batch_holds_the_tokens_that_were_measured() -> None:
    """3,066 tokens at the peak of 8 replies, 1,793 with 4; twice as many where a sequence takes two steps."""
    one_kb = 1024
    assert memory.batch_mb(8, one_kb) * 1024 == pytest.approx(3066, abs=10)
    assert memory.batch_mb(4, one_kb) * 1024 == pytest.approx(1793, abs=10)
    assert memory.batch_mb(4, one_kb, longest=257) == 2 * memory.batch_mb(4, one_kb, longest=256)


def test_a_batch_is_as_large_as_the_room_allows() -> None:
    assert memory.batch_size(10_000, 384 * 1024, longest=200) == 8
    assert memory.batch_size(700, 384 * 1024, longest=200) == 4
    assert memory.batch_size(700, 384 * 1024, longest=400) == 1
    assert memory.batch_size(-50, 384 * 1024, longest=200) == 1


def test_a_large_vocabulary_makes_the_process_larger() -> None:
    assert memory.process_mb(QWEN_2_5 | {"vocab_size": 151936}, 450) == pytest.approx(450, abs=5)
    assert memory.process_mb(GEMMA_3, 450) == pytest.approx(649, abs=5)
    assert memory.process_mb({}, 450) == 450


@pytest.mark.parametrize(("key", "config", "weights_mb"), [("phi-3-mini", PHI_3, 2050), ("gemma-3-4b", GEMMA_3, 2441)])
def test_later_rounds_need_no_more_than_is_declared(
    setting: PlanContext, key: str, config: dict[str, int], weights_mb: int
) -> None:
    """The two with the largest caches: weights, buffers, process and four replies at once fit."""
    entry = catalogue.resolve(key, setting)
    expected = weights_mb + memory.working_mb(config) + memory.process_mb(config, catalogue.OVERHEAD_MB)
    assert expected <= entry.needs_mb


def test_a_folder_declares_its_weights_and_the_caches_of_a_batch(setting: PlanContext) -> None:
    folder = make_model(setting.folder / "m")
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3_text"} | GEMMA_3))
    entry = catalogue.resolve("./m", setting)
    assert entry.memory_mb == 1 + memory.working_mb(GEMMA_3)
    assert entry.overhead_mb == memory.process_mb(GEMMA_3, catalogue.OVERHEAD_MB)


def test_a_model_that_is_here_and_does_not_work_is_not_to_be_fetched(setting: PlanContext) -> None:
    listed = catalogue.remedy_unusable(catalogue.resolve("phi-3-mini", setting))
    assert listed.startswith("`jarvisctl models check phi-3-mini` checks its files. ")
    folder = catalogue.remedy_unusable(catalogue.resolve("./m", setting))
    assert folder.startswith(f"`jarvisctl models check {setting.folder / 'm'}` checks its files. ")
    assert "Fetch" not in listed + folder
