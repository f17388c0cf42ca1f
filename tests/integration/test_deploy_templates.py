"""`jarvisctl deploy templates` on files of the shapes that both versions of JARVIS write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Job, Run
from jobs.lib.results.tables import Mining, Template, Verdict
from jobs.lib.reviews import verdicts

ROWS = [
    ("On my way", ["where are you", "are you on the way?", "is Anna with you?"], "automatic"),
    ("Sounds great", ["see you later tonight", "dinner tomorrow?"], "suggest"),
    ("Bro 😭", ["lol"], "phrase"),
]
IDS = {reply: f"00000000-0000-4000-8000-{number:012d}" for number, (reply, _, _) in enumerate(ROWS, start=1)}
#: As JARVIS writes it: every key, indented by two, escaped, without a line end behind it.
OWN = {
    "id": "6d0f3f0e-55aa-4f3e-8b60-0f7c8d9e1a2b",
    "name": "Running late",
    "template_text": "Sorry, 10 min late 😅",
    "trigger_phrases": ["where are you now", "are you here yet"],
    "category": "general",
    "tags": ["mine"],
    "min_group_size": None,
    "max_group_size": 4,
    "enabled": True,
    "created_at": "2026-01-27T09:12:44.120331",
    "updated_at": "2026-02-01T18:00:01.000417",
    "usage_count": 0,
}


def as_jarvis_writes(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"version": 1, "templates": list(entries)}, indent=2).encode("ascii")


@pytest.fixture
def mined(make_run: Callable[..., Run]) -> Run:
    run = make_run("mine", plan="templates")
    job = Job.get(Job.run == run)
    counts = {"frequency": 9, "uses": 5, "people": 4, "examples": []}
    with database.write():
        Mining.create(job=job, run=run, stats={}, config={"matcher": {"name": "m", "fingerprint": "f"}}, curve=[])
        for rank, (reply, triggers, tier) in enumerate(ROWS, start=1):
            row = {"uuid": IDS[reply], "representative": reply, "triggers": triggers, "tier": tier}
            Template.create(job=job, run=run, rank=rank, **row, **counts)
    return run


@pytest.fixture
def jarvis(tmp_path: Path) -> Path:
    folder = tmp_path / "jarvis"
    folder.mkdir()
    return folder


def deploy(home: Home, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(
        cli,
        ["deploy", "templates", "--to", str(folder), *words],
        obj=App(home),
        catch_exceptions=False,
        standalone_mode=False,
    )


def keep(*replies: str) -> None:
    for reply in replies:
        verdicts.decide(IDS[reply], reply, Verdict.KEPT)


def entries(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "custom_templates.json").read_bytes())["templates"]


def texts(folder: Path) -> list[str]:
    return [entry["template_text"] for entry in entries(folder)]


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """JARVIS saves the file after it loaded it."""
    (folder / "custom_templates.json").write_bytes(as_jarvis_writes(*change(entries(folder))))


# ------------------------------------------------------------------------------------------------ what is written


def test_without_a_review_none_is_written_and_the_way_to_review_is_named(mined: Run, home: Home, jarvis: Path) -> None:
    with pytest.raises(JarvisError, match=r"no template was reviewed and kept yet.*jarvisctl review --templates"):
        deploy(home, jarvis)
    assert list(jarvis.iterdir()) == []


def test_the_kept_templates_are_written_in_the_owners_words(mined: Run, home: Home, jarvis: Path) -> None:
    """A rejected one is not, and a phrase, which nothing predicts, is not either."""
    keep("Bro 😭")
    verdicts.decide(IDS["On my way"], "On my way", Verdict.EDITED, "Omw")
    verdicts.decide(IDS["Sounds great"], "Sounds great", Verdict.REJECTED)
    done = deploy(home, jarvis)
    assert texts(jarvis) == ["Omw"]
    assert entries(jarvis)[0]["id"] == IDS["On my way"]
    assert "1 template left out" in done.output


def test_a_trigger_that_names_a_person_is_not_written(mined: Run, home: Home, jarvis: Path) -> None:
    keep("On my way")
    deploy(home, jarvis)
    assert entries(jarvis)[0]["trigger_phrases"] == ["where are you", "are you on the way?"]


def test_a_tier_is_written_unreviewed_without_what_was_rejected(mined: Run, home: Home, jarvis: Path) -> None:
    deploy(home, jarvis, "--tier", "suggest")
    assert [(entry["template_text"], entry["tags"]) for entry in entries(jarvis)] == [
        ("On my way", ["jarvisd", "tier:automatic"]),
        ("Sounds great", ["jarvisd", "tier:suggest"]),
    ]
    verdicts.decide(IDS["On my way"], "On my way", Verdict.REJECTED)
    deploy(home, jarvis, "--tier", "suggest")
    assert texts(jarvis) == ["Sounds great"]
    with pytest.raises(JarvisError, match="none of its 3 templates is of the tier automatic"):
        deploy(home, jarvis, "--tier", "automatic")


def test_the_output_says_that_jarvis_does_not_fire_them(mined: Run, home: Home, jarvis: Path) -> None:
    keep("On my way")
    done = deploy(home, jarvis)
    assert "JARVIS fires only its own templates until its matcher loads this file" in done.output
    assert "--patch` prints the change" in done.output
    assert "restart JARVIS" in done.output


# ------------------------------------------------------------------------------------------------ byte for byte


def test_a_file_of_jarvis_gets_the_new_entries_behind_its_own_byte_for_byte(
    mined: Run, home: Home, jarvis: Path
) -> None:
    path = jarvis / "custom_templates.json"
    before = as_jarvis_writes(OWN)
    path.write_bytes(before)
    keep("On my way")
    shown = deploy(home, jarvis, "--dry-run").output
    assert path.read_bytes() == before
    assert [file.name for file in jarvis.iterdir()] == [path.name]
    assert not (home.var / "deployed-templates.json").exists()
    assert '+      "template_text": "On my way"' in shown
    assert "would write 1 new, 0 changed, 0 removed (nothing is written)." in shown
    deploy(home, jarvis)
    assert path.read_bytes() == as_jarvis_writes(OWN, entries(jarvis)[1])
    assert deploy(home, jarvis).output.startswith(f"{path} is as it should be: nothing to change.")


def test_undo_gives_back_the_very_bytes(mined: Run, home: Home, jarvis: Path) -> None:
    path = jarvis / "custom_templates.json"
    before = b'{"templates":[' + json.dumps(OWN).encode() + b'],\r\n "version": 1}'
    path.write_bytes(before)
    keep("On my way")
    deploy(home, jarvis)
    after = path.read_bytes()
    assert "- On my way" in deploy(home, jarvis, "--undo", "--dry-run").output
    assert path.read_bytes() == after
    deploy(home, jarvis, "--undo")
    assert path.read_bytes() == before
    with pytest.raises(JarvisError, match=r"no deploy into .* is left to undo"):
        deploy(home, jarvis, "--undo")


def test_undo_removes_a_file_that_the_deploy_made(mined: Run, home: Home, jarvis: Path) -> None:
    keep("On my way")
    deploy(home, jarvis)
    deploy(home, jarvis, "--undo")
    assert not (jarvis / "custom_templates.json").exists()


def test_undo_keeps_what_jarvis_changed_since(mined: Run, home: Home, jarvis: Path) -> None:
    """A counter that rose, a template of the owner's that is new: only what the deploy did is taken back."""
    path = jarvis / "custom_templates.json"
    keep("On my way", "Sounds great")
    deploy(home, jarvis)
    verdicts.decide(IDS["On my way"], "On my way", Verdict.EDITED, "Omw")
    verdicts.withdraw(IDS["Sounds great"])
    deploy(home, jarvis)
    assert texts(jarvis) == ["Omw"]
    rewrite(jarvis, lambda present: [present[0] | {"usage_count": 3}, OWN])
    deploy(home, jarvis, "--undo")
    assert [(entry["template_text"], entry["usage_count"]) for entry in entries(jarvis)] == [
        ("On my way", 3),
        (OWN["template_text"], 0),
        ("Sounds great", 0),
    ]
    assert json.loads(path.read_bytes())["templates"][1] == OWN


