"""`jarvisctl score`, from outside: JSON lines in, values out, and what is said of a line that is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.evaluate import commands
from jobs.evaluate.reader import LEAST_EXAMPLES
from tests.acceptance.conftest import until
from tests.tiny_embedder import make_transformer

BIN = Path(sys.executable).parent
GRADED = Path(__file__).parents[1] / "fixtures" / "graded_replies.jsonl"
LATE = {"scenario": "running-late", "instruction": "Say no worries"}


def score(home: Path, *words: str, text: str | bytes = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [BIN / "jarvisctl", "score", *words],
        input=data,
        capture_output=True,
        timeout=300,
        cwd=home,
        env=os.environ | {"JARVISD_HOME": str(home), "HF_HOME": str(home / "hub")},
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err
    assert done.returncode == code, (out, err)
    return subprocess.CompletedProcess(words, done.returncode, out, err)


def line(**values: Any) -> str:
    return json.dumps(LATE | values) + "\n"


def without_examples(folder: Path) -> tuple[str, str]:
    """Options that name scenarios without examples, with the prompt of `line`: nothing is learned, which takes time."""
    check = {"calm": {"says": ["worries|prob"]}}
    prompt = {"instruction": LATE["instruction"], "checks": check}
    scenario = {"id": LATE["scenario"], "context": "Ann: Late, sorry!", "prompts": [prompt]}
    (folder / "quick.yaml").write_text(json.dumps({"opening": "Help.", "scenarios": [scenario]}))
    return "--scenarios", "quick.yaml"


def test_one_result_per_line_in_their_order(tmp_path: Path) -> None:
    replies = ["No worries!", "fuck off", "", "No worries, take ur time 😊", "On my way"]
    done = score(tmp_path, "--json", text="".join(line(reply=reply) for reply in replies))
    document = json.loads(done.stdout)
    good, rude, empty, kind, mistaken = document["replies"]
    assert {(row["scenario"], row["instruction"]) for row in document["replies"]} == {tuple(LATE.values())}
    assert min(good["score"], kind["score"]) > 0.6 > 0.3 > mistaken["score"]
    assert (rude["score"], rude["failure"], rude["checks"]["no abuse"]) == (0, None, False)
    assert (empty["score"], empty["failure"]) == (0, "empty")
    assert set(good) >= {"scenario", "instruction", "score", "checks", "failure"}
    assert all(isinstance(passed, bool) for passed in good["checks"].values())
    assert document["encoder"] is None


def test_a_file_is_read_as_well_as_standard_input_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text("\ufeff" + line(reply="No prob") + "\n\n" + line(reply="ok\ud83d"), "utf-8")
    quick = without_examples(tmp_path)
    named = json.loads(score(tmp_path, "replies.jsonl", "--json", *quick).stdout)
    piped = json.loads(score(tmp_path, "--json", *quick, text=(tmp_path / "replies.jsonl").read_bytes()).stdout)
    assert len(named["replies"]) == 2
    assert named == piped


def test_hostile_texts_of_a_scenario_file_are_escaped_in_json(tmp_path: Path) -> None:
    """Its instructions and the names of its checks come from whoever wrote the file."""
    hostile = "Say yes \x1b[2J\u202eevil\u2066"
    prompt = {"instruction": hostile, "checks": {hostile: {"says": ["yes"]}}}
    scenario = {"id": "one", "context": "Ann: Hi?", "prompts": [prompt]}
    sheet = {"opening": "Help.", "turn_instruction": "As I would", "scenarios": [scenario]}
    (tmp_path / "mine.yaml").write_text(json.dumps(sheet))
    text = json.dumps({"scenario": "one", "instruction": hostile, "reply": "yes"})
    output = score(tmp_path, "--json", "--scenarios", "mine.yaml", text=text).stdout
    assert output.rstrip("\n").isascii() and output.rstrip("\n").isprintable()
    (row,) = json.loads(output)["replies"]
    assert row["instruction"] == hostile and row["checks"][hostile] is True


def test_nothing_in_gives_an_empty_list(tmp_path: Path) -> None:
    assert json.loads(score(tmp_path, "--json").stdout) == {"replies": [], "encoder": None}


def test_people_read_a_table_that_says_what_is_missing_in_a_reply(tmp_path: Path) -> None:
    done = score(tmp_path, *without_examples(tmp_path), text=line(reply="No worries!\nHow can I help you today?"))
    assert "no assistant's voice" in done.stdout
    assert "No embedder is on this disk" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(reply="ok") + "nonsense\n", "line 2: it is not JSON"),
        (line(reply="ok") + "\n[1]\n", "line 3: it is not a JSON object"),
        (line(), "line 1: reply is missing"),
        (line(reply=7), "line 1: reply is missing or not a text"),
        (line(reply="ok", scenario="nowhere"), "line 1: no scenario is called 'nowhere'"),
        (line(reply="ok", instruction="Sing"), "line 1: running-late has no instruction 'Sing'"),
        (b'{"scenario": "\xff"}', "line 1 is not UTF-8"),
        (line(reply="ok") + "[" * 100_000, "line 2: it is not JSON"),
    ],
)
def test_a_bad_line_is_one_clear_error_with_its_number(tmp_path: Path, text: str | bytes, message: str) -> None:
    done = score(tmp_path, "--json", text=text, code=2)
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "nowhere.jsonl cannot be read" in score(tmp_path, "nowhere.jsonl", code=2).stderr


def test_a_cut_reply_says_so_with_its_finish_reason(tmp_path: Path) -> None:
    quick = without_examples(tmp_path)
    done = score(tmp_path, "--json", *quick, text=line(reply="No worries, take your", finish_reason="length"))
    assert json.loads(done.stdout)["replies"][0]["failure"] == "truncated"


def test_own_scenarios_can_be_named(tmp_path: Path) -> None:
    """A prompt without examples is judged by its checks alone."""
    (tmp_path / "own.yaml").write_text(
        "opening: Help.\nscenarios:\n  - id: a\n    context: 'A: hi'\n    prompts:\n"
        "      - instruction: Say hi\n        checks: {greets: {says: ['\\bhi\\b']}}\n"
    )
    rows = [{"scenario": "a", "instruction": "Say hi", "reply": reply} for reply in ("hi there", "bye")]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    replies = json.loads(score(tmp_path, "--scenarios", "own.yaml", "--json", text=text).stdout)["replies"]
    assert [row["score"] for row in replies] == [1, 0]
    assert [row["examples_score"] for row in replies] == [None, None]


def test_an_embedder_on_this_disk_is_used_and_named(tmp_path: Path) -> None:
    """The second call embeds nothing anew and says the same."""
    make_transformer(tmp_path / "embedder", "bert")
    (tmp_path / "config").mkdir()
    entry = "models:\n  - {key: minilm, kind: embedder, name: Tiny, path: embedder}\n"
    (tmp_path / "config" / "models.yaml").write_text(entry)
    good, bad = ([f"{word} {n}" for n in range(LEAST_EXAMPLES)] for word in ("no worries", "see you"))
    prompt = {"instruction": LATE["instruction"], "examples": {"good": good, "bad": bad}}
    scenario = {"id": LATE["scenario"], "context": "Ann: Late, sorry!", "prompts": [prompt]}
    (tmp_path / "few.yaml").write_text(json.dumps({"opening": "Help.", "scenarios": [scenario]}))
    text = "".join(line(reply=reply) for reply in ("No worries!", "see you soon"))
    words = ("--scenarios", "few.yaml", "--json")
    first, second = (json.loads(score(tmp_path, *words, text=text).stdout) for _ in range(2))
    assert first["encoder"] == "Tiny"
    assert None not in [row["examples_score"] for row in first["replies"]]
    for before, after in zip(first["replies"], second["replies"], strict=True):
        assert before["score"] == pytest.approx(after["score"], abs=0.01)


def test_a_slow_start_says_in_one_line_what_takes_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is a buffer of the test: that of pytest loses what another thread writes while it is read."""
    monkeypatch.setattr(commands, "_PATIENCE_S", 0.02)
    with contextlib.redirect_stderr(io.StringIO()) as told, commands._told_if_slow(None):
        until(told.getvalue, what="the line is there")
    assert told.getvalue() == "Learning from the examples of the scenarios.\n"


def test_a_quick_one_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_PATIENCE_S", 60.0)
    with commands._told_if_slow(None):
        pass
    assert capsys.readouterr().err == ""
