"""`jarvisctl export templates`: each format is read back by a parser; what must not be written is refused."""

from __future__ import annotations

import csv
import io
import json
import plistlib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jobs.lib.results.tables import Verdict
from jobs.lib.reviews import verdicts
from jobs.verbs.export.commands import FORMATS
from tests import review_rows

REPLIES = ("haha", "On my way there", "=cmd|' /C calc'!A0", 'say "hi", 😂: {name} {{x}}\\', "Idk")
KEPT = {"haha", "On my way there", REPLIES[2], REPLIES[3]}


@pytest.fixture
def reviewed(home: Home) -> Home:
    """Four templates kept, one of them in other words, and one rejected."""
    review_rows.mining(10, REPLIES)
    for number, reply in enumerate(REPLIES, start=1):
        verdict = Verdict.KEPT if reply in KEPT else Verdict.REJECTED
        verdicts.decide(review_rows.template_uuid(number), reply, verdict)
    return home


def export(home: Home, *words: str) -> Result:
    command = ["export", "templates", *words]
    return CliRunner().invoke(cli, command, obj=App(home), catch_exceptions=False, standalone_mode=False)


def exported(home: Home, form: str) -> str:
    return export(home, "--format", form).stdout


def test_json_has_the_keys_of_the_interface(reviewed: Home) -> None:
    rows = json.loads(exported(reviewed, "json"))
    assert {row["reply"] for row in rows} == KEPT
    assert rows[0] == {
        "id": review_rows.template_uuid(1),
        "reply": "haha",
        "triggers": ["what leads to haha?"],
        "reviewed": "kept",
        "uses": 19,
        "shortcut": ";haha",
    }


def test_macos_reads_a_list_of_phrases_with_shortcuts(reviewed: Home) -> None:
    rows = plistlib.loads(exported(reviewed, "macos").encode())
    assert {row["phrase"] for row in rows} == KEPT
    assert all(set(row) == {"phrase", "shortcut"} for row in rows)
    assert {"phrase": "On my way there", "shortcut": ";omwt"} in rows


def test_espanso_reads_matches_without_what_it_would_take_for_a_variable(reviewed: Home) -> None:
    done = export(reviewed, "--format", "espanso")
    matches = yaml.safe_load(done.stdout)["matches"]
    assert {row["replace"] for row in matches} == KEPT - {REPLIES[3]}
    assert all(set(row) == {"trigger", "replace"} for row in matches)
    assert "Left out" in done.stderr


def test_raycast_reads_snippets(reviewed: Home) -> None:
    rows = json.loads(exported(reviewed, "raycast"))
    assert {row["text"] for row in rows} == KEPT - {REPLIES[3]}
    assert all(set(row) == {"name", "text", "keyword"} for row in rows)


def test_csv_holds_no_formula(reviewed: Home) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(reviewed, "csv"))))
    assert {row["reply"].removeprefix("'") for row in rows} == KEPT
    assert not any(row["reply"].startswith("=") for row in rows)


@pytest.mark.parametrize("form", FORMATS)
def test_shortcuts_are_unique_and_the_same_every_time(reviewed: Home, form: str) -> None:
    assert exported(reviewed, form) == exported(reviewed, form)
    shortcuts = [row["shortcut"] for row in json.loads(exported(reviewed, "json"))]
    assert len(set(shortcuts)) == len(shortcuts) == len(KEPT)


def test_a_reworded_template_is_exported_in_the_owners_words(reviewed: Home) -> None:
    verdicts.decide(review_rows.template_uuid(1), "haha", Verdict.EDITED, "ha!")
    assert ("ha!", "edited") in [(row["reply"], row["reviewed"]) for row in json.loads(exported(reviewed, "json"))]


# ------------------------------------------------------------------------------------------------ shortcuts


def own_shortcuts(folder: Path, *rows: tuple[str, str]) -> str:
    file = folder / "own.csv"
    file.write_text("id,shortcut\n" + "".join(f"{template},{shortcut}\n" for template, shortcut in rows))
    return str(file)