def test_an_undo_of_nothing_is_one_line(mined: Run, home: Home, jarvis: Path) -> None:
    with pytest.raises(JarvisError, match="no deploy into"):
        deploy(home, jarvis, "--undo")


# ------------------------------------------------------------------------------------------------ later


def test_what_was_deleted_in_jarvis_stays_deleted(mined: Run, home: Home, jarvis: Path) -> None:
    keep("On my way", "Sounds great")
    deploy(home, jarvis)
    rewrite(jarvis, lambda present: [entry for entry in present if entry["template_text"] != "On my way"])
    assert "1 of 2 deployed templates are in" in deploy(home, jarvis, "--check").output
    for _ in range(2):
        assert "1 template deleted in JARVIS" in deploy(home, jarvis).output
        assert texts(jarvis) == ["Sounds great"]
    deploy(home, jarvis, "--include-deleted")
    assert sorted(texts(jarvis)) == ["On my way", "Sounds great"]


def test_a_file_that_jarvis_wrote_from_memory_gets_them_again(mined: Run, home: Home, jarvis: Path) -> None:
    keep("On my way", "Sounds great")
    deploy(home, jarvis)
    rewrite(jarvis, lambda present: [])
    with pytest.raises(JarvisError, match=r"2 of 2 deployed templates are no longer in .*wrote the file from memory"):
        deploy(home, jarvis, "--check")
    deploy(home, jarvis)
    assert len(texts(jarvis)) == 2


