"""The evaluate section of a plan: what it accepts, its jobs, and what a run keeps of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jarvisd.errors import UsageError
from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jobs.evaluate import plan
from jobs.evaluate.plan import Section
from jobs.evaluate.replies import generate
from jobs.lib.evaluate_task import task_of


@pytest.fixture
def setting(tmp_path: Path) -> PlanContext:
    return PlanContext(home=Home(tmp_path, "--home"), folder=tmp_path, messages=tmp_path / "chat.db")


@pytest.mark.parametrize(
    "fields",
    [
        {"models": []},
        {"models": ["qwen3-4b", "qwen3-4b"]},
        {"models": ["a"], "samples": 0},
        {"models": ["a"], "rounds": 0},
        {"models": ["a"], "rounds": "many"},
        {"models": ["a"], "rounds": 51},
        {"models": ["a"], "more_samples": -1},
        {"models": ["a"], "turns": 501},
        {"models": ["a"], "max_tokens": 0},
        {"models": ["a"], "temperature": -1},
        {"models": ["a"], "temprature": 1},
        {},
    ],
)
def test_a_wrong_section_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Section.model_validate(fields)


def test_the_brief_is_the_default() -> None:
    section = Section.model_validate({"models": ["qwen3-4b"], "rounds": "auto"})
    assert (section.samples, section.max_tokens, section.temperature) == (1, 50, 0.7)


def test_one_job_a_model_with_the_memory_of_a_whole_process(setting: PlanContext) -> None:
    specs = plan.jobs(Section(models=("qwen2.5-1.5b", "qwen3-4b")), setting)
    assert [spec.name for spec in specs] == ["evaluate:qwen2.5-1.5b", "evaluate:qwen3-4b"]
    assert specs[1].memory_mb == 2816 + 450
    assert specs[1].params == {"task": "replies", "model": "qwen3-4b"}
    assert specs[1].timeout_s == 3600


def test_more_samples_get_more_time(setting: PlanContext) -> None:
    (spec,) = plan.jobs(Section(models=("qwen3-4b",), samples=20), setting)
    assert spec.timeout_s == 600 + 2 * 13 * 20 * 50


def test_two_folders_of_one_name_are_two_jobs(setting: PlanContext) -> None:
    specs = plan.jobs(Section(models=("./a/model", "./b/model", "./c/model")), setting)
    assert [spec.name for spec in specs] == ["evaluate:model", "evaluate:model-2", "evaluate:model-3"]


def test_what_a_run_keeps_is_complete_and_plain_json(setting: PlanContext) -> None:
    kept = plan.resolve(Section(models=("qwen3-4b",)), setting)
    assert json.loads(json.dumps(kept)) == kept
    assert kept["models"][0]["repo"] == "mlx-community/Qwen3-4B-Instruct-2507-4bit"
    assert len(kept["scenarios"]) == 5
    assert "$" not in kept["scenarios"][0]["prompts"][0]["checks"]["says yes"]["says"][0][:1]
    assert kept["guide"]["max_words"] == 30
    assert kept["temperature"] == 0.7


def test_a_model_that_is_not_here_is_a_finding_of_its_own_job(
    setting: PlanContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(setting.folder))
    (finding,) = plan.check(Section(models=("qwen3-4b",)), setting)
    assert finding.job == "evaluate:qwen3-4b"
    assert "not on this disk" in finding.what
    assert "jarvisctl models fetch qwen3-4b" in finding.remedy


def test_what_compares_meanings_and_the_judge_are_kept_whole(setting: PlanContext) -> None:
    kept = plan.resolve(Section(models=("qwen3-4b",), rounds="auto", judge="gemma-3-4b"), setting)
    assert kept["meaning"]["repo"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert kept["judge"]["key"] == "gemma-3-4b"
    none = plan.resolve(Section(models=("qwen3-4b",), rounds="auto", meaning=None), setting)
    assert (none["meaning"], none["judge"]) == (None, None)


def test_later_rounds_list_what_is_missing_and_a_single_round_does_not_check(
    setting: PlanContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(setting.folder))
    later = plan.check(Section(models=("qwen3-4b",), rounds="auto", judge="gemma-3-4b"), setting)
    assert [finding.job for finding in later] == ["evaluate:qwen3-4b", "metrics", "judge"]
    assert "all-MiniLM-L6-v2 is not on this disk" in later[1].what
    one = plan.check(Section(models=("qwen3-4b",), rounds=1, judge="gemma-3-4b"), setting)
    assert [finding.job for finding in one] == ["evaluate:qwen3-4b"]


@pytest.mark.parametrize("judge", ["qwen3-4b", "mlx-community/Qwen3-4B-Instruct-2507-4bit"])
def test_a_model_does_not_judge_itself(setting: PlanContext, judge: str) -> None:
    with pytest.raises(UsageError, match="is one of the models that it would judge"):
        plan.resolve(Section(models=("qwen2.5-1.5b", "qwen3-4b"), judge=judge), setting)


def test_an_unknown_embedder_is_refused_where_a_round_would_load_it(setting: PlanContext) -> None:
    with pytest.raises(UsageError, match="no model is called 'minilmm'"):
        plan.resolve(Section(models=("qwen3-4b",), rounds=2, meaning="minilmm"), setting)
    assert plan.resolve(Section(models=("qwen3-4b",), rounds=1, meaning="minilmm"), setting)["meaning"] is None


def test_an_unknown_model_is_refused(setting: PlanContext) -> None:
    with pytest.raises(UsageError, match="Did you mean qwen3-4b"):
        plan.jobs(Section(models=("qwen3-5b",)), setting)


def test_a_seed_depends_on_the_prompt_and_the_sample_alone() -> None:
    """The number is written here so that a change of the recipe, which would make runs incomparable, is noticed."""
    assert generate.seed("dinner-invite", 0, 1) == 1278300398
    seeds = {generate.seed(scenario, place, sample) for scenario in "abc" for place in range(5) for sample in (1, 2)}
    assert len(seeds) == 30
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_reading_a_plan_imports_nothing_heavy() -> None:
    code = (
        "import sys, jobs.evaluate.plan; "
        "print([name for name in ('numpy', 'torch', 'mlx', 'mlx_lm', 'transformers', 'yaml', 'huggingface_hub') "
        "if name in sys.modules])"
    )
    root = Path(plan.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("params", "task"),
    [
        ({"model": "a"}, "replies"),
        ({"model": "a", "turns": [0, 40], "samples": [2, 5]}, "replies"),
        ({"prepare": "turns"}, "prepare"),
        ({"judge": "judge-3b"}, "judge"),
        ({"layers": True, "left_out": {}}, "metrics"),
    ],
)
def test_a_job_that_version_0_1_0_queued_keeps_its_task(params: dict[str, Any], task: str) -> None:
    """Its params have no `task`; the keys that they do have tell which one it is."""
    assert task_of(params) == task
    assert task_of({**params, "task": task}) == task


def test_a_task_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        task_of({"task": "nonsense", "model": "a"})
