"""The report of a night of several rounds: metrics, gates, real turns, votes, and what changed since the last run."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store.database import db
from jarvisd.store.models import Run, Status
from jobs.lib.comparison.votes import Agreement
from jobs.lib.results.tables import REAL_TURNS, Cause, HeldOutTurn, LeftOut, ModelLoad, Reply, Score
from jobs.report.charts import models as model_charts
from jobs.report.gather import Report, gather
from jobs.report.rows import metrics as metric_rows
from jobs.report.rows import models as model_rows
from jobs.report.rows import pairs as pair_rows
from jobs.report.rows import replies as reply_rows
from jobs.report.rows import run as run_rows
from jobs.report.rows import votes as vote_rows
from tests.integration.report_nights import home, job, model, run
from tests.integration.report_pages import HOSTILE, Tags, outside_blocks, rendered
from tests.integration.two_round_nights import two_rounds


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """What two nights of the same plan give: the gathered second one, and the folder of its files."""
    here = home(tmp_path_factory.mktemp("rounds"))
    with db.atomic():
        two_rounds("2026-11-21-overnight", better=-0.08)
        row = two_rounds()
    folder, problems = rendered(row, here)
    assert problems == []
    return gather(row.id, here), folder


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path)


def cells(report: Report, name: str) -> dict[str, str]:
    row = next(row for row in model_rows.rows(report) if row[0] == name)
    return dict(zip(model_rows.header(report), row, strict=True))


def test_the_table_of_models_holds_what_a_decision_needs(night: tuple[Report, Path]) -> None:
    """Quality and success with intervals, seconds, memory and what 8 GB leave, licence and marks."""
    cells_of_model = cells(night[0], "Qwen3 4B")
    assert cells_of_model["Left of 8 GB"] == "5.35 GB" and cells_of_model["Peak memory"] == "2.65 GB"
    assert cells_of_model["Complete replies"] == "55 of 55 (93 to 100 %)"
    assert cells_of_model["Typical reply"].endswith(" s") and "(" in cells_of_model["Quality (95 % interval)"]
    assert cells_of_model["Marks"] == "–"
    assert dict(run_rows.setting_rows(night[0]))["model: Qwen3 4B"] == "/models/qwen3-4b · d3a7e0594d66 · apache-2.0"
    assert cells_of_model["Does what you ask"] == "0.94 (0.91 to 0.96, 13 prompts)"
    assert cells_of_model["Your own messages"] == "0.75 (0.70 to 0.79, 8 conversations)"
    assert cells_of_model["Chance to be the best"] == "7 of 100"
    assert cells(night[0], "Gemma 3 270M")["Chance to be the best"] == "–"  # it may not be chosen


def test_a_canned_reply_and_real_ones_stand_in_the_table_of_models(night: tuple[Report, Path]) -> None:
    """The rows of `references`, last, in both renderings; they have no time and no memory."""
    rows = model_rows.rows(night[0])[6:]
    assert [row[0] for row in rows] == [
        "A canned reply to everything",
        "Another real reply of yours",
        "Your real reply",
    ]
    canned = cells(night[0], "A canned reply to everything")
    assert canned["Does what you ask"].startswith("0.50 (") and canned["Your own messages"].startswith("0.12 (")
    assert cells(night[0], "Your real reply")["Does what you ask"] == "–"
    assert set(rows[0][4:-1]) == {"–"} and rows[0][-1] == "for comparison, no model"
    assert night[0].comparison is not None
    assert set(night[0].comparison.as_json()["references"]) == {"canned", "another", "real"}
    page = Tags((night[1] / "report.html").read_text()).text
    for row in rows:
        assert row[0] in (night[1] / "REPORT.md").read_text() and row[0] in page


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("SmolLM3 3B", "slow cold start: first reply 5.03 s"),
        ("LFM2 1.2B", "thinks aloud in 11 of 55 replies"),
        ("LFM2 1.2B", "plain prompt: it has no chat template"),
        ("LFM2 1.2B", "not asked after round 2: 0.20 behind Qwen3 4B (0.10 to 0.30)"),
        ("Ministral 3 3B", "misses a limit: peak of 6.74 GB, over 6.00 GB"),
        ("Gemma 3 270M", "misses a limit: 42 of 55 replies complete"),
    ],
)
def test_what_speaks_against_a_model_is_marked(night: tuple[Report, Path], name: str, mark: str) -> None:
    """A model that fails a gate keeps its line, after those that passed; its reason stands in both renderings."""
    assert mark in cells(night[0], name)["Marks"]
    for file in ("REPORT.md", "report.html"):
        assert mark in (night[1] / file).read_text(), file
    order = [row[0] for row in model_rows.rows(night[0])]
    assert set(order[4:6]) == {"Ministral 3 3B", "Gemma 3 270M"}


def test_both_renderings_say_the_same(night: tuple[Report, Path]) -> None:
    """Every figure of the tables is in REPORT.md and in report.html."""
    report, folder = night
    text = (folder / "REPORT.md").read_text()
    page = "".join(Tags((folder / "report.html").read_text()).text.split())
    for rows in (
        [row[:-1] for row in model_rows.rows(report)],
        metric_rows.metric_rows(report),
        metric_rows.reference_rows(report),
        model_rows.memory_rows(report),
        model_rows.speed_rows(report),
        pair_rows.pair_rows(report),
        pair_rows.group_rows(report),
        vote_rows.matrix_rows(report),
        vote_rows.rating_rows(report),
    ):
        assert rows
        for cell in (cell for row in rows for cell in row):
            assert cell in text, cell
            assert "".join(cell.split()) in page, cell


def test_metrics_stand_on_their_own_with_their_references(night: tuple[Report, Path]) -> None:
    """Checks, style, meaning and bits per character each have interval, n and clusters; people's values beside them."""
    [line] = [row for row in metric_rows.metric_rows(night[0]) if row[0] == "Qwen3 4B"]
    assert all("55 replies to 13 scenarios or conversations" in cell for cell in line[1:3])
    assert all("16 replies to 8 scenarios or conversations" in cell for cell in line[3:])
    text = (night[1] / "REPORT.md").read_text()
    for part in (
        "style: ceiling | 0.71 (0.67 to 0.74) | 0.83",
        "style: floor | 0.40 (0.36 to 0.43) | 0.41",
        "meaning: random | 0.06 (0.02 to 0.09) | 0.19",
        "on this scale your own other half gets 0.71, other people 0.40",
        "on this scale another reply of yours, drawn at random, gets 0.06",
        "Metrics that are shown and do not count",
        "mostly whether a reply skips capitals and full stops as you do",
        "Quality weighs the two by 0.5 and 0.5, the same in every round and every night.",
    ):
        assert part in text


