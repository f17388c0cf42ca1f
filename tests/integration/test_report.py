"""The report of a run, from rows of a real database to its files."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run, Status
from jobs.lib.comparison import pipeline
from jobs.lib.results.tables import Mining, ModelLoad
from jobs.report import charts
from jobs.report.charts import models as model_charts
from jobs.report.charts import svg
from jobs.report.formats import html_page, markdown
from jobs.report.gather import gather
from jobs.report.rows import run as run_rows
from jobs.report.rows import sentences
from tests.integration.report_nights import MATCH, MEASURED, SCENARIOS, START, STATS, home, job, mining, model, run
from tests.integration.report_pages import HOSTILE, Tags, outside_blocks, rendered
from tests.integration.two_round_nights import two_rounds


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path)


def even(value: float) -> dict[str, list[float]]:
    """The same quality at every prompt."""
    return {key: [value] * len(instructions) for key, (_, instructions) in SCENARIOS.items()}


def a_night(row: Run) -> None:
    """Mining, two models of which one is better, one that failed, and the report in progress."""
    mining(row)
    model(row, "qwen2.5-1.5b", "Qwen2.5-1.5B", qualities=even(0.5))
    better = "All good, take your time!"
    model(row, "smollm3-3b", "SmolLM3-3B", qualities=even(0.9), latency_ms=1100, reply=better)
    job(row, "evaluate:gone", Status.FAILED, "the model is not on this disk. Fetch it.")
    job(row, "report", Status.RUNNING)


def test_a_whole_night(here: Home) -> None:
    """Every file is there and holds what it promises; nothing is missing."""
    row = run()
    a_night(row)
    folder, problems = rendered(row, here)
    assert problems == []
    text = (folder / "REPORT.md").read_text()
    for line in (
        "# Overnight: Use SmolLM3-3B",
        '[281 uses] "Bro 😭"',
        'Qwen2.5-1.5B: "No worries! See you soon" (850ms)',
        'SmolLM3-3B:   "All good, take your time!" (1100ms)',
        "| Held out | 14.2 %, range 3.1 % to 27.3 % |",
        "| Old definition (in-sample) | 33.2 % |",
        "reported, 33 of 528, method unknown",
        "| evaluate:gone | failed |",
        "To run it again: `jarvisctl retry 4`",
        "- tapbacks: 1,204",
        "- [ ] Pick the winner on how its replies sound",
    ):
        assert line in text
    assert "could not be rendered" not in text + (folder / "report.html").read_text()
    assert sorted(path.name for path in folder.iterdir()) == [
        "REPORT.md",
        "coverage.svg",
        "latency-quality.svg",
        "memory.svg",
        "mlx_comparison_results.json",
        "models.csv",
        "replies.csv",
        "report.html",
        "templates.json",
        "timeline.svg",
    ]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_tiers_and_rivals_have_their_tables(here: Home) -> None:
    """What may be sent stands with its triggers and its precision; phrases are never among it; drift is said."""
    row = run()
    mining(row, stats=MEASURED, tiers=("phrase", "phrase", "suggest", "automatic", "suggest"))
    folder, problems = rendered(row, here)
    assert problems == []
    text = (folder / "REPORT.md").read_text()
    for line in (
        "1 of 5 templates look safe on the newest tenth of your messages; on messages that they were not chosen on, "
        "such templates were right in 45 of 50. 2 might be worth suggesting; too little came in to tell (right in",
        "| automatic | 1 | 90.0 % (78.6 to 95.7 %, n = 50) | “On my way” |",
        "| phrase | 2 | never fires |",
        "| On my way | automatic | right in 3 of 4 held-out messages | “hey” |",
        "| Most frequent replies | 3,819 of 3,819 | 2.3 % (0.0 to 5.0 %, n = 3,819) |",
        "104 against 89 of Most frequent replies (1 suggestion): too close to call; 203 against 203 of Exact",
        "frequent, but we found nothing that comes in and predicts it",
        "Your 4 present templates cover 2.1 % (1.8 to 2.4 %, n = 9,465)",
        "how often rightly was not measured. Never used",
        "3.1 % (n = 2,250), outside the 12.0 % to 27.3 % of the 4 tenths before it. Luck alone does that 40 % of the",
        "Never used: 75.0 % (30.1 to 95.4 %, n = 4).",
        "| omw | never | “On my way” | 0.93 |",
        "- money: 31",
        "6.2 % (reported, 33 of 528, method unknown) | 14.2 % (held out, own later messages within cosine 0.8)",
    ):
        assert line in text
    assert "| Idk | phrase" not in text and "| Bro" not in text
    page_text = Tags((folder / "report.html").read_text()).text
    assert "90.0 % (78.6 to 95.7 %, n = 50)" in page_text and "fires on messages like “hey”" in page_text


def test_sections_come_in_the_order_of_a_decision(here: Home) -> None:
    """Verdict first, then the models, then everything else, what to do, and the appendix."""
    two_rounds("2026-11-21-overnight", better=-0.08, samples=1, turns=2)
    row = two_rounds()
    folder, _ = rendered(row, here)
    headings = [line for line in (folder / "REPORT.md").read_text().splitlines() if line.startswith("## ")]
    assert headings == [f"## {name}" for name, _ in markdown.SECTIONS if name]


def test_json_files_have_the_shape_that_jq_asks_for(here: Home) -> None:
    """`.stats` of the templates; name and latency of every model; plain JSON without NaN."""
    row = run()
    a_night(row)
    folder, _ = rendered(row, here)
    results = json.loads((folder / "mlx_comparison_results.json").read_text())
    named = {model["info"]["name"]: model["stats"]["avg_latency_ms"] for model in results["models"].values()}
    expected = {"Qwen2.5-1.5B": 881.3, "SmolLM3-3B": 1131.3}
    assert named == pytest.approx(expected, abs=0.1)
    stats = results["models"]["smollm3-3b"]["stats"]
    assert (stats["total_tests"], stats["successes"], stats["success_rate"]) == (13, 13, 1.0)
    assert stats["p95_latency_ms"] is None
    assert (stats["quality_ci"], stats["instructions"]["value"]) == (None, pytest.approx(0.9))
    assert stats["success_rate_ci"] == [pytest.approx(0.772, abs=1e-3), 1.0]
    assert results["verdict"]["winner"] == "smollm3-3b"
    templates = json.loads((folder / "templates.json").read_text())
    assert templates["stats"]["total_messages"] == STATS["total_messages"]
    assert {template["representative"] for template in templates["templates"]} >= {"Bro 😭", "Idk"}


def test_the_page_is_one_safe_file(here: Home) -> None:
    """A strict policy, one script that it names, no link, image or inline style; the charts inside, with names."""
    row = run()
    a_night(row)
    folder, _ = rendered(row, here)
    source = (folder / "report.html").read_text()
    tags = Tags(source)
    assert tags.policy.startswith("default-src 'none'; style-src 'sha256-")
    script = source.partition("<script>")[2].partition("</script>")[0]
    named = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{named}';" in tags.policy and "unsafe" not in tags.policy
    assert tags.names.count("script") == tags.names.count("style") == 1
    assert not {"img", "iframe", "link", "object", "form", "input"} & set(tags.names)
    assert tags.links and all(link.startswith("#") for link in tags.links)
    assert "style" not in tags.attributes
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert tags.names.count("svg") == 4 + 2  # the charts, and the interval of each model
    assert "Coverage against number of templates" in tags.text and "prefers-color-scheme" in source


def test_hostile_text_stays_text(here: Home) -> None:
    """Replies, names, reasons, warnings and templates with markup in them change neither page."""
    row = run(warnings=[HOSTILE], title=HOSTILE)
    mining(row, patterns=[(HOSTILE, 12), ("x" * 10_000, 3)], stats={"left_out": {HOSTILE: 2}})
    model(row, "a", HOSTILE, reply=HOSTILE)
    model(row, "b", "B", reply=HOSTILE, failure=HOSTILE)
    job(row, "command:x", Status.FAILED, HOSTILE)
    folder, problems = rendered(row, here)
    assert problems == []
    source = (folder / "report.html").read_text()
    tags = Tags(source)
    assert "img" not in tags.names and all(link.startswith("#") for link in tags.links)
    assert tags.names.count("script") == 1
    assert {name for name in tags.attributes if name.startswith("on")} == set()
    assert "{{7*7}}" in source and "49" not in tags.text.partition("{{7*7}}")[2][:20]
    assert "could not be rendered" not in source
    for path in folder.iterdir():
        text = path.read_text()
        assert path.suffix == ".json" or ("\u202e" not in text and "\x1b" not in text), path.name
        assert path.suffix in (".json", ".csv") or "x" * 1000 not in text, path.name
        assert path.suffix != ".svg" or "<script" not in text, path.name
    outside = outside_blocks((folder / "REPORT.md").read_text())
    assert "<script" not in outside and "](javascript" not in outside.replace("\\]", "")
    assert "could not be rendered" not in outside


def test_a_run_of_programs_alone(here: Home) -> None:
    """Without mining and comparison the report is the table of jobs, and no empty documents are written."""
    row = run(title="Backup")
    job(row, "command:tar")
    job(row, "command:sync", Status.SKIPPED, "the deadline came first")
    folder, problems = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    assert problems == []
    assert text.startswith("# Backup: 1 of 2 jobs succeeded")
    assert "the deadline came first" in text and "jarvisctl retry 2" in text
    assert "## Models" not in text and "## Templates" not in text and "## Old and new" not in text
    assert sorted(path.name for path in folder.iterdir()) == ["REPORT.md", "report.html"]


def test_a_night_in_which_everything_failed(here: Home) -> None:
    """Each failure with its reason and command; the two documents exist and say why they are empty."""
    row = run()
    job(row, "mine", Status.FAILED, "chat.db is not there")
    job(row, "evaluate:a", Status.FAILED, "the model is not on this disk")
    folder, _ = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    assert text.startswith("# Overnight: Nothing could be measured")
    assert "chat.db is not there" in text and text.count(f"`jarvisctl retry {row.id}`") == 2
    stats = json.loads((folder / "templates.json").read_text())["stats"]
    assert (stats["templates_extracted"], stats["missing"]) == (0, "chat.db is not there")
    verdict = json.loads((folder / "mlx_comparison_results.json").read_text())["verdict"]
    assert verdict["winner"] is None and "No model gave replies" in verdict["why"]


def test_a_run_without_jobs(here: Home) -> None:
    """Even nothing is reported."""
    folder, problems = rendered(run(), here)
    assert problems == []
    assert "A run without jobs" in (folder / "REPORT.md").read_text()


def test_one_model_is_not_compared(here: Home) -> None:
    """One model has its figures and no verdict."""
    row = run()
    model(row, "only", "Only")
    folder, _ = rendered(row, here)
    assert "Only one model could be compared: Only" in (folder / "REPORT.md").read_text()


def test_the_same_model_twice_ties(here: Home) -> None:
    """Equal replies: no winner, and no reason to change the model."""
    row = run()
    model(row, "a", "Model A")
    model(row, "b", "Model B")
    document = pipeline.of_run(row.id).as_json()["verdict"]
    assert (document["winner"], document["tied"]) == (None, ["a", "b"])
    folder, _ = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    assert text.startswith("# Overnight: Use Model A")
    assert "**Model A**: 0.89 s for a typical reply" in text and "Model B is nearly as good" in text


def test_a_model_that_was_loaded_and_said_nothing(here: Home) -> None:
    """It is in the document, with no figures invented for it."""
    row = run()
    model(row, "mute", "Mute", only=())
    stats = pipeline.of_run(row.id).as_json()["models"]["mute"]["stats"]
    assert (stats["total_tests"], stats["success_rate"], stats["quality"]) == (0, None, None)
    _, problems = rendered(row, here)
    assert problems == ["Latency against quality: no model gave a complete reply"]


def test_expected_latency_needs_every_part(here: Home) -> None:
    """Match time plus the share without the right template times the model's time; else what is missing is named.

    A template that fires wrongly saves nothing.
    """
    row = run()
    mining(row, stats={"hit_rate": 0.4, "answered": 0.25} | MATCH)
    model(row, "a", "Model A", latency_ms=1000, only=("friend-banter",))
    [expected] = gather(row.id, here).design.expectations
    assert expected.expected_ms == pytest.approx(8 + 0.75 * 1018.5)
    assert gather(row.id, here).design.missing == ()
    folder, _ = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    rule = "match time (8 ms, mean of 100) + share of messages without the right template (75.0 %)"
    assert rule in text and "× the model's mean time (a wrong template saves none)" in text
    other = run("2026-11-23-overnight")
    mining(other)
    mute = run("2026-11-24-overnight")
    mining(mute, stats={"answered": 0.0, "match_problem": "no template of this run may be sent"})
    [what] = [what for what in gather(mute.id, here).design.missing if "finding" in what]
    assert what == "the time that finding a template takes (no template of this run may be sent)"
    assert [what.split(" (")[0] for what in gather(other.id, here).design.missing] == [
        "the share of incoming messages on which the right template fires",
        "the time that finding a template takes",
        "the latency of a model",
    ]


def test_a_report_after_its_deadline_says_so(here: Home) -> None:
    """The computer slept through the deadline."""
    row = run(deadline=START + dt.timedelta(hours=1))
    job(row, "report", Status.RUNNING, started_at=START + dt.timedelta(hours=3))
    folder, _ = rendered(row, here)
    assert "the computer slept or was off" in (folder / "REPORT.md").read_text()


def broken(*_: Any) -> Any:
    raise ValueError("text of a message")


@pytest.mark.parametrize("part", ["templates", "chart", "section", "rows", "html"])
def test_a_part_that_fails_costs_only_itself(
    here: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    """The rest is there, the type of the error is named, and its text is neither shown nor logged."""
    from jobs.report import gather as gathering
    from jobs.report.formats import html_page

    row = run()
    a_night(row)
    target: dict[str, Callable[[], None]] = {
        "templates": lambda: monkeypatch.setattr(gathering, "_templates", broken),
        "chart": lambda: monkeypatch.setattr(svg, "svg", broken),
        "section": lambda: monkeypatch.setattr(markdown, "SECTIONS", (("Odd", broken), *markdown.SECTIONS)),
        "rows": lambda: monkeypatch.setattr(run_rows, "contrasts", broken),
        "html": lambda: monkeypatch.setattr(html_page, "compose", broken),
    }
    target[part]()
    folder, problems = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    assert "SmolLM3-3B:" in text and "## Appendix" in text
    everything = " ".join([text, *problems, *(path.read_text() for path in folder.glob("*.html"))])
    assert "could not be rendered: ValueError" in everything
    assert "text of a message" not in everything + caplog.text


def test_charts_are_the_same_every_time(here: Home) -> None:
    """No date and no random names inside, so that nothing changes when it is rendered again."""
    row = run()
    a_night(row)
    first, second = (charts.draw(gather(row.id, here)) for _ in range(2))
    assert [chart.svg for chart in first] == [chart.svg for chart in second]


def test_an_axis_of_time_has_more_than_one_mark() -> None:
    """A single model of 3.5 s lies between 2 and 10: nearer marks are taken then."""
    for seconds, marks in (([3.4], ["3", "4", "5", "7"]), ([0.4, 9.0], ["0.5", "1", "2", "5", "10", "20"])):
        with svg.figure() as (_, axes):
            model_charts._axes_of_time(axes, seconds)
            assert [label.get_text() for label in axes.get_xticklabels()] == marks


def test_settings_are_words(here: Home) -> None:
    """No empty value, and nothing as Python writes it."""
    row = run()
    mining(row)
    Mining.update(config={"matcher": {"name": "MiniLM", "fingerprint": "cc16"}, "revision": None}).execute()
    model(row, "a", "Model A")
    ModelLoad.update(conditions={"power": "", "launchd": True, "free_mb": 22053}).execute()
    rows = dict(run_rows.setting_rows(gather(row.id, here)))
    assert rows["mining: matcher"] == "name MiniLM, fingerprint cc16"
    assert rows["mining: revision"] == "–"
    assert rows["conditions: round 1, Model A"] == "power not measured, launchd yes, free_mb 22053"


def test_counts_of_templates_stand_alone(here: Home) -> None:
    """Two tiles, which cannot be read as one of the other."""
    row = run()
    mining(row, stats=MEASURED, tiers=("phrase",) * 3 + ("suggest", "automatic"))
    tiles = {what: value for value, what in html_page.tiles(gather(row.id, here))}
    assert (tiles["templates look safe to send"], tiles["templates might be worth suggesting"]) == ("1", "2")


def test_what_did_not_finish_is_said_of_how_many(here: Home) -> None:
    """And a report without a verdict does not refer to one."""
    row = run()
    job(row, "command:a", Status.STOPPED)
    job(row, "command:b")
    report = gather(row.id, here)
    assert sentences.verdict(report) == "1 of 2 jobs did not finish."
    assert "Read the verdict" not in sentences.checklist(report)
    assert "Read the verdict" not in html_page.compose(report, [])


def test_an_unknown_run_is_an_error(here: Home) -> None:
    """A run that does not exist has no report."""
    from jarvisd.errors import JarvisError

    with pytest.raises(JarvisError, match="no run is called nothing"):
        gather("nothing", here)
