"""`config edit`: a copy is edited, checked, and takes the place of the file only where it is valid."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import House


@pytest.fixture
def editor(house: House, tmp_path: Path) -> Path:
    """A program that appends a text to the file that it is given; the text is in the file that is returned."""
    text, program = tmp_path / "text", tmp_path / "my editor.py"
    program.write_text(f"import sys\nopen(sys.argv[-1], 'a').write(open({str(text)!r}).read())\n")
    house.environment["VISUAL"] = f"{sys.executable} '{program}' --wait"
    house.environment["EDITOR"] = "/bin/false"
    return text


def test_a_valid_change_takes_the_place_of_the_file(house: House, editor: Path) -> None:
    editor.write_text("\nkeep: 7\n")
    path = house.root / "config" / "settings.yaml"
    assert house.ctl("config", "edit").stdout.startswith(f"{path}: written.")
    assert "keep = 7" in house.ctl("config").stdout
    assert path.stat().st_mode & 0o777 == 0o600
    editor.write_text("")
    assert house.ctl("config", "edit").stdout == f"{path}: nothing was changed.\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.yaml"]


def test_a_wrong_change_is_kept_as_a_draft_and_the_file_stays(house: House, editor: Path) -> None:
    path = house.root / "config" / "plans" / "overnight.yaml"
    editor.write_text("\nuntli: 7\n")
    refused = house.ctl("config", "edit", "overnight", code=1)
    assert "untli: unknown key" in refused.stderr
    draft = house.root / "config" / "drafts" / "overnight.yaml"
    assert f"Your draft is {draft}" in refused.stderr
    assert not path.exists()
    draft.write_text(draft.read_text().replace("untli: 7", "# as shipped"))
    editor.write_text("")
    house.ctl("config", "edit", "overnight")
    assert path.read_text().endswith("\n# as shipped\n")
    assert not draft.exists()
    assert house.enqueue("overnight")


@pytest.mark.parametrize(
    ("name", "visual", "message"),
    [
        ("setings", "true", "no file of the configuration is called 'setings'. Did you mean settings?"),
        ("settings", "/no/such/editor", "the editor /no/such/editor cannot be started: No such file"),
        ("settings", "false", "the editor ended with exit status 1, so nothing was changed"),
        ("settings", "'", "no editor is known"),
    ],
)
def test_what_cannot_be_edited_is_said_in_one_line(house: House, name: str, visual: str, message: str) -> None:
    house.environment["VISUAL"] = visual
    refused = house.ctl("config", "edit", name, code=None)
    assert refused.returncode in (1, 2)
    assert refused.stderr.startswith(f"jarvisctl: {message}")
    assert refused.stderr.count("\n") == 1


def test_a_file_that_is_not_text_is_opened_for_its_owner_to_mend(house: House, editor: Path) -> None:
    path = house.root / "config" / "settings.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"keep: 7 # \xff\n")
    editor.write_text("")
    refused = house.ctl("config", "edit", code=1)
    assert "not text in UTF-8. Save it as UTF-8." in refused.stderr
    assert path.read_bytes() == b"keep: 7 # \xff\n"
    (path.parent / "drafts" / "settings.yaml").write_text("keep: 8\n")
    house.ctl("config", "edit")
    assert path.read_text() == "keep: 8\n"
