"""`report --redacted` shows figures, models and hardware, and no text of a message, a reply or a prompt."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from jarvisd.cli.common import App
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Run
from jobs.lib.results.tables import HeldOutTurn, Mining, Reply, Template, TurnExample
from jobs.report.commands import report
from jobs.report.gather import gather
from jobs.report.redact import CLASSES, MARKS, Redaction
from tests.integration.report_nights import home
from tests.integration.two_round_nights import two_rounds

RUN = "2026-11-22-overnight"


@pytest.fixture
def night(tmp_path: Path) -> Home:
    """A night whose every text of a person or a model holds the word canary."""
    made = home(tmp_path)
    two_rounds()
    with database.write():
        for table, columns in (
            (Reply, ("context", "instruction", "rendered", "reply")),
            (HeldOutTurn, ("incoming", "answer")),
            (TurnExample, ("incoming", "answer")),
            (Template, ("representative",)),
        ):
            for row in table.select():
                for column in columns:
                    setattr(row, column, f"canary {column} {row.id} <b>" if getattr(row, column) else "")
                row.save()
        for template in Template.select():
            template.examples = template.triggers = [f"canary {template.id}", "canarybird"]
            template.save()
        row = Mining.get()
        row.stats = row.stats | {"manual": {"replaced_by": [{"name": "canary", "template": "canary text"}]}}
        row.save()
        run = Run.get()
        run.snapshot = run.snapshot | {"plan": {**run.snapshot["plan"], "title": "x"}}
        run.warnings = [f"{Path.home()}/Library/Messages/chat.db cannot be read"]
        run.save()
    return made


def call(home: Home, *words: str) -> str:
    result = CliRunner().invoke(report, list(words), obj=App(home), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_no_text_of_a_message_or_a_reply_is_left_in_any_form(night: Home) -> None:
    page = Path(call(night, "--redacted", "--path").strip())
    assert page == night.run_folder(RUN) / "redacted" / "report.html"
    forms = [page.read_text(), call(night, "--redacted"), (page.parent / "REPORT.md").read_text()]
    forms += [call(night, "--redacted", "--format", form) for form in ("json", "csv")]
    for text in forms:
        assert "canary" not in text
        assert "#####" in text
        assert str(Path.home()) not in text or str(Path.home()) == "/"
    assert "canary" in call(night, "--format", "json"), "what was searched for is in the report that is not redacted"
    assert not (night.run_folder(RUN) / "report.html").exists(), "the report itself is left as it is"


def test_a_message_that_a_sentence_quotes_is_hidden(night: Home) -> None:
    gathered = gather(RUN, night)
    assert gathered.comparison is not None
    told = "Model A does nothing of what was asked in reply to “Mom: canary” and “say “canary” again”. Keep it."
    verdict = replace(gathered.comparison.verdict, why=told)
    shown = Redaction().report(replace(gathered, comparison=replace(gathered.comparison, verdict=verdict)))
    assert shown.comparison is not None
    why = shown.comparison.verdict.why
    assert "canary" not in why and "say" not in why and "Mom" not in why
    assert why.startswith("Model A does nothing of what was asked in reply to “###")
    assert why.endswith("Keep it.")


def test_figures_models_and_hardware_stay(night: Home) -> None:
    plain, redacted = (json.loads(call(night, *words, "--format", "json")) for words in ((), ("--redacted",)))
    numbers = re.compile(r"\d+\.\d+")
    for part in ("machine", "versions", "design", "timeline"):
        assert redacted[part] == plain[part]
    for key, model in plain["comparison"]["models"].items():
        assert redacted["comparison"]["models"][key]["stats"] == model["stats"]
        assert redacted["comparison"]["models"][key]["info"]["name"] == model["info"]["name"]
    assert redacted["comparison"]["verdict"] == plain["comparison"]["verdict"]
    assert numbers.findall(json.dumps(redacted["templates"]["stats"])) == numbers.findall(
        json.dumps(plain["templates"]["stats"])
    )
    headings = [line for line in call(night).splitlines() if line.startswith("## ")]
    assert headings == [line for line in call(night, "--redacted").splitlines() if line.startswith("## ")]
    assert "Apple M2" in call(night, "--redacted")


def test_the_same_text_has_the_same_marks_and_its_length_is_told_by_class_alone() -> None:
    redaction = Redaction()
    short, again, other = (redaction.text(text) for text in ("see you", "see you", "me too!"))
    assert short == again != other
    assert {redaction.text("x" * n).split()[0] for n in (CLASSES[0] + 1, CLASSES[1])} == {"#" * MARKS[1]}
    assert redaction.text("x" * 5000).startswith("#" * MARKS[-1] + " ")
    assert redaction.text("") == ""
