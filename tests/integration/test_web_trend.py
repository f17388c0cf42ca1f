"""Quality and coverage over the nights, on the local page."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jarvisd.paths import Home
from jarvisd.store import queries
from jarvisd.store.models import Run
from jobs.lib.results.tables import Mining
from jobs.verbs.trend.web import HEIGHT, MARGIN, WIDTH, chart
from tests.claiming import claimed, finish
from tests.web import Browser

MakeRun = Callable[..., Run]


def reported(make_run: MakeRun, home: Home, quality: dict[str, float | None], coverage: float) -> Run:
    """A run with a mining, a comparison and a written report."""
    run = make_run("mine", "report")
    for _ in range(2):
        finish(claimed())
    mining = queries.jobs_of(run)[0]
    Mining.create(job=mining, run=run, stats={"coverage": coverage}, config={}, curve=[])
    folder = home.run_folder(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    models = {name: {"stats": {"quality": value}} for name, value in quality.items()}
    (folder / "mlx_comparison_results.json").write_text(json.dumps({"models": models}))
    return run


def test_each_night_has_the_figures_of_its_documents(make_run: MakeRun, home: Home) -> None:
    """A model that a night did not have, and one without a figure, have none there; damaged files are left out."""
    first = reported(make_run, home, {"qwen": 0.5, "phi <b>": None}, 0.31)
    second = reported(make_run, home, {"qwen": 0.75, "smol": 0.25}, 0.42)
    damaged = reported(make_run, home, {}, 0.5)
    (home.run_folder(damaged.id) / "mlx_comparison_results.json").write_text("{")
    text = Browser(home).get("trend").text
    for figure in (first.id, second.id, damaged.id, "0.50", "0.75", "0.25", "31 %", "42 %", "50 %"):
        assert figure in text
    assert text.index(f"{second.id}</a>") < text.index(f"{first.id}</a>")  # the newest night is on top of the table
    assert text.count('<polyline class="line-0"') == 4  # a line and its legend, in both charts


def test_a_page_without_a_report_says_so(make_run: MakeRun, home: Home) -> None:
    make_run("mine")
    assert "No night has a finished report yet." in Browser(home).get("trend").text


def test_values_lie_between_the_edges_of_the_chart() -> None:
    (line,) = chart(["qwen"], [[0.0, None, 1.0]])
    assert line.points == [(MARGIN, HEIGHT - MARGIN), (WIDTH - MARGIN, MARGIN)]
    assert chart([], []) == []
    assert chart(["one"], [[0.5]])[0].points == [(MARGIN, pytest.approx(HEIGHT / 2))]
