"""`jarvisctl vote` at a terminal, and `deploy model`, from outside, with no daemon and no model."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from jarvisd.store import database
from tests.acceptance.conftest import BIN, House
from tests.acceptance.terminal import Terminal
from tests.integration import report_nights

REPLIES = {"a": "Alpha says so", "b": "Beta says so", "c": "Gamma says so"}
OF = {reply: key for key, reply in REPLIES.items()}


@pytest.fixture
def night(house: House) -> House:
    """A home with one reported night of three models that only an ear can tell apart."""
    report_nights.home(house.root)
    models = [{"key": key, "name": f"Model {key.upper()}", "repo": f"org/{key}"} for key in REPLIES]
    row = report_nights.run(plan={"evaluate": {"models": models}})
    for key, reply in REPLIES.items():
        report_nights.model(row, key, f"Model {key.upper()}", reply=reply)
    report_nights.job(row, "report")
    database.db.close()
    return house


def sides(page: str) -> tuple[str, str]:
    """The models whose replies stand at 1 and 2: the test knows whose words they are, the page does not say."""
    replies_of = dict(re.findall(r"^  ([12])  (.+)$", page, flags=re.M))
    return OF[replies_of["1"]], OF[replies_of["2"]]


def ranking(house: House) -> list[str]:
    rows = json.loads(house.ctl("vote", "--json").stdout)["votes"]["ratings"]
    return sorted(rows, key=lambda key: -rows[key]["strength"])


def session(house: House, liked: str, answers: int) -> str:
    """Answer as a person who likes the models in this order; returns what is said at the end."""
    terminal = Terminal(house, "vote")
    for _ in range(answers):
        left, right = sides(terminal.until("\n> "))
        terminal.press("1" if liked.index(left) < liked.index(right) else "2")
    terminal.until("\n> ")
    terminal.press("q")
    end = terminal.until(None)
    assert terminal.close() == 0
    return end


def test_twenty_answers_at_a_terminal_change_the_ranking(night: House) -> None:
    """No Enter is needed; the report holds the ranking afterwards, and the next session goes on behind the last."""
    end = session(night, "cab", 20)
    assert "20 votes stored, 20 in all." in end
    assert "Model C, Model A, Model B" in end
    assert ranking(night) == ["c", "a", "b"]
    page = night.ctl("report").stdout
    strengths = page.partition("Chance that you prefer its reply")[2]
    assert re.findall(r"Model [ABC]", strengths)[:3] == ["Model C", "Model A", "Model B"]
    end = session(night, "bca", 15)
    assert "15 votes stored, 35 in all." in end


def test_keys_typed_ahead_count_and_others_do_not(night: House) -> None:
    """Three answers in one go, an arrow key, a wrong key, Enter, then Ctrl-D."""
    terminal = Terminal(night, "vote")
    terminal.until("\n> ")
    terminal.press("12t")
    for _ in range(3):
        terminal.until("\n> ")
    terminal.press("x")
    terminal.until("q quit: ")
    terminal.press("\x1b[A")
    terminal.until("q quit: ")
    terminal.press("\r\nb\x04")
    assert "4 votes stored, 4 in all." in terminal.until(None)
    assert terminal.close() == 0


def test_an_interrupt_keeps_what_was_answered(night: House) -> None:
    terminal = Terminal(night, "vote")
    terminal.until("\n> ")
    terminal.press("1")
    terminal.until("\n> ")
    terminal.press("\x03")
    end = terminal.until(None)
    assert "Traceback" not in end
    assert "1 vote stored, 1 in all." in end
    assert "Your votes do not separate them yet" in end
    assert terminal.close() == 130
    assert json.loads(night.ctl("vote", "--json").stdout)["votes"]["by_owner"] == 1


def test_lines_work_where_there_is_no_terminal(night: House) -> None:
    done = subprocess.run(
        [BIN / "jarvisctl", "--home", night.root, "vote"],
        input="1\ntie\nboth bad\nskip\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "3 votes stored" in done.stdout
    assert done.stderr == ""
    assert (
        "no replies" in night.ctl("vote", "--stats").stdout or "3 votes of yours" in night.ctl("vote", "--stats").stdout
    )


def test_nothing_to_vote_on_is_one_line(house: House) -> None:
    assert house.ctl("vote", code=2).stderr.count("\n") == 1
    report_nights.home(house.root)
    database.db.close()
    assert "no run has replies to compare yet" in house.ctl("vote", code=1).stderr


def test_a_model_is_written_into_jarvis_and_the_rest_stays(night: House, tmp_path: Path) -> None:
    """A model that JARVIS knows by an id; one that is neither known nor on this disk is refused."""
    path = tmp_path / "jarvis" / "config.json"
    path.parent.mkdir()
    before = (
        '{\n    "config_version": 16,\n    "model_path": "x",\n    "model": {"model_id": "lfm-0.7b"},\n    "y": 1e2}'
    )
    path.write_text(before)
    words = ("deploy", "model", "--to", str(path.parent))
    refused = night.ctl(*words, code=1).stderr
    assert "says to keep the present model" in refused or "is not decided" in refused
    assert all(name in refused for name in ("Model A", "Model B", "Model C"))
    assert refused.count("\n") == 1
    assert "is not on this disk" in night.ctl(*words, "b", code=1).stderr
    registry = tmp_path / "checkout" / "models" / "registry.py"
    registry.parent.mkdir(parents=True)
    registry.write_text('KNOWN = [ModelSpec(id="bee", path="org/b")]\n')
    source = ("--source", str(tmp_path / "checkout"))
    assert '+    "model_id": "bee"' in night.ctl(*words, "b", *source, "--dry-run").stdout
    assert path.read_text() == before
    assert "restart JARVIS" in night.ctl(*words, "b", *source).stdout
    expected = before.replace('"lfm-0.7b"', '"bee"')
    assert list(json.loads(path.read_text()).items()) == list(json.loads(expected).items())
    night.ctl(*words, "--check")
    night.ctl(*words, "--undo")
    assert path.read_text() == before
    assert "no longer names bee" in night.ctl(*words, "--check", code=1).stderr
    night.ctl(*words, "bb", code=2)
    assert "Example:" in night.ctl("deploy", "model", "--help").stdout
    assert {"templates", "model"} <= set(night.ctl("deploy", "--help").stdout.split())
    path.unlink()
    assert night.ctl(*words, "b", code=1).stderr.startswith("jarvisctl: there is no ")


def test_a_part_of_deploy_takes_the_home_too(house: House) -> None:
    for part in ("templates", "model"):
        assert "--home DIR" in house.ctl("deploy", part, "--help").stdout