def test_the_owners_shortcuts_are_used(reviewed: Home, tmp_path: Path) -> None:
    """Exported as CSV, changed there, and given back; the others keep theirs."""
    file = tmp_path / "templates.csv"
    export(reviewed, "--format", "csv", "-o", str(file))
    file.write_text(file.read_text().replace('";haha"', '"-lol"'))
    rows = {row["reply"]: row["shortcut"] for row in json.loads(export(reviewed, "--shortcuts", str(file)).stdout)}
    assert rows["haha"] == "-lol"
    assert rows["On my way there"] == ";omwt"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(1, ";x"), (2, ";x")], "is of two templates"),
        ([(1, "tomorrow")], "is an ordinary word"),
        ([(1, "Incoming")], "is an ordinary word"),
        ([(1, "x")], "between 2 and 32 characters"),
        ([(1, "two words")], "holds a space"),
    ],
)
def test_a_shortcut_that_collides_or_is_an_ordinary_word_is_refused(
    reviewed: Home, tmp_path: Path, rows: list[tuple[int, str]], why: str
) -> None:
    own = own_shortcuts(tmp_path, *((review_rows.template_uuid(number), shortcut) for number, shortcut in rows))
    target = tmp_path / "out.json"
    with pytest.raises(JarvisError, match=why):
        export(reviewed, "--shortcuts", own, "-o", str(target))
    assert not target.exists()


def test_without_a_prefix_ordinary_words_are_not_taken(reviewed: Home) -> None:
    shortcuts = [row["shortcut"] for row in json.loads(export(reviewed, "--prefix", "").stdout)]
    assert "haha" not in shortcuts  # it is what the owner types
    assert "omwt" in shortcuts


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", r"own\.csv is not CSV in UTF-8"),
        (b"mine\n", r"the first line of .*own\.csv names no column id and no column shortcut"),
        (b"", r"the first line of .*own\.csv names no column id and no column shortcut"),
        (b"a,b\n1,2\n", r"the first line of .*own\.csv names no column id and no column shortcut"),
        (b"id,reply\n1,2\n", r"the first line of .*own\.csv names no column shortcut"),
        (b'id,shortcut\n"x', r"own\.csv is not CSV in UTF-8"),
    ],
)
def test_a_file_of_shortcuts_that_is_not_understood_is_refused(
    reviewed: Home, tmp_path: Path, content: bytes, why: str
) -> None:
    """It is said what its first line lacks."""
    (tmp_path / "own.csv").write_bytes(content)
    with pytest.raises(JarvisError, match=why):
        export(reviewed, "--shortcuts", str(tmp_path / "own.csv"))
    with pytest.raises(JarvisError, match="cannot be read"):
        export(reviewed, "--shortcuts", str(tmp_path / "missing.csv"))


# ------------------------------------------------------------------------------------------------ the file


def test_a_foreign_file_is_never_overwritten_and_an_export_is(reviewed: Home, tmp_path: Path) -> None:
    file = tmp_path / "out.plist"
    file.write_text("mine")
    with pytest.raises(JarvisError, match="is not an export of jarvisd"):
        export(reviewed, "--format", "macos", "-o", str(file))
    assert file.read_text() == "mine"
    file.unlink()
    export(reviewed, "--format", "macos", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    export(reviewed, "--format", "json", "-o", str(file))
    assert json.loads(file.read_text())
    file.write_text(file.read_text() + "\n")
    with pytest.raises(JarvisError, match="as it was written"):
        export(reviewed, "-o", str(file))
    with pytest.raises(JarvisError, match="there is no folder"):
        export(reviewed, "-o", str(tmp_path / "nowhere" / "x.json"))
    with pytest.raises(JarvisError, match="is not an export"):
        export(reviewed, "-o", str(tmp_path))


def test_without_a_kept_template_nothing_is_exported(home: Home, tmp_path: Path) -> None:
    review_rows.mining(10)
    with pytest.raises(JarvisError, match=r"no template was reviewed and kept yet.*review --templates"):
        export(home, "-o", str(tmp_path / "x.json"))
    assert not (tmp_path / "x.json").exists()
