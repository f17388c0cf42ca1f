"""Ours into a file of JARVIS's: what is kept, what is replaced, what is refused."""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvisd.errors import JarvisError
from jobs.verbs.deploy import files, templates

NOW = dt.datetime(2026, 11, 22, 7, 30, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(days=1)
OWN: dict[str, Any] = {
    "id": "f0b0c9a2-0000-4000-8000-000000000001",
    "name": "Mine",
    "template_text": "I wrote this",
    "trigger_phrases": ["hello"],
    "category": "x",
    "tags": [],
    "min_group_size": None,
    "max_group_size": 3,
    "enabled": True,
    "created_at": "2026-01-01T00:00:00",
    "updated_at": "2026-01-01T00:00:00",
    "usage_count": 7,
    "a key nobody knows": {"kept": [1, 2.5, "😂"]},
}
FIELDS = {
    *("id", "name", "template_text", "trigger_phrases", "category", "tags", "min_group_size", "max_group_size"),
    *("enabled", "created_at", "updated_at", "usage_count"),
}


def fresh(*replies: str, tier: str = "automatic") -> list[dict[str, Any]]:
    return [templates.entry(f"id of {reply}", reply, [f"about {reply}"], tier) for reply in replies]


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "templates": list(entries), "of JARVIS's own": True}


def test_a_template_has_exactly_the_fields_of_the_format() -> None:
    (made,) = templates.merge(document(), fresh("Omw"), NOW)["templates"]
    assert set(made) == FIELDS
    assert made["tags"] == ["jarvisd", "tier:automatic"]
    assert dt.datetime.fromisoformat(made["created_at"]) == dt.datetime.fromisoformat(made["updated_at"]) == NOW


def test_the_users_own_are_kept_to_the_last_key() -> None:
    before = document(OWN)
    after = templates.merge(before, fresh("Omw"), NOW)
    assert after["templates"][0] == OWN
    assert after["of JARVIS's own"] is True
    assert before == document(OWN)


def test_a_second_deploy_changes_nothing() -> None:
    once = templates.merge(document(OWN), fresh("Omw", "Lol"), NOW)
    assert templates.merge(once, fresh("Omw", "Lol"), LATER) == once


def test_what_is_no_longer_mined_goes_and_the_rest_stays_in_place() -> None:
    once = templates.merge(document(), fresh("Omw", "Lol"), NOW)
    once["templates"].append(OWN)
    after = templates.merge(once, fresh("Idk", "Lol"), LATER)
    assert [difference["template_text"] for difference in after["templates"]] == ["Lol", "I wrote this", "Idk"]
    difference = templates.difference(once, after)
    assert (difference.added, difference.changed, difference.removed) == (["Idk"], [], ["Omw"])


def test_what_jarvis_counted_stays_with_the_reply_also_under_a_new_id() -> None:
    once = templates.merge(document(), fresh("Omw", "Lol"), NOW)
    once["templates"][0] |= {"usage_count": 12, "enabled": False}
    again = fresh("Omw", "Lol")
    again[0]["id"] = "another"
    after = templates.merge(once, again, LATER)["templates"]
    assert after[0] == once["templates"][0] | {"id": "another", "updated_at": LATER.isoformat(timespec="seconds")}
    assert after[1] == once["templates"][1]


def test_a_template_whose_tag_the_user_took_off_is_the_users() -> None:
    once = templates.merge(document(), fresh("Omw"), NOW)
    once["templates"][0] |= {"tags": ["mine now"], "template_text": "On my way, promise"}
    assert templates.merge(once, fresh("Omw"), LATER) == once


def test_unused_deployed_templates_are_turned_off_never_deleted() -> None:
    """The owner's own are left on, used or not."""
    deployed = OWN | {"tags": ["jarvisd"]}
    unused, own_unused = deployed | {"id": "2", "usage_count": 0}, OWN | {"id": "5", "usage_count": 0}
    odd = deployed | {"id": "3", "usage_count": False}
    uncounted = {"id": "4", "enabled": True, "tags": ["jarvisd"]}
    after = templates.without_unused(document(deployed, unused, odd, uncounted, own_unused), NOW)
    assert [entry["enabled"] for entry in after["templates"]] == [True, False, True, True, True]
    assert after["templates"][1] == unused | {"enabled": False, "updated_at": NOW.isoformat(timespec="seconds")}
    assert templates.without_unused(after, LATER) == after


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(), JSON, max_size=6), max_size=4))
def test_any_entries_of_the_users_survive_in_order(entries: list[dict[str, Any]]) -> None:
    before = document(*entries)
    kept = copy.deepcopy([entry for entry in entries if not templates.is_deployed(entry)])
    once = templates.merge(before, fresh("Omw"), NOW)
    assert [entry for entry in once["templates"] if not templates.is_deployed(entry)] == kept
    assert templates.merge(once, fresh("Omw"), LATER) == once
    assert json.loads(files.serialise(once)) == once


# ------------------------------------------------------------------------------------------------------- the file


