"""`jarvisctl deploy model` after a night: which model is written, and what is said where none is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jarvisd.cli.common import App
from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Run
from jobs.lib.comparison import pipeline
from jobs.report.gather import gather
from jobs.report.rows import sentences
from jobs.verbs.deploy import files
from jobs.verbs.deploy.commands import deploy
from tests.integration.report_nights import SCENARIOS, home, job, model, run

COMMAND = "jarvisctl deploy model --dry-run"


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path / "home")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """JARVIS's settings of March 2026, and a checkout that knows the models of these tests."""
    path = tmp_path / "jarvis" / "config.json"
    path.parent.mkdir()
    path.write_text('{"config_version": 16, "model": {"model_id": "lfm-0.7b"}}')
    registry = tmp_path / "checkout" / "models" / "registry.py"
    registry.parent.mkdir(parents=True)
    specs = ", ".join(f'ModelSpec(id="id-{key}", path="org/{key}")' for key in "abc")
    registry.write_text(f"KNOWN = [{specs}]\n")
    return path


def put(here: Home, config: Path, *words: str) -> Result:
    source = str(config.parents[1] / "checkout")
    parts = ["model", "--to", str(config.parent), "--source", source, *words]
    return CliRunner().invoke(deploy, parts, obj=App(here), catch_exceptions=False, standalone_mode=False)


def night(name: str, **levels: float) -> Run:
    """A night with a report; each model scores about its level, the first is the one in use."""
    models = [{"key": key, "name": f"Model {key.upper()}", "repo": f"org/{key}"} for key in levels]
    row = run(name, plan={"evaluate": {"models": models}})
    for key, level in levels.items():
        scores = {
            scenario: [level + 0.01 * number] * len(prompts) for number, (scenario, (_, prompts)) in enumerate(STEPS)
        }
        model(row, key, f"Model {key.upper()}", qualities=scores, reply=f"reply of {key}")
    job(row, "report")
    return row


STEPS = list(SCENARIOS.items())


def written(config: Path) -> str:
    return str(json.loads(config.read_text())["model"]["model_id"])


def test_the_model_to_switch_to_is_written(here: Home, config: Path) -> None:
    """Of the newest report, whose verdict says switch."""
    night("2026-11-21-overnight", a=0.9, b=0.9)
    row = night("2026-11-22-overnight", a=0.2, b=0.9)
    assert pipeline.of_run(row.id).verdict.action == "switch"
    assert "restart JARVIS" in put(here, config).output
    assert written(config) == "id-b"
    assert COMMAND in sentences.next_steps(gather(row.id, here))


def test_a_pick_that_is_no_strict_winner_is_written_too(here: Home, config: Path) -> None:
    """Two new ones are as good as each other and far better than the present one: none beats each, and one is taken."""
    row = night("2026-11-22-overnight", a=0.3, b=0.9, c=0.88)
    verdict = pipeline.of_run(row.id).verdict
    assert (verdict.action, verdict.winner, verdict.pick) == ("switch", None, "b")
    put(here, config)
    assert written(config) == "id-b"


def test_where_the_report_says_keep_nothing_is_written(here: Home, config: Path) -> None:
    row = night("2026-11-22-overnight", a=0.9, b=0.2)
    with pytest.raises(JarvisError) as caught:
        put(here, config)
    told = str(caught.value)
    assert caught.value.exit_code == 1 and written(config) == "lfm-0.7b"
    assert f"{row.id} says to keep the present model: Keep Model A" in told
    assert (
        "Name a model to deploy it all the same: jarvisctl deploy model NAME. It compared a (Model A), b (Model B)."
        in told
    )
    assert COMMAND not in sentences.next_steps(gather(row.id, here))


def test_where_the_report_is_undecided_it_says_so_and_how_to_name_one(here: Home, config: Path) -> None:
    row = night("2026-11-22-overnight", a=0.84, b=0.9)
    assert pipeline.of_run(row.id).verdict.action == "undecided"
    with pytest.raises(JarvisError) as caught:
        put(here, config)
    assert f"{row.id} is not decided: Best guess: Model B" in str(caught.value)
    assert "Its best guess is b (Model B). Name a model to deploy it all the same" in str(caught.value)
    put(here, config, "model b", "--run", row.id)
    assert written(config) == "id-b"


def test_a_dry_run_changes_nothing(here: Home, config: Path) -> None:
    night("2026-11-22-overnight", a=0.2, b=0.9)
    before = config.read_bytes()
    assert '+    "model_id": "id-b"' in put(here, config, "--dry-run").output
    assert config.read_bytes() == before and list(config.parent.iterdir()) == [config]


def test_a_name_that_fits_two_models_is_refused(here: Home, config: Path) -> None:
    models = [{"key": key, "name": "Twin", "repo": "org/twin"} for key in ("a", "b")]
    row = run(plan={"evaluate": {"models": models}})
    for key in ("a", "b"):
        model(row, key, "Twin", reply=key)
    job(row, "report")
    with pytest.raises(JarvisError, match="fits 2 models") as caught:
        put(here, config, "twin")
    assert caught.value.exit_code == 2


def test_a_folder_without_a_config_is_not_asked_for_its_name_again(here: Home, config: Path) -> None:
    config.unlink()
    with pytest.raises(JarvisError, match=r"there is no .*config\.json"):
        put(here, config, "qwen3-4b")


def test_a_deploy_without_a_run_needs_no_database(tmp_path: Path, config: Path) -> None:
    database.db.initialize(None)
    registry = config.parents[1] / "checkout" / "models" / "registry.py"
    registry.write_text('KNOWN = [ModelSpec(id="phi", path="mlx-community/Phi-3-mini-4k-instruct-4bit")]\n')
    put(Home(tmp_path / "empty", "--home"), config, "phi-3-mini")
    assert written(config) == "phi"


def test_only_the_file_that_was_previewed_is_written(here: Home, config: Path) -> None:
    """--expect names its digest; a deploy and an undo of another file change nothing."""
    night("2026-11-22-overnight", a=0.2, b=0.9)
    seen = files.digest_of(config)
    config.write_text(config.read_text() + "\n")
    before = config.read_bytes()
    with pytest.raises(JarvisError, match="has changed since it was previewed"):
        put(here, config, "--expect", seen)
    assert config.read_bytes() == before
    put(here, config, "--expect", files.digest_of(config))
    assert written(config) == "id-b"
    with pytest.raises(JarvisError, match="has changed since it was previewed"):
        undo(here, config, seen)
    assert written(config) == "id-b"
    undo(here, config, files.digest_of(config))
    assert config.read_bytes() == before


def undo(here: Home, config: Path, digest: str) -> None:
    parts = ["model", "--to", str(config.parent), "--undo", "--expect", digest]
    CliRunner().invoke(deploy, parts, obj=App(here), catch_exceptions=False, standalone_mode=False)
