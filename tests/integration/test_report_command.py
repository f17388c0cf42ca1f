"""`jarvisctl report`: prints, names or renders again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jarvisd.cli.common import App
from jarvisd.errors import UsageError
from jarvisd.paths import Home
from jarvisd.store.models import Job, Status
from jobs.report.commands import report
from jobs.report.first_screen.compose import first_screen
from jobs.report.formats import terminal
from jobs.report.gather import gather
from tests.integration.report_nights import home, job, model, run


@pytest.fixture
def here(tmp_path: Path) -> Home:
    made = home(tmp_path)
    row = run()
    model(row, "a", "Model A")
    job(row, "report")
    later = run("2026-11-23-overnight")
    job(later, "command:x", Status.QUEUED)
    job(later, "report", Status.QUEUED)
    return made


def call(here: Home, *words: str) -> Result:
    return CliRunner().invoke(report, list(words), obj=App(here), catch_exceptions=False)


def test_prints_the_newest_finished_report(here: Home) -> None:
    """Files that are gone are rendered again; a run still at work is passed over."""
    result = call(here)
    assert result.exit_code == 0
    assert result.output == (here.run_folder("2026-11-22-overnight") / "REPORT.md").read_text()
    assert "Only one model could be compared: Model A" in result.output


def test_names_the_file(here: Home) -> None:
    """--path is report.html, or REPORT.md when asked for md."""
    folder = here.run_folder("2026-11-22-overnight")
    assert call(here, "--path").output == f"{folder / 'report.html'}\n"
    assert call(here, "2026-11-22", "--path", "--format", "md").output == f"{folder / 'REPORT.md'}\n"


def test_prints_the_gathered_object(here: Home) -> None:
    """--format json is one JSON document."""
    document = json.loads(call(here, "--format", "json").output)
    assert document["run_id"] == "2026-11-22-overnight"
    assert document["comparison"]["models"]["a"]["info"]["name"] == "Model A"


def test_a_written_report_is_printed_as_it_is(here: Home) -> None:
    """What is there is not rendered again."""
    path = here.run_folder("2026-11-22-overnight") / "REPORT.md"
    path.parent.mkdir()
    path.write_text("as it was\n")
    assert call(here).output == "as it was\n"


def test_prints_every_reply_for_a_spreadsheet(here: Home) -> None:
    """--format csv is replies.csv: a header and one line a reply."""
    lines = call(here, "--format", "csv").output.splitlines()
    assert lines[0].startswith('"model","name","scenario_id","prompt","sample","round"')
    assert len(lines) == 14 and lines[1].startswith('"a","Model A",')


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_printed_is_no_file(here: Home, form: str) -> None:
    """--path goes with neither json nor csv."""
    with pytest.raises(UsageError, match=f"{form} is printed"):
        call(here, "--path", "--format", form)


def test_no_report_yet(tmp_path: Path) -> None:
    """Without a finished report that is said in one line."""
    empty = home(tmp_path / "other")
    with pytest.raises(UsageError, match="no report is finished yet"):
        call(empty)


def test_a_page_made_while_the_run_was_open_is_not_the_last_word(tmp_path: Path) -> None:
    """Where no job writes the report, each call renders what the database holds by then."""
    made = home(tmp_path)
    row = run(plan={})
    only = job(row, "command:x", Status.RUNNING)
    assert "The run is not finished yet" in call(made, row.id).output
    Job.update(status=Status.SUCCEEDED).where(Job.id == only).execute()
    assert "1 of 1 jobs succeeded" in (output := call(made, row.id).output)
    assert "not finished" not in output and "[ ]" not in output


def test_a_cancelled_run_does_not_hide_the_report_before_it(here: Home) -> None:
    """Nor a round that was cancelled: a page of an earlier round is written again."""
    later = run("2026-11-24-overnight")
    job(later, "command:x", Status.CANCELLED)
    job(later, "command:y", Status.CANCELLED)
    job(later, "report", Status.CANCELLED)
    assert call(here, "--path").output.endswith("2026-11-22-overnight/report.html\n")
    output = call(here, later.id).output
    assert "Every job was cancelled" in output and "All 2 jobs were cancelled." in output
    assert "Every job did its work" not in output


def test_a_cancelled_run_alone_is_better_than_none(tmp_path: Path) -> None:
    """A run without other jobs does not claim that they did their work."""
    made = home(tmp_path)
    job(run(), "report", Status.CANCELLED)
    output = call(made).output
    assert "A run without jobs" in output and "nothing to do besides this report" in output
    assert "did its work" not in output


def test_help_has_an_example() -> None:
    """--help shows how it is called."""
    assert "jarvisctl report --open" in CliRunner().invoke(report, ["--help"]).output


def test_a_terminal_gets_the_first_screen(here: Home) -> None:
    """What to do with its command, the ranking, and where the page is; no Markdown."""
    data = first_screen(gather("2026-11-22-overnight", here))
    text = terminal.compose(data, here.run_folder("2026-11-22-overnight") / "report.html", lambda part, _: f"<{part}>")
    lines = text.splitlines()
    assert lines[0].startswith("<Overnight> · Sun 22 Nov ")
    assert "1 Model: <No choice of a model>" in lines
    assert [line.split()[:4] for line in lines if line.startswith("Model A ")] == [["Model", "A", "0.80", "0.9"]]
    assert lines[-2].endswith("/2026-11-22-overnight/report.html")
    assert "`jarvisctl report --full` prints all of it here." in lines[-1] and "|" not in text


def test_full_is_what_a_pipe_gets(here: Home) -> None:
    assert call(here, "--full").output == call(here).output