def add(document: dict[str, Any]) -> dict[str, Any]:
    return templates.merge(document, fresh("Omw"), NOW)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 0, "templates": []}',
        b'{"version": true, "templates": []}',
        b'{"version": 1.0, "templates": []}',
        b'{"templates": []}',
        b'{"version": 1}',
        b'{"version": 1, "templates": {}}',
        b'{"version": 1, "templates": ["x"]}',
        b'{"version": 1, "templates": [{"id": NaN}]}',
        b'{"version": 1, "templates": [{"id": 1, "id": 2}]}',
        b'\xff\xfe{"version": 1, "templates": []}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_not_understood_is_refused_and_left_alone(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / templates.NAME
    path.write_bytes(raw)
    with pytest.raises(JarvisError, match="is not understood"):
        templates.apply(path, add)
    assert path.read_bytes() == raw
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_a_newer_version_is_refused_without_a_word_of_moving_it_away(tmp_path: Path) -> None:
    path = tmp_path / templates.NAME
    raw = b'{"version": 2, "templates": [], "of_later": 1}'
    path.write_bytes(raw)
    with pytest.raises(JarvisError, match="of version 2, and 1 is the newest that jarvisd knows") as error:
        templates.apply(path, add)
    assert "move" not in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == raw


def test_a_link_to_another_folder_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    folder, path = tmp_path / "jarvis", tmp_path / "jarvis" / templates.NAME
    folder.mkdir()
    (tmp_path / "secret.json").write_text('{"version": 1, "templates": []}')
    path.symlink_to(tmp_path / "secret.json")
    with pytest.raises(JarvisError, match="a link to another folder"):
        templates.apply(path, add)
    path.unlink()
    path.mkdir()
    with pytest.raises(JarvisError, match="not a file"):
        templates.apply(path, add)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(JarvisError, match="not a file"):
        templates.apply(path, add)
    assert (tmp_path / "secret.json").read_text() == '{"version": 1, "templates": []}'


def test_a_link_within_the_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_bytes(files.serialise(document(OWN)))
    (tmp_path / templates.NAME).symlink_to("real.json")
    templates.apply(tmp_path / templates.NAME, add)
    assert (tmp_path / templates.NAME).is_symlink()
    assert len(json.loads((tmp_path / "real.json").read_bytes())["templates"]) == 2


def test_the_mode_is_kept_and_the_backup_is_private(tmp_path: Path) -> None:
    path = tmp_path / templates.NAME
    raw = files.serialise(document(OWN))
    path.write_bytes(raw)
    path.chmod(0o640)
    done = templates.apply(path, add)
    assert path.stat().st_mode & 0o777 == 0o640
    assert done.backup is not None
    assert done.backup.name.startswith("custom_templates.json.backup-")
    assert done.backup.stat().st_mode & 0o777 == 0o600
    assert done.backup.read_bytes() == raw


def test_a_new_file_is_private_and_needs_no_backup(tmp_path: Path) -> None:
    done = templates.apply(tmp_path / "new" / templates.NAME, add)
    assert done.backup is None
    assert (tmp_path / "new" / templates.NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_changes_twice_not_even_the_time(tmp_path: Path) -> None:
    path = tmp_path / templates.NAME
    templates.apply(path, add)
    state = path.stat()
    assert not templates.apply(path, add).changed
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (state.st_mtime_ns, state.st_ino)
    assert list(tmp_path.iterdir()) == [path]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert templates.apply(tmp_path / "new" / templates.NAME, add, dry_run=True).changed
    assert list(tmp_path.iterdir()) == []


def test_a_change_while_we_think_is_noticed_and_kept(tmp_path: Path) -> None:
    """JARVIS writes between our reading and our writing: its entry survives."""
    path = tmp_path / templates.NAME
    path.write_bytes(files.serialise(document()))
    seen = []

    def slow(current: dict[str, Any]) -> dict[str, Any]:
        if not seen:
            path.write_bytes(files.serialise(document(OWN)))
        seen.append(current)
        return add(current)

    done = templates.apply(path, slow)
    assert len(seen) == 2
    assert [current["name"] for current in json.loads(path.read_bytes())["templates"]] == ["Mine", "Omw"]
    assert sorted(tmp_path.iterdir()) == sorted([path, done.backup or path])


def test_a_file_that_never_rests_is_left_to_the_other(tmp_path: Path) -> None:
    path = tmp_path / templates.NAME
    path.write_bytes(files.serialise(document()))

    def busy(current: dict[str, Any]) -> dict[str, Any]:
        path.write_bytes(files.serialise(document(*current["templates"], OWN)))
        return add(current)

    with pytest.raises(JarvisError, match="changes while it is being written"):
        templates.apply(path, busy)
    assert list(tmp_path.iterdir()) == [path]
    assert not any(templates.is_deployed(current) for current in json.loads(path.read_bytes())["templates"])


def test_escapes_are_written_as_they_were_found(tmp_path: Path) -> None:
    path = tmp_path / templates.NAME
    for escaped in (True, False):
        path.write_text(json.dumps(document(OWN), ensure_ascii=escaped), encoding="utf-8")
        templates.apply(path, add)
        assert path.read_bytes().isascii() is escaped
    path.write_text('{"version": 1, "templates": [{"name": "half an emoji \\ud83d"}]}')
    templates.apply(path, add)
    assert json.loads(path.read_bytes())["templates"][0]["name"] == "half an emoji \ud83d"