def test_the_frontier_leaves_out_the_beaten_and_those_that_fail_a_gate(night: tuple[Report, Path]) -> None:
    """Faster and worse stays on it, slower and worse does not, a model that fails a gate never does."""
    names = [point.name for point in model_charts.frontier(model_charts.points(night[0]))]
    assert names == ["LFM2 1.2B", "Qwen2.5 1.5B", "SmolLM3 3B", "Qwen3 4B"]
    point = model_charts.Point(name="x", seconds=9, quality=0.1, interval=None, peak_mb=None, fails_gate=False)
    assert model_charts.frontier([point, *model_charts.points(night[0])])[-1].name == "Qwen3 4B"


def test_repeats_are_collapsed(night: tuple[Report, Path]) -> None:
    """The same reply three times is one bubble that says so."""
    one = reply_rows.scenes(night[0])[0].exchanges[0]
    assert [cell.times for cell in one.replies if cell.model == "SmolLM3 3B"] == [3]
    assert "×3 identical" in (night[1] / "report.html").read_text()
    assert '"All good, take your time!" (1653ms) ×3' in (night[1] / "REPORT.md").read_text()


def test_real_turns_show_the_owners_answer(night: tuple[Report, Path]) -> None:
    """A dozen of them at most, with their number, conversations and cut; they are no scenario."""
    turns = reply_rows.turns(night[0])
    assert len(turns) == 12 and turns[0].answer == "ya leaving in 10"
    notes = " ".join(reply_rows.turn_notes(night[0]))
    assert "16 incoming turns from 8 of your conversations" in notes
    assert "2,644 answered turns after 2026-08-24" in notes
    assert "Before each, every model was shown the same 6 of your earlier answers." in notes
    assert "you really wrote" in (night[1] / "report.html").read_text()
    assert 'YOU REALLY WROTE: "ya leaving in 10"' in (night[1] / "REPORT.md").read_text()
    assert all(scene.context.startswith(("Friend", "Mom", "Colleague")) for scene in reply_rows.scenes(night[0]))


def test_votes_make_a_matrix(night: tuple[Report, Path]) -> None:
    """The significant preferences with their number of votes; nothing at all without votes."""
    assert vote_rows.notes(night[0])[:2] == ["14 blind votes, 14 of them yours.", "Both bad: 2 of yours."]
    shares = [cell for row in vote_rows.matrix_rows(night[0]) for cell in row[1:]]
    assert "80 % (4 of 5)" in shares and shares.count("–") == 3


