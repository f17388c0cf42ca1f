"""The demonstration itself: too long for every day, so `make test-slow` runs it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from jarvisd.host import machine
from jobs.verbs.demo.preparation import LARGE
from tests.acceptance.conftest import ROOT, House


@pytest.mark.slow
def test_the_demonstration_ends_with_a_report_and_stops_what_it_started(house: House, small_models: Path) -> None:
    var = house.root / "var"
    var.mkdir(mode=0o700, parents=True)
    (var / "cache").symlink_to(ROOT / "var" / "cache")  # what it downloads and converts, and the embeddings
    took = []
    for turn in (1, 2):
        began = time.monotonic()
        done = house.ctl("demo", timeout_s=1500)
        took.append(time.monotonic() - began)
        assert "from 23,661 messages" in done.stdout
        assert "Only one model could be compared" not in done.stdout
        assert re.search(r"^Verdict: (Best guess|Keep|Use|Switch|.* did best)", done.stdout, re.MULTILINE)
        assert f" vote {house.status('latest')['runs'][0]['id']} " in done.stdout
        report = Path(done.stdout.rpartition("Report: ")[2].strip())
        assert report.read_text().count("23,661") >= 1
        assert not house.status()["daemon"]["running"]
        assert len(house.status("latest")["runs"]) == 1
        assert report.parent.name.endswith("-demo" if turn == 1 else "-demo-2")
    stats = json.loads((var / "results" / "latest" / "templates.json").read_text())["stats"]
    assert stats["total_messages"] == 23_661
    assert stats["coverage_range"][0] < stats["coverage"] < stats["coverage_range"][1]


FEW = """\
opening: You are helping draft an iMessage reply. Be brief and natural (1-2 sentences max).
scenarios:
  - id: late
    context: "Friend: Hey, running 10 mins late. Sorry!"
    prompts:
      - {instruction: Say no worries, checks: {says no worries: {says: ['worr', 'problem', 'ok', 'fine', 'see you']}}}
      - {instruction: Ask how far away they are}
"""


@pytest.mark.slow
@pytest.mark.skipif(machine.total_mb() < 16_000, reason="the large model of the demonstration needs 16 GB of memory")
def test_the_large_demonstration_compares_a_usable_model_in_two_rounds(house: House, small_models: Path) -> None:
    """With two prompts, two turns and no mining, because a reply of the larger model takes a while."""
    var = house.root / "var"
    var.mkdir(mode=0o700, parents=True)
    (var / "cache").symlink_to(ROOT / "var" / "cache")
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True)
    (plans.parent / "scenarios.yaml").write_text(FEW)
    head, _, rest = (ROOT / "config" / "plans" / "demo.yaml").read_text().partition("mine:")
    asked = rest.partition("evaluate:")[2]
    for given, fewer in (("\n  turns: 20", "\n  turns: 2"), ("more_samples: 2", "more_samples: 1")):
        assert asked.count(given) == 1
        asked = asked.replace(given, fewer)
    (plans / "demo.yaml").write_text(f"{head}evaluate:{asked}")
    done = house.ctl("demo", "--models", "large", "--rounds", "2", timeout_s=5400)
    assert "The gates for memory and slowest replies are off" in done.stderr
    compared = json.loads((var / "results" / "latest" / "mlx_comparison_results.json").read_text())["models"]
    assert set(compared) == set(LARGE)
    for model in compared.values():
        assert model["rounds"] == 2
        assert all("replies complete" in gate for gate in model["gates"])  # neither of memory nor of time
        assert len(model["generations"]) == 6
    usable = {key: sum(reply["success"] for reply in model["generations"]) for key, model in compared.items()}
    assert usable["qwen2.5-coder-1.5b"] >= 3