def test_a_single_template_that_jarvis_had_loaded_and_the_owner_deleted_stays_deleted(
    mined: Run, home: Home, jarvis: Path
) -> None:
    """A check that finds it in a file that JARVIS wrote says that JARVIS had it."""
    keep("On my way")
    deploy(home, jarvis)
    rewrite(jarvis, lambda present: [present[0] | {"usage_count": 1}])
    assert "JARVIS has used 1 template of this file." in deploy(home, jarvis, "--check").output
    rewrite(jarvis, lambda present: [])
    deploy(home, jarvis)
    assert texts(jarvis) == []


def test_check_tells_whether_they_are_still_there(mined: Run, home: Home, jarvis: Path) -> None:
    with pytest.raises(JarvisError, match="nothing was deployed"):
        deploy(home, jarvis, "--check")
    deploy(home, jarvis, "--tier", "automatic")
    assert deploy(home, jarvis, "--check").output.startswith("All 1 deployed templates are in")
    (jarvis / "custom_templates.json").write_text('{"version": 1, "templates": []}')
    with pytest.raises(JarvisError, match="1 of 1 deployed templates are no longer in") as gone:
        deploy(home, jarvis, "--check")
    assert gone.value.exit_code == 1


def test_the_record_of_an_earlier_version_is_read(mined: Run, home: Home, jarvis: Path) -> None:
    keep("On my way")
    deploy(home, jarvis)
    path = jarvis / "custom_templates.json"
    (home.var / "deployed-templates.json").write_text(json.dumps({str(path): [IDS["On my way"]]}))
    assert deploy(home, jarvis, "--check").output.startswith("All 1 deployed templates are in")
    with pytest.raises(JarvisError, match="is left to undo"):
        deploy(home, jarvis, "--undo")


def test_unused_ones_are_turned_off_only_where_jarvis_counts(mined: Run, home: Home, jarvis: Path) -> None:
    """Without a single use in the whole file JARVIS does not load it, and a zero says nothing."""
    (jarvis / "custom_templates.json").write_bytes(as_jarvis_writes(OWN))
    keep("On my way", "Sounds great")
    deploy(home, jarvis)
    before = (jarvis / "custom_templates.json").read_bytes()
    with pytest.raises(JarvisError, match="has a usage count"):
        deploy(home, jarvis, "--disable-unused")
    assert (jarvis / "custom_templates.json").read_bytes() == before
    rewrite(jarvis, lambda present: [present[0], present[1] | {"usage_count": 2}, present[2]])
    assert "~ Sounds great" in deploy(home, jarvis, "--disable-unused", "--dry-run").output
    deploy(home, jarvis, "--disable-unused")
    assert [entry["enabled"] for entry in entries(jarvis)] == [True, True, False]
    assert "nothing to change" in deploy(home, jarvis).output
    assert "1 of them turned off" in deploy(home, jarvis, "--check").output


def test_a_folder_that_is_not_there(mined: Run, home: Home, tmp_path: Path, monkeypatch: Any) -> None:
    """It is never made: its name may be mistyped. A file in its place is refused."""
    keep("On my way")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(JarvisError, match=r"there is no .*\.jarvis.*python -m jarvis\.setup"):
        CliRunner().invoke(cli, ["deploy", "templates"], obj=App(home), catch_exceptions=False, standalone_mode=False)
    with pytest.raises(UsageError, match=r"there is no folder .*/named\. Correct --to, or make it: mkdir -p .*/named"):
        deploy(home, tmp_path / "named")
    (tmp_path / "named").mkdir()
    assert deploy(home, tmp_path / "named").return_value == 0
    with pytest.raises(UsageError, match="is not a folder"):
        deploy(home, tmp_path / "named" / "custom_templates.json")


def test_with_a_checkout_the_patch_needs_no_folder_of_jarvis(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    matcher = tmp_path / "checkout" / "models" / "templates.py"
    matcher.parent.mkdir(parents=True)
    matcher.write_text("def _load_templates():\n    return _get_minimal_fallback_templates()\n")
    words = ["deploy", "templates", "--patch", "--source", str(tmp_path / "checkout")]
    done = CliRunner().invoke(cli, words, obj=App(home), catch_exceptions=False, standalone_mode=False)
    assert "+    return own + _get_minimal_fallback_templates()" in done.stdout


def test_home_may_stand_behind_the_subverb(mined: Run, home: Home, jarvis: Path) -> None:
    words = ["deploy", "templates", "--to", str(jarvis), "--tier", "suggest", "--home", str(home.root)]
    assert CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False).return_value == 0
    assert len(entries(jarvis)) == 2


def test_escapes_of_a_terminal_are_not_printed(mined: Run, home: Home, jarvis: Path) -> None:
    Template.update(representative="On \x1b[31mmy way").where(Template.uuid == IDS["On my way"]).execute()
    assert "\x1b" not in deploy(home, jarvis, "--tier", "automatic", "--dry-run").output