def test_a_judge_is_said_to_agree_or_not(night: tuple[Report, Path]) -> None:
    """In how many of the pairs that both saw; a document without it says nothing."""
    report = night[0]
    assert report.comparison is not None
    counted = dataclasses.replace(report.comparison.votes, agreement=Agreement(judge=0.41, n=20, same=13), invalid=3)
    judged = dataclasses.replace(report, comparison=dataclasses.replace(report.comparison, votes=counted))
    notes = vote_rows.notes(judged)
    assert notes[1:3] == ["Both bad: 2 of yours.", "Invalid: 3 of all."]
    assert notes[-1] == "The judge chose as you did in 13 of 20 pairs."
    assert not any("judge" in note for note in vote_rows.notes(report))


def test_changes_since_the_last_run(night: tuple[Report, Path]) -> None:
    """Old and new of each figure, the paired difference with its interval, and prompts that flipped before others."""
    changes = night[0].changes
    assert changes is not None and changes.run == "2026-11-21-overnight"
    measures = {row.figure: row for row in changes.figures if row.model == "qwen3-4b"}
    for name, units in (("instructions", 13), ("own_turns", 7), ("quality", 20)):
        change = measures[name]
        assert change.ci is not None and change.ci[0] > 0 and change.clusters == units
        assert sum(change.ci) / 2 == pytest.approx(change.now - change.before)
    flips = [row.flip for row in changes.prompts]
    assert any(flips) and flips == sorted(flips, reverse=True)
    text = (night[1] / "REPORT.md").read_text()
    assert "now passes every check" in text and "0.77 → 0.84 (+0.07, likely +0.0" in text


def test_the_last_run_is_one_of_the_same_plan_with_a_report(here: Home) -> None:
    """Another plan, a run whose report failed and a run of today's future are no comparison."""
    first = run("2026-11-20-overnight")
    model(first, "a", "A")
    job(first, "report", Status.FAILED)
    other = run("2026-11-20-demo")
    Run.update(plan="demo").where(Run.id == other.id).execute()
    model(other, "a", "A")
    job(other, "report")
    second = run("2026-11-21-overnight")
    model(second, "a", "A")
    job(second, "report")
    assert gather(second.id, here).changes is None
    third = run()
    model(third, "a", "A", latency_ms=500)
    changes = gather(third.id, here).changes
    assert changes is not None and changes.run == second.id and changes.prompts == ()


def test_csv_files_hold_every_reply_and_every_model(night: tuple[Report, Path]) -> None:
    """One line each, with its metrics, seed and real answer."""
    replies = list(csv.DictReader(io.StringIO((night[1] / "replies.csv").read_text())))
    models = list(csv.DictReader(io.StringIO((night[1] / "models.csv").read_text())))
    assert len(replies) == 6 * 55 and len(models) == 6
    turn = next(row for row in replies if row["scenario_id"] == "real-turns")
    assert turn["reference"] == "ya leaving in 10" and turn["meaning"]
    assert models[0]["name"] == "Qwen2.5 1.5B" and models[1]["name"] == "Qwen3 4B" and float(models[1]["quality"]) > 0.7


def test_a_spreadsheet_runs_nothing(here: Home) -> None:
    """A text that begins like a formula gets an apostrophe, a negative figure does not."""
    row = run()
    for key, text in (
        ("a", "=HYPERLINK(1)"),
        ("b", "+1"),
        ("c", "-1"),
        ("d", "@SUM(A1)"),
        ("e", "\tx"),
        ("f", "\x1b[31m=1"),
        ("g", "\uff1d1+1"),
    ):
        model(row, key, text, reply=text, only=("friend-banter",))
    folder, _ = rendered(row, here)
    for name in ("replies.csv", "models.csv"):
        lines = list(csv.DictReader(io.StringIO((folder / name).read_text())))
        assert all(line["name"].startswith("'") for line in lines), name
    assert all(
        line["reply"].startswith("'") for line in csv.DictReader(io.StringIO((folder / "replies.csv").read_text()))
    )


def test_a_spreadsheet_runs_nothing_where_semicolons_separate_cells(here: Home) -> None:
    """Such a locale splits a;=1+1, inside quotes too. A smiley stays as it is."""
    model(run(), "a", "a; =1+1;-1", reply="b;=1+1 ;-) ;\uff1d2", only=("friend-banter",))
    folder, _ = rendered(Run.select().get(), here)
    for name in ("replies.csv", "models.csv"):
        content = (folder / name).read_text()
        cells = [cell for row in csv.reader(io.StringIO(content), delimiter=";") for cell in row]
        assert not any(re.match(r"\s*([=+@\uff1d]|-\d)", cell) for cell in cells), name
        assert all(line.startswith('"') and line.endswith('"') for line in content.splitlines()), name
    assert ";-)" in (folder / "replies.csv").read_text()


