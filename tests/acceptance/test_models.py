"""`jarvisctl models` as its owner uses it, against a hub of our own."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.lib.models import transfer
from tests.acceptance.conftest import BIN, DEADLINE_S, House, until
from tests.hub import HANG, Hub, Repository, loadable, serving, tiny

MODELS = """
models:
  - {key: one, name: One, repo: someone/one, licence: MIT, download_bytes: 200000}
  - {key: two, name: Two, repo: someone/two}
  - {key: own, name: Own, path: var/cache/models/own, obtain: make own}
"""
PLAN = "evaluate: {models: [%s], rounds: 1}\nreport: {}\n"


@pytest.fixture
def hub(house: House, tmp_path: Path) -> Iterator[Hub]:
    """A home whose plans name two models of the hub and one that is made here."""
    folder = house.root / "config"
    (folder / "plans").mkdir(parents=True)
    (folder / "models.yaml").write_text(MODELS)
    (folder / "plans" / "overnight.yaml").write_text(PLAN % "one, two, own")
    (folder / "plans" / "short.yaml").write_text(PLAN % "one")
    files = loadable(tmp_path / "loadable")
    with serving() as served:
        served.repositories = {"someone/one": Repository(files), "someone/two": Repository(files)}
        house.environment = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": served.url}
        yield served


def states(house: House) -> dict[str, str]:
    return {row["key"]: row["state"] for row in json.loads(house.ctl("models", "--json").stdout)}


def test_from_nothing_to_models_that_are_whole(house: House, hub: Hub) -> None:
    rows = {row["key"]: row for row in json.loads(house.ctl("models", "--json").stdout)}
    assert {key: row["state"] for key, row in rows.items()} == {"one": "missing", "two": "missing", "own": "missing"}
    assert (rows["one"]["plans"], rows["two"]["plans"]) == (["overnight", "short"], ["overnight"])
    output = house.ctl("models", "fetch").stdout
    assert "own: not from the hub. Get it with: make own" in output
    assert "licence: MIT" in output
    assert states(house) == {"one": "here", "two": "here", "own": "missing"}
    checked = house.ctl("models", "check").stdout
    assert [line.split(":")[0] for line in checked.splitlines()] == ["ok       one", "ok       two"]
    assert "\x1b" not in output + checked


def models_check(house: House) -> tuple[dict[str, Any], list[str]]:
    """What doctor says of the models, and which jobs have a problem of their own."""
    checks = json.loads(house.ctl("doctor", "--json", code=None, timeout_s=90).stdout)["checks"]
    (check_of_models,) = [check for check in checks if check["name"] == "models"]
    return check_of_models, [check["name"] for check in checks if check["name"].startswith("evaluate:")]


def test_doctor_says_before_what_fetch_then_fetches_and_after_it_how_fast(house: House, hub: Hub) -> None:
    weights = transfer.TELLING_BYTES
    hub.repositories["someone/two"] = Repository(tiny(weights))
    before, own = models_check(house)
    assert own == ["evaluate:own"]  # it is made here: its remedy is its own
    assert before["what"].startswith("0 of 3 on this disk; 1 with another problem, below; missing: one, two; ")
    assert "; at least 1 MB to fetch (only the hub knows the size of two), which leaves " in before["what"]
    assert before["figures"]["of_unknown_size"] == ["two"]
    output = house.ctl("models", "fetch", "--only", "overnight").stdout
    assert "21 MB to fetch into " in output
    assert "how long is not known: no download was measured yet" in output
    assert "Fetched 21 MB at " in output
    after, own = models_check(house)
    assert (after["state"], own) == ("ok", ["evaluate:own"])
    assert after["what"] == "2 of 3 on this disk; 1 with another problem, below"
    assert after["figures"]["bytes_per_second"] > 0
    shutil.rmtree(house.environment["HF_HOME"])
    assert " MB/s of the last download" in models_check(house)[0]["what"]
    assert "MB/s of the last download" in house.ctl("models", "fetch", "one").stdout


def test_a_damaged_model_is_a_problem_of_its_own_job(house: House, hub: Hub) -> None:
    house.ctl("models", "fetch")
    (config,) = Path(house.environment["HF_HOME"]).glob("hub/models--someone--two/snapshots/*/config.json")
    config.unlink()
    models, own = models_check(house)
    assert own == ["evaluate:two", "evaluate:own"]
    assert (models["state"], models["what"]) == ("ok", "1 of 3 on this disk; 2 with another problem, below")


def test_two_names_of_one_missing_model_are_one_download(house: House, hub: Hub) -> None:
    (house.root / "config" / "plans" / "overnight.yaml").write_text(PLAN % "one, someone/one, someone/three")
    models, own = models_check(house)
    assert (models["figures"]["missing"], own) == (["one", "someone/three"], [])
    assert models["figures"]["models"] == 2


def test_only_the_models_of_one_plan(house: House, hub: Hub) -> None:
    house.ctl("models", "fetch", "--only", "short")
    assert states(house) == {"one": "here", "two": "missing", "own": "missing"}
    assert "Nothing is missing" in house.ctl("models", "fetch", "--only", "short").stdout


def test_a_plan_that_cannot_be_read_hides_no_other_and_a_shipped_one_need_not_fit(house: House, hub: Hub) -> None:
    assert house.ctl("models").stderr == ""  # the shipped demo names models that this home's models.yaml has not
    (house.root / "config" / "plans" / "broken.yaml").write_text("evaluate: {models: [three]}\n")
    done = house.ctl("models", code=1)
    assert "broken.yaml:1: evaluate: no model is called 'three'" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:3]] == ["one", "two", "own"]


@pytest.mark.parametrize("words", [("models",), ("models", "fetch"), ("models", "check")])
def test_what_cannot_be_read_is_no_success(house: House, hub: Hub, words: tuple[str, ...]) -> None:
    """A broken plan of the owner's counts; a broken models.yaml is said instead of anything else."""
    (house.root / "config" / "plans" / "broken.yaml").write_text("evaluate: {models: [three]}\n")
    house.ctl(*words, code=1)
    (house.root / "config" / "models.yaml").write_text("models: [{key: one}]\n")
    done = house.ctl(*words, code=2)
    assert "models.yaml:1: " in done.stderr and len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.slow
