"""`jarvisctl review` at a terminal, from outside: each answer is kept at once, and everything follows the answers."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store import database, migrations
from tests import review_rows
from tests.acceptance.conftest import BIN, House
from tests.acceptance.terminal import Terminal
from tests.integration import report_nights


@pytest.fixture
def mined(house: House) -> House:
    """A home whose newest run has held-out drafts."""
    migrations.migrate(Home(house.root, "--home"))
    review_rows.mining(2000)
    database.db.close()
    return house


@pytest.fixture
def reported(house: House) -> House:
    """The same with a report that is written."""
    migrations.migrate(Home(house.root, "--home"))
    made = review_rows.mining(2000, total_messages=300)
    report_nights.job(made.run, "report")
    database.db.close()
    return house


def rows(house: House, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(house.root / "var" / "jarvis.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def known(house: House) -> dict[str, object]:
    return json.loads(house.ctl("review", "--json").stdout)["would_answer"]


def answered(house: House) -> int:
    return int(rows(house, "SELECT count(*) FROM draft_review")[0][0])


def draft(page: str) -> str:
    return re.findall(r"^  draft  (.+)$", page, flags=re.M)[-1]


def would_send(text: str) -> bool:
    return text != "Idk"


def review(terminal: Terminal, cards: int) -> str:
    """Answer as an owner who never sends "Idk"; returns all that the screen showed."""
    seen = ""
    for _ in range(cards):
        page = terminal.until("\n> ")
        seen += page
        terminal.press("y" if would_send(draft(page)) else "n")
    return seen


def test_sixty_cards_at_a_terminal_certify_levels(mined: House) -> None:
    """The real answer is folded, no Enter is needed, and after 30 and 60 the screen says what is known."""
    terminal = Terminal(mined, "review")
    seen = review(terminal, 60)
    assert "what I really said" not in seen
    assert re.search(r"would send \d+ of 30 in the most confident 2 %: at least \d+ %", seen)
    last = terminal.until("\n> ")
    assert re.search(r"would send \d+ of 50 in the most confident 2 %: at least \d+ %", last)
    terminal.press("q")
    end = terminal.until(None)
    assert terminal.close() == 0
    assert "60 answers stored." in end
    document = known(mined)
    assert document["reviewed"] == 60
    assert [level["level"] for level in document["levels"]] == ["automatic", "suggest"]
    assert document["levels"][1]["confidence"] is not None
    assert document["levels"][1]["n"] >= 25


def test_everything_follows_the_answers(reported: House, tmp_path: Path) -> None:
    """Sixty cards and the verdicts on templates change templates.json, the report, the export and what is deployed."""
    terminal = Terminal(reported, "review")
    review(terminal, 60)
    terminal.until("\n> ")
    terminal.press("q")
    assert "The report: " in terminal.until(None)
    assert terminal.close() == 0
    terminal = Terminal(reported, "review", "--templates")
    for key in "yynyy":
        terminal.until("\n> ")
        terminal.press(key)
    terminal.until(None)
    assert terminal.close() == 0
    folder = reported.root / "var" / "results" / "run-1"
    document = json.loads((folder / "templates.json").read_text())
    assert document["stats"]["would_answer"] == known(reported)
    assert [row["reviewed"] for row in document["templates"]] == ["kept", "kept", "rejected", "kept", "kept"]
    report = (folder / "REPORT.md").read_text()
    assert "### What could be answered" in report
    assert re.search(r"\| \d+ of \d+ \|", report)
    exported = json.loads(reported.ctl("export", "templates").stdout)
    assert {row["reply"] for row in exported} == {"haha", "On my way", "thanks!", "Idk"}
    (tmp_path / "jarvis").mkdir()
    reported.ctl("deploy", "templates", "--to", str(tmp_path / "jarvis"))
    deployed = json.loads((tmp_path / "jarvis" / "custom_templates.json").read_text())["templates"]
    assert {entry["template_text"] for entry in deployed} == {row["reply"] for row in exported}


def test_a_killed_review_loses_at_most_the_card_at_hand(mined: House) -> None:
    terminal = Terminal(mined, "review")
    review(terminal, 9)
    terminal.until("\n> ")
    os.kill(terminal.process.pid, signal.SIGKILL)
    terminal.close()
    assert answered(mined) == 9
    again = Terminal(mined, "review")
    assert "\n10 of 100, most confident 2 %\n" in again.until("\n> ")
    again.press("q")
    again.until(None)
    assert again.close() == 0


def test_undo_edit_never_and_the_folded_answer(mined: House) -> None:
    terminal = Terminal(mined, "review")
    first = terminal.until("\n> ")
    terminal.press("w")
    assert "what I really said" in terminal.until("\n> ")
    terminal.press("s")
    terminal.until("\n> ")
    terminal.press("u")
    assert draft(terminal.until("\n> ")) == draft(first)
    terminal.press("e")
    terminal.until(": ")
    terminal.press("my number is 555 123 4567\n")
    assert "cannot be a template (phone number)" in terminal.until("\n> ")
    terminal.press("e")
    terminal.until(": ")
    terminal.press("in my own words\n")
    terminal.until("\n> ")
    terminal.press("xs")
    terminal.until("\n> ")
    terminal.press("\x03")
    terminal.until(None)
    assert terminal.close() == 130
    assert rows(mined, "SELECT answer FROM draft_review ORDER BY id") == [("edit",), ("never",)]
    assert rows(mined, "SELECT reply, verdict, edited FROM template_review") == [
        (draft(first), "edited", "in my own words")
    ]


def test_templates_are_kept_rejected_and_edited_one_by_one(mined: House) -> None:
    terminal = Terminal(mined, "review", "--templates")
    page = terminal.until("\n> ")
    assert "1 of 5: 19 uses, 4 people" in page
    assert "what leads to haha?" in page
    terminal.press("y")
    terminal.until("\n> ")
    terminal.press("n")
    terminal.until("\n> ")
    terminal.press("e")
    terminal.until(": ")
    terminal.press("Sounds great!\n")
    terminal.until("\n> ")
    terminal.press("s")
    terminal.until("\n> ")
    terminal.press("q")
    assert "3 verdicts stored." in terminal.until(None)
    assert terminal.close() == 0
    assert rows(mined, "SELECT reply, verdict, edited FROM template_review ORDER BY id") == [
        ("haha", "kept", None),
        ("On my way", "rejected", None),
        ("Sounds good", "edited", "Sounds great!"),
    ]
    assert "2 templates kept, 1 rejected." in mined.ctl("review", "--stats").stdout


def test_lines_work_where_there_is_no_terminal(mined: House) -> None:
    done = subprocess.run(
        [BIN / "jarvisctl", "--home", mined.root, "review"],
        input="y\nn\nedit\nother words\nnever\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "4 answers stored." in done.stdout
    assert done.stderr == ""


def test_what_cannot_be_reviewed_is_one_line_and_nothing_is_written(house: House) -> None:
    """No run; a run without held-out turns; a run that mined nothing; an unknown run."""
    assert house.ctl("review", code=2).stderr.count("\n") == 1
    migrations.migrate(Home(house.root, "--home"))
    review_rows.mining(0)
    database.db.close()
    done = house.ctl("review", code=1)
    assert "has no held-out turns to review. Mine again" in done.stderr
    assert done.stderr.count("\n") == 1
    assert house.ctl("review", "nothing", code=2).stderr.count("\n") == 1
    assert answered(house) == 0
    assert "0 templates kept, 0 rejected." in house.ctl("review", "--stats").stdout


def test_a_history_without_drafts_says_why(house: House) -> None:
    migrations.migrate(Home(house.root, "--home"))
    review_rows.mining(50, drafts=False)
    database.db.close()
    assert "drafts on none of them: too few of your replies repeat" in house.ctl("review").stdout