def test_hostile_text_stays_text_in_every_part(here: Home) -> None:
    """In real turns, answers, prompts, licences, reasons of gates and of failures, charts and CSV."""
    with db.atomic():
        two_rounds("2026-11-21-overnight", better=-0.08, samples=1, turns=2)
        row = two_rounds(samples=2, turns=4)
        Reply.update(reply=HOSTILE, context=HOSTILE, instruction=HOSTILE, rendered=HOSTILE).execute()
        Reply.update(checks={HOSTILE: False}).execute()
        Reply.update(failure=HOSTILE).where(~Reply.success).execute()
        Reply.update(reply="x" * 10_000).where(Reply.model == "qwen3-4b").execute()
        HeldOutTurn.update(incoming=HOSTILE, answer=HOSTILE).execute()
        for loaded in ModelLoad.select():
            loaded.info |= {"name": f"{loaded.model} {HOSTILE}", "licence": HOSTILE, "revision": HOSTILE}
            loaded.conditions = {HOSTILE: HOSTILE}
            loaded.save()
        LeftOut.update(cause=Cause.TOLD, details={"text": HOSTILE}).execute()
    folder, problems = rendered(row, here)
    assert problems == []
    source = (folder / "report.html").read_text()
    tags = Tags(source)
    assert not {"img", "iframe", "object", "form", "input"} & set(tags.names)
    assert all(link.startswith("#") for link in tags.links)
    assert tags.names.count("script") == tags.names.count("style") == 1
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert "cut here, about 9,400 more characters" in source and "x" * 1000 not in source
    outside = outside_blocks((folder / "REPORT.md").read_text())
    assert "<script" not in outside and "<img" not in outside and "](javascript" not in outside.replace("\\]", "")
    for name in (
        "report.html",
        "REPORT.md",
        "replies.csv",
        "models.csv",
        "memory.svg",
        "latency-quality.svg",
        "timeline.svg",
    ):
        text = (folder / name).read_text()
        assert "\u202e" not in text and "\x1b" not in text, name
        assert not name.endswith(".svg") or "<script" not in text, name


def test_a_page_of_a_large_night_stays_small(here: Home) -> None:
    """Ten samples of every prompt with replies of a thousand characters, forty real turns: under 2 MB."""
    with db.atomic():
        row = two_rounds(samples=10, turns=40)
        for number, reply in enumerate(Reply.select()):
            Reply.update(reply=f"{number} " + "word " * 200).where(Reply.id == reply.id).execute()
    folder, _ = rendered(row, here)
    assert (folder / "report.html").stat().st_size < 2_000_000


def test_an_old_run_without_rounds_and_metrics_still_renders(here: Home) -> None:
    """What was not measured says so, and sections without content are not there."""
    row = run()
    model(row, "a", "A")
    model(row, "b", "B")
    folder, problems = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    assert problems == []
    assert "## Votes" not in text and "## Real turns" not in text and "## What changed" not in text
    assert "not measured" in text and "could not be rendered" not in text + (folder / "report.html").read_text()


def test_how_often_the_readers_of_a_reply_lie_far_apart_is_said_with_the_heat_map(here: Home) -> None:
    """Of successful replies to scenarios; a judge is named where it read one of them."""
    row = two_rounds()
    asked = list(Reply.select().where(Reply.run == row, Reply.scenario_id != REAL_TURNS, Reply.success))
    assert reply_rows.heat_note(gather(row.id, here)) == reply_rows.HEAT_NOTE
    for reply in asked:
        Score.create(reply=reply, metric="reading", value=reply.quality)
    Score.update(value=0.1).where(Score.reply == asked[0], Score.metric == "reading").execute()
    Reply.update(quality=1.0).where(Reply.id == asked[0].id).execute()
    two = reply_rows.heat_note(gather(row.id, here))
    assert two.endswith(f"On 1 of {len(asked):,} replies the checks and the examples lie more than 0.5 of 1 apart.")
    Score.create(reply=asked[1], metric="letters", value=0.0)
    Reply.update(quality=1.0).where(Reply.id == asked[1].id).execute()
    three = reply_rows.heat_note(gather(row.id, here))
    assert f"On 2 of {len(asked):,} replies the checks, the examples and the judge" in three
