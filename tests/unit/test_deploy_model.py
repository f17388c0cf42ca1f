"""A model into JARVIS's config.json: which names are written, which values stay, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jobs.verbs.deploy import files, model
from jobs.verbs.deploy.model import Choice

#: Tabs, \r\n, an escaped umlaut, a number in a form of its own, no newline at the end.
FOUND = (
    '{\r\n\t"config_version": 6,\r\n\t"model_path" : "old/one",\r\n\t"template_similarity_threshold": 7.0e-1,\r\n'
    '\t"model": {"model_id": "qwen-1.5b", "auto_select":true, "temperature": 0.70},\r\n\t"name": "J\\u00fcrgen 😂"}'
)
QWEN = Choice(name="Qwen3 4B", source="mlx-community/Qwen3-4B-Instruct-2507-4bit")
KNOWN = Choice(name="Phi-3-Mini", source="mlx-community/Phi-3-mini-4k-instruct-4bit")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / model.NAME
    made.write_bytes(FOUND.encode())
    return made


def apply(path: Path, choice: Choice = QWEN, *, no_auto_select: bool = False, dry_run: bool = False) -> model.Applied:
    return model.apply(path, choice, no_auto_select=no_auto_select, dry_run=dry_run)


def pairs(text: str) -> Any:
    """Keys, values and their order."""
    return json.loads(text, object_pairs_hook=list)


def values(path: Path) -> Any:
    return pairs(path.read_text("utf-8"))


def test_a_repository_that_jarvis_does_not_know_stands_in_both_places(path: Path) -> None:
    apply(path)
    expected = FOUND.replace('"old/one"', f'"{QWEN.source}"').replace('"qwen-1.5b"', f'"{QWEN.source}"')
    assert values(path) == pairs(expected)


def test_a_repository_that_jarvis_knows_is_written_as_its_id_alone(path: Path) -> None:
    apply(path, KNOWN)
    assert values(path) == pairs(FOUND.replace('"qwen-1.5b"', '"phi3-mini"'))


def test_the_text_build_of_gemma_is_not_what_jarvis_calls_gemma() -> None:
    compared = Choice(name="Gemma 3 4B", source="mlx-community/gemma-3-text-4b-it-4bit")
    assert compared.settings["model"]["model_id"] == compared.source
    build = Choice(name="with vision", source="mlx-community/gemma-3-4b-it-4bit")
    assert build.settings == {"model": {"model_id": "gemma3-4b"}}


def test_auto_select_is_left_alone_unless_it_is_asked_for(path: Path) -> None:
    assert model.selects_itself(apply(path, dry_run=True).after)
    done = apply(path, KNOWN, no_auto_select=True)
    assert not model.selects_itself(done.after)
    expected = FOUND.replace('"qwen-1.5b"', '"phi3-mini"').replace('"auto_select":true', '"auto_select":false')
    assert values(path) == pairs(expected)


def test_keys_that_are_missing_are_put_behind_the_others(tmp_path: Path) -> None:
    path = tmp_path / model.NAME
    path.write_text('{\n    "config_version": 6,\n    "x": []\n}\n')
    apply(path, QWEN, no_auto_select=True)
    assert values(path) == [
        ("config_version", 6),
        ("x", []),
        ("model", [("model_id", QWEN.source), ("auto_select", False)]),
        ("model_path", QWEN.source),
    ]


@pytest.mark.parametrize("content", ["{}", "{ \n }", '{"model":{}}', '{"model_path":"x"}', '\n {"a": {"model": 1}}\n'])
def test_a_sparse_file_is_still_json_with_what_it_had(tmp_path: Path, content: str) -> None:
    path = tmp_path / model.NAME
    path.write_text(content)
    apply(path)
    after = json.loads(path.read_text())
    assert after == json.loads(content) | {"model_path": QWEN.source, "model": {"model_id": QWEN.source}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.booleans())
def test_any_object_keeps_its_values_and_their_order(document: dict[str, Any], escaped: bool) -> None:
    before = json.dumps(document, ensure_ascii=escaped)
    written = files.serialise(document, before.encode("utf-8", "surrogatepass"))
    assert pairs(written.decode()) == pairs(before)


def test_the_mode_is_kept_and_what_it_was_lies_beside_it(path: Path) -> None:
    path.chmod(0o640)
    done = apply(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert done.backup is not None
    assert done.backup.read_bytes() == FOUND.encode()
    assert done.backup.stat().st_mode & 0o777 == 0o600


def test_a_second_deploy_writes_nothing(path: Path) -> None:
    apply(path)
    before = sorted(path.parent.iterdir())
    assert not apply(path).changed
    assert sorted(path.parent.iterdir()) == before


def test_a_dry_run_shows_the_lines_that_change_and_writes_nothing(path: Path) -> None:
    done = apply(path, dry_run=True)
    lines = files.diff(done)
    assert f'+  "model_path": "{QWEN.source}",' in lines
    assert [line for line in lines if line.startswith("- ")] == [
        '-  "model_path": "old/one",',
        '-    "model_id": "qwen-1.5b",',
    ]
    assert path.read_bytes() == FOUND.encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"config_version": 6, "config_version": 6}', "not JSON"),
        (b'{"config_version": NaN}', "not JSON"),
        (b'\xff{"config_version": 6}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"config_version": 7}', "of version 7, and 6 is the newest"),
        (b'{"config_version": "6"}', "config_version is not a number"),
        (b'{"config_version": true}', "config_version is not a number"),
        (b'{"config_version": 6, "model": "qwen"}', '"model" is not an object'),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(tmp_path: Path, raw: bytes, why: str) -> None:
    path = tmp_path / model.NAME
    path.write_bytes(raw)
    with pytest.raises(JarvisError, match=why):
        apply(path)
    assert path.read_bytes() == raw
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    """A config.json with nothing but a model would take JARVIS's own defaults from it."""
    for path in (tmp_path / model.NAME, tmp_path / "nowhere" / model.NAME):
        with pytest.raises(JarvisError, match=r"there is no .*config\.json"):
            apply(path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_within_the_folder_stays_one_and_another_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "jarvis", tmp_path / "elsewhere.json"
    inside.mkdir()
    (inside / "real.json").write_text(FOUND)
    outside.write_text(FOUND)
    (inside / model.NAME).symlink_to("real.json")
    apply(inside / model.NAME)
    assert (inside / model.NAME).is_symlink()
    assert QWEN.source in (inside / "real.json").read_text()
    (inside / model.NAME).unlink()
    (inside / model.NAME).symlink_to(outside)
    with pytest.raises(JarvisError, match="a link to another folder"):
        apply(inside / model.NAME)
    assert outside.read_bytes() == FOUND.encode()


def test_a_model_of_the_catalogue_needs_no_run(tmp_path: Path) -> None:
    choice = model.choose(Home(tmp_path, "--home"), None, "qwen2.5-1.5b")
    assert choice.settings == {"model": {"model_id": "qwen-1.5b"}}
    assert choice.revision
    assert any("not on this disk" in remark for remark in choice.remarks)


def test_a_path_is_written_as_an_absolute_one(tmp_path: Path) -> None:
    choice = model.choose(Home(tmp_path, "--home"), None, "smollm2-135m")
    assert choice.settings["model_path"] == str(tmp_path / "var/cache/models/smollm2-135m")
    assert choice.revision is None


@pytest.mark.parametrize(("name", "why"), [("qwen3-4", "no model is called"), ("minilm", "writes no replies")])
def test_a_name_that_is_no_model_of_replies_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(JarvisError, match=why) as caught:
        model.choose(Home(tmp_path, "--home"), None, name)
    assert caught.value.exit_code == 2


def test_without_a_run_a_name_is_needed(tmp_path: Path) -> None:
    with pytest.raises(JarvisError, match="no report has compared models yet") as caught:
        model.choose(Home(tmp_path, "--home"), None, None)
    assert caught.value.exit_code == 1


def test_what_was_deployed_is_known_later(tmp_path: Path, path: Path) -> None:
    home = Home(tmp_path / "home", "--home")
    assert model.missing(home, path, model.read(path)) is None
    apply(path)
    model.remember(home, path, QWEN)
    assert model.missing(home, path, model.read(path)) == (QWEN.source, False)
    path.write_text(FOUND)
    assert model.missing(home, path, model.read(path)) == (QWEN.source, True)
