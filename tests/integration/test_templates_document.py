"""templates.json: numbers from the database, sentences from the code that writes the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jarvisd.store.models import Job, Run
from jobs.lib.results import templates_document
from jobs.lib.results.tables import Mining
from jobs.mine.figures import BASELINES

NUMBERS = {
    "min_people_needed": 2,
    "chats_left_out": 20,
    "fires_at": 0.7,
    "turns_timed": 100,
    "problem": "",
    "cluster_distance": 0.35,
    "cluster_messages": 5,
    "embedded_words": 16,
}
CONFIG = {"max_words": 12, "similarity": 0.8, "precision": 0.9, "numbers": NUMBERS}


def rendered(make_run: Callable[..., Run], stats: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    run = make_run("mine")
    Mining.create(job=Job.get(Job.run == run), run=run, stats=stats, config=config, curve=[])
    document = templates_document.document(run.id)
    assert document is not None
    return document


def test_every_baseline_and_every_part_is_explained_with_the_numbers_of_its_run(make_run: Callable[..., Run]) -> None:
    document = rendered(make_run, {"baselines": {name: {"turns": 1} for name in BASELINES}}, CONFIG)
    assert all(row["what"] and row["turns"] == 1 for row in document["stats"]["baselines"].values())
    assert "from cosine 0.7 on" in document["stats"]["baselines"]["every trigger"]["what"]
    assert "cosine distance 0.35, at least 5" in document["stats"]["coverage_in_sample_definition"]
    assert "at most 12 words, said twice or more, that 2 people got" in document["config"]["candidates"]
    assert "precision at least 0.9" in document["config"]["tiers"]
    assert "numbers" not in document["config"]


def test_what_kept_tiers_from_being_measured_stands_in_their_place(make_run: Callable[..., Run]) -> None:
    config = CONFIG | {"numbers": NUMBERS | {"problem": "no tiers were measured: m is not on this disk"}}
    assert rendered(make_run, {"baselines": {}}, config)["config"]["tiers"].startswith("no tiers were measured")


def test_a_run_of_an_earlier_version_keeps_the_sentences_that_it_stored(make_run: Callable[..., Run]) -> None:
    stats = {"baselines": {"exact": {"what": "as it was worded then"}}, "coverage_in_sample_definition": "then"}
    config = {"method": "as it was worded then", "precision": 0.8}
    document = rendered(make_run, stats, config)
    assert (document["stats"], document["config"]) == (stats, config)
