"""The demonstration itself: too long for every day, so `make test-slow` runs it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

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
        assert "Verdict: Only one model could be compared" in done.stdout
        report = Path(done.stdout.rpartition("Report: ")[2].strip())
        assert report.read_text().count("23,661") >= 1
        assert not house.status()["daemon"]["running"]
        assert len(house.status("latest")["runs"]) == 1
        assert report.parent.name.endswith("-demo" if turn == 1 else "-demo-2")
    stats = json.loads((var / "results" / "latest" / "templates.json").read_text())["stats"]
    assert stats["total_messages"] == 23_661
    assert stats["coverage_range"][0] < stats["coverage"] < stats["coverage_range"][1]