def test_a_changed_byte_is_found_and_mended(house: House, hub: Hub, tmp_path: Path) -> None:
    house.ctl("models", "fetch", "one")
    (weights,) = (tmp_path / "hf").rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.resolve().write_bytes(content)
    assert states(house)["one"] == "here"  # a cheap look does not see it
    output = house.ctl("models", "check", code=1).stdout
    assert "problem  one: model.safetensors differs from the hub's" in output
    assert "jarvisctl models fetch one" in output
    house.ctl("models", "fetch", "one")
    house.ctl("models", "check", "one")


@pytest.mark.slow
def test_what_only_mlx_lm_can_tell_is_a_problem_by_day(house: House, hub: Hub) -> None:
    """Every file is as the hub has it, and no night could load the model."""
    hub.repositories["someone/one"].files["config.json"] = b'{"model_type": "unheard_of"}'
    house.ctl("models", "fetch", "one")
    output = house.ctl("models", "check", "one", code=1).stdout
    assert "problem  one: mlx-lm cannot load it: it does not know the model type unheard_of" in output
    assert "Leave it out of the plan, or install a newer mlx-lm." in output


def test_a_model_that_is_refused_keeps_no_other_from_coming(house: House, hub: Hub) -> None:
    hub.faults["HEAD 1_Pooling/config.json"] = [(403, {"X-Error-Code": "GatedRepo"})]
    done = house.ctl("models", "fetch", "one", "two", code=1)
    assert len(done.stderr.splitlines()) == 1
    assert "does not hand out someone/one (403)" in done.stderr
    assert "`hf auth login`" in done.stderr
    assert states(house) == {"one": "missing", "two": "here", "own": "missing"}


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (("fetch", "three"), 2, "no model is called 'three'"),
        (("fetch", "onee"), 2, "Did you mean one? What can be fetched is a key of models.yaml or a repository"),
        (("fetch", ""), 2, "a name is empty"),
        (("fetch", "one", "--only", "short"), 2, "--only cannot be combined with names"),
        (("fetch", "--only", "shrot"), 2, "Did you mean short?"),
        (("fetch", "own"), 1, "own is not fetched from the hub. Get it with: make own"),
        (("fetch", "someone/none"), 1, "the hub has no someone/none"),
        (("fetch", "someone/one@abc"), 1, "someone/one has no revision abc"),
    ],
)
def test_what_cannot_be_done_is_one_line(house: House, hub: Hub, words: tuple[str, ...], code: int, what: str) -> None:
    done = house.ctl("models", *words, code=code)
    assert what in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_switched_off_hub_is_one_line(house: House, hub: Hub) -> None:
    house.environment["HF_HUB_OFFLINE"] = "1"
    assert "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set. Unset it" in house.ctl("models", "fetch", code=1).stderr


def test_ctrl_c_leaves_nothing_half(house: House, hub: Hub, tmp_path: Path) -> None:
    hub.faults["GET model.safetensors"] = [HANG]
    environment = os.environ | {"JARVISD_HOME": str(house.root)} | house.environment
    process = subprocess.Popen(
        [BIN / "jarvisctl", "models", "fetch", "one"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: "GET model.safetensors" in hub.asked, what="the weights are on their way")
    until(lambda: list((tmp_path / "hf").rglob("*.incomplete")), what="half of them is written")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    left = [file.name for file in (tmp_path / "hf").rglob("*") if file.name.endswith((".incomplete", ".safetensors"))]
    assert left == []
    hub.closing.set()
    house.ctl("models", "fetch", "one")
    house.ctl("models", "check", "one")


def test_on_a_terminal_a_bar_shows_how_far_it_is(house: House, hub: Hub) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 110))
    environment = os.environ | {"JARVISD_HOME": str(house.root)} | house.environment
    process = subprocess.Popen(
        [BIN / "jarvisctl", "models", "fetch", "one"], env=environment, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    output = b""
    try:
        while data := os.read(ours, 65536):
            output += data
    except OSError:  # on Linux the end of a terminal is an error
        pass
    os.close(ours)
    assert process.wait(timeout=DEADLINE_S) == 0
    assert b"model.safetensors:   0%|" in output
