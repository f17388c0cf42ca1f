"""The model in use: what the plan names, else what JARVIS is set to, else the first model of the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.plan import plans
from jobs.lib.comparison.load import load
from jobs.lib.comparison.pipeline import compare
from jobs.lib.models import jarvis
from tests.integration.report_nights import home, model, run

MODELS = [
    {"key": "qwen3-4b", "repo": "mlx-community/Qwen3-4B-4bit"},
    {"key": "qwen2.5-1.5b", "repo": "mlx-community/Qwen2.5-1.5B-Instruct-4bit"},
    {"key": "lfm", "repo": "mlx-community/LFM2.5-1.2B-Instruct-4bit"},
    {"key": "own", "path": "/models/own"},
]
JANUARY = {
    "config_version": 6,
    "model_path": "mlx-community/Qwen2.5-1.5B-Instruct-4bit",
    "template_similarity_threshold": 0.7,
    "model": {"model_id": "qwen-1.5b", "auto_select": True},
}
MARCH = {"config_version": 16, "model": {"model_id": "lfm-1.2b", "temperature": 0.1}, "reply_pipeline": {}}
SNAPSHOT = "/Users/x/.cache/huggingface/hub/models--mlx-community--Qwen3-4B-4bit/snapshots/4dcb3d10"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user who has JARVIS."""
    folder = tmp_path / "user"
    (folder / ".jarvis").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def write(user: Path, document: Any) -> None:
    (user / ".jarvis" / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))


def submitted(here: Home, **report: Any) -> dict[str, Any]:
    """The report section that a run of a plan keeps."""
    path = here.root / "config" / "plans" / "night.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"report": report}))
    resolved: dict[str, Any] = plans.read_plan(here, "night").resolved()["report"]
    return resolved


def present(here: Home, name: str, section: dict[str, Any]) -> tuple[str | None, str]:
    """The model in use by the verdict of a night with that section, and why it says what it says."""
    row = run(f"2026-11-22-{name}", plan={"evaluate": {"models": MODELS}, "report": section})
    for entry in MODELS:
        model(row, entry["key"])
    verdict = compare(load(row.id)).document.verdict
    return verdict.present, verdict.why


@pytest.mark.parametrize(
    ("document", "key"),
    [
        (JANUARY, "qwen2.5-1.5b"),
        (JANUARY | {"model": {}}, "qwen2.5-1.5b"),
        (MARCH, "lfm"),
        (MARCH | {"model": {"model_id": SNAPSHOT}}, "qwen3-4b"),
        (MARCH | {"model": {"model_id": "/models/own"}}, "own"),
    ],
)
def test_the_model_that_jarvis_is_set_to_is_the_present_one(
    tmp_path: Path, user: Path, document: dict[str, Any], key: str
) -> None:
    """Files of January and of March 2026: an id, a repository, a folder of the hub's cache, a folder of the owner's."""
    here = home(tmp_path / "home")
    write(user, document)
    assert present(here, "night", submitted(here))[0] == key


def test_the_plan_goes_before_jarvis(tmp_path: Path, user: Path) -> None:
    here = home(tmp_path / "home")
    write(user, MARCH)
    assert present(here, "night", submitted(here, present="own"))[0] == "own"


@pytest.mark.parametrize("document", ["{", "[1]", "{}", '{"model": {"model_id": 7}}', "[" * 100_000])
def test_a_file_that_names_no_model_leaves_the_first_of_the_plan(tmp_path: Path, user: Path, document: str) -> None:
    here = home(tmp_path / "home")
    write(user, document)
    section = submitted(here)
    assert section["in_jarvis"] is None
    assert present(here, "night", section) == ("qwen3-4b", present(here, "other", {})[1])


def test_a_model_of_jarvis_that_was_not_compared_is_named(tmp_path: Path, user: Path) -> None:
    """The first of the plan stands in its place, and the report says so."""
    here = home(tmp_path / "home")
    write(user, MARCH | {"model": {"model_id": "lfm-0.7b"}})
    key, why = present(here, "night", submitted(here))
    assert key == "qwen3-4b" and "JARVIS is set to lfm-0.7b, which was not compared." in why


def test_a_later_change_in_jarvis_does_not_change_the_report_of_a_night(tmp_path: Path, user: Path) -> None:
    """The model in use is the one of the evening, also where the page is written again after a deploy."""
    here = home(tmp_path / "home")
    write(user, MARCH)
    section = submitted(here)
    write(user, MARCH | {"model": {"model_id": "/models/own"}})
    assert present(here, "night", section)[0] == "lfm"


def test_without_jarvis_nothing_is_read(tmp_path: Path) -> None:
    assert jarvis.configured(tmp_path) is None
