"""A model into config.json of the shapes that both versions of JARVIS write: what changes, stays and is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jobs.verbs.deploy import config_file, files, model
from jobs.verbs.deploy.model import Choice

FOLDER = "/models/qwen3-4b"
#: As JARVIS of January writes it.
JANUARY = {
    "config_version": 6,
    "model_path": "mlx-community/Qwen2.5-1.5B-Instruct-4bit",
    "template_similarity_threshold": 0.7,
    "ui": {"theme": "system", "font_size": 14},
    "model": {"model_id": "qwen-1.5b", "auto_select": True, "temperature": 0.7},
}
#: As JARVIS of March writes it.
MARCH = {
    "config_version": 16,
    "model_path": "mlx-community/LFM2-350M-4bit",
    "model": {
        "model_id": "lfm-0.7b",
        "auto_select": True,
        "temperature": 0.1,
        "top_p": 0.1,
        "llm_memory_limit_mb": 1024,
    },
    "reply_pipeline": {"max_words": 25, "rag": False},
    "name": "Jürgen 😂",
}
#: Tabs, \r\n, an escaped umlaut, a number in a form of its own, no newline at the end.
ODD = (
    '{\r\n\t"config_version": 13,\r\n\t"model_path" : "old/one",\r\n\t"template_similarity_threshold": 7.0e-1,\r\n'
    '\t"model": {"model_id": "lfm-0.7b", "auto_select":true, "temperature": 0.70},\r\n\t"name": "J\\u00fcrgen 😂"}'
)


def as_jarvis_writes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode("ascii")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / config_file.NAME
    made.write_bytes(ODD.encode())
    return made


def apply(path: Path, model_id: str = FOLDER, *, dry_run: bool = False) -> files.Applied:
    return config_file.apply(path, model_id, dry_run=dry_run)


def pairs(text: str) -> Any:
    """Keys, values and their order."""
    return json.loads(text, object_pairs_hook=list)


# ------------------------------------------------------------------------------------------------ the name to write


def test_a_model_of_jarvis_s_registry_is_written_as_its_id() -> None:
    choice = Choice(name="LFM", source="mlx-community/LFM2.5-1.2B-Instruct-4bit")
    assert choice.model_id(config_file.IDS) == "lfm-1.2b"
    assert choice.model_id({"mlx-community/LFM2.5-1.2B-Instruct-4bit": "another"}) == "another"


def test_any_other_model_is_written_as_the_absolute_folder_on_this_disk(tmp_path: Path) -> None:
    choice = Choice(name="Qwen3 4B", source="mlx-community/Qwen3-4B-Instruct-2507-4bit", folder=tmp_path)
    assert choice.model_id(config_file.IDS) == str(tmp_path)
    assert Path(choice.model_id({})).is_absolute()


def test_a_model_that_is_not_on_this_disk_is_refused_with_what_gets_it(tmp_path: Path) -> None:
    choice = model.choose(Home(tmp_path, "--home"), None, "qwen2.5-1.5b")
    assert choice.revision
    with pytest.raises(JarvisError, match=r"not on this disk.*jarvisctl models fetch"):
        choice.model_id(config_file.IDS)


# ------------------------------------------------------------------------------------------------ the file


@pytest.mark.parametrize("document", [MARCH, MARCH | {"config_version": 13}])
def test_one_value_changes_and_every_other_byte_stays(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / config_file.NAME
    before = as_jarvis_writes(document)
    path.write_bytes(before)
    apply(path, dry_run=True)
    assert path.read_bytes() == before
    apply(path)
    assert path.read_bytes() == before.replace(b'"lfm-0.7b"', f'"{FOLDER}"'.encode())


def test_the_values_of_an_odd_file_stay_with_their_order(path: Path) -> None:
    apply(path)
    assert pairs(path.read_text("utf-8")) == pairs(ODD.replace('"lfm-0.7b"', f'"{FOLDER}"'))


def test_keys_that_are_missing_are_put_behind_the_others(tmp_path: Path) -> None:
    path = tmp_path / config_file.NAME
    path.write_text('{\n    "config_version": 16,\n    "x": []\n}\n')
    apply(path)
    assert pairs(path.read_text()) == [("config_version", 16), ("x", []), ("model", [("model_id", FOLDER)])]


@pytest.mark.parametrize("content", ["{}", "{ \n }", '{"model":{}}', '{"model_path":"x"}', '\n {"a": {"model": 1}}\n'])
def test_a_sparse_file_is_still_json_with_what_it_had(tmp_path: Path, content: str) -> None:
    path = tmp_path / config_file.NAME
    path.write_text(content)
    apply(path)
    assert json.loads(path.read_text()) == json.loads(content) | {"model": {"model_id": FOLDER}}


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
    assert done.backup.read_bytes() == ODD.encode()
    assert done.backup.stat().st_mode & 0o777 == 0o600


def test_a_second_deploy_writes_nothing(path: Path) -> None:
    apply(path)
    before = sorted(path.parent.iterdir())
    assert not apply(path).changed
    assert sorted(path.parent.iterdir()) == before


def test_a_dry_run_shows_the_line_that_changes_and_writes_nothing(path: Path) -> None:
    lines = files.diff(apply(path, dry_run=True))
    assert [line for line in lines if line[:2] in ("- ", "+ ")] == [
        '-    "model_id": "lfm-0.7b",',
        f'+    "model_id": "{FOLDER}",',
    ]
    assert path.read_bytes() == ODD.encode()
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
        (b'{"config_version": 17}', "config_version 17, and 16 is the newest.*update jarvisd. Nothing was changed"),
        (b'{"config_version": "6"}', "config_version is not a number"),
        (b'{"config_version": true}', "config_version is not a number"),
        (b'{"config_version": 16, "model": "qwen"}', '"model" is not an object'),
    ],
)
def test_a_file_that_is_newer_or_not_understood_is_left_alone(tmp_path: Path, raw: bytes, why: str) -> None:
    path = tmp_path / config_file.NAME
    path.write_bytes(raw)
    with pytest.raises(JarvisError, match=why) as refused:
        apply(path)
    assert "move it away" not in str(refused.value) or b"17" not in raw
    assert path.read_bytes() == raw
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    """A config.json with nothing but a model would take JARVIS's own defaults from it."""
    for path in (tmp_path / config_file.NAME, tmp_path / "nowhere" / config_file.NAME):
        with pytest.raises(JarvisError, match=r"there is no .*config\.json.*python -m jarvis\.setup"):
            apply(path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_within_the_folder_stays_one_and_another_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "jarvis", tmp_path / "elsewhere.json"
    inside.mkdir()
    (inside / "real.json").write_text(ODD)
    outside.write_text(ODD)
    (inside / config_file.NAME).symlink_to("real.json")
    apply(inside / config_file.NAME)
    assert (inside / config_file.NAME).is_symlink()
    assert FOLDER in (inside / "real.json").read_text()
    (inside / config_file.NAME).unlink()
    (inside / config_file.NAME).symlink_to(outside)
    with pytest.raises(JarvisError, match="a link to another folder"):
        apply(inside / config_file.NAME)
    assert outside.read_bytes() == ODD.encode()


# ------------------------------------------------------------------------------------------------ which model


@pytest.mark.parametrize(("name", "why"), [("qwen3-4", "no model is called"), ("minilm", "writes no replies")])
def test_a_name_that_is_no_model_of_replies_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(JarvisError, match=why) as caught:
        model.choose(Home(tmp_path, "--home"), None, name)
    assert caught.value.exit_code == 2


def test_without_a_run_a_name_is_needed(tmp_path: Path) -> None:
    with pytest.raises(JarvisError, match="no report has compared models yet") as caught:
        model.choose(Home(tmp_path, "--home"), None, None)
    assert caught.value.exit_code == 1


# ------------------------------------------------------------------------------------------------ the verb


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one model on disk: `tiny`."""
    home = Home(tmp_path / "home", "--home")
    (home.root / "config").mkdir(parents=True)
    (home.root / "tiny").mkdir()
    (home.root / "tiny" / "config.json").write_text('{"model_type": "llama"}')
    (home.root / "tiny" / "tokenizer.json").write_text("{}")
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (home.root / "tiny" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    (home.root / "config" / "models.yaml").write_text(
        "models:\n- {key: tiny, name: Tiny, path: tiny, memory_mb: 2600}\n"
    )
    return home


def deploy(home: Home, path: Path, *words: str) -> Result:
    command = ["deploy", "model", "--to", str(path.parent), *words]
    return CliRunner().invoke(cli, command, obj=App(home), catch_exceptions=False, standalone_mode=False)


def written(path: Path, document: dict[str, Any]) -> bytes:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(as_jarvis_writes(document))
    return path.read_bytes()


def test_jarvis_of_march_gets_the_folder_with_a_word_on_its_memory(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "jarvis" / config_file.NAME
    before = written(path, MARCH)
    assert '+    "model_id": ' in deploy(home, path, "tiny", "--dry-run").output
    assert path.read_bytes() == before
    done = deploy(home, path, "tiny")
    folder = str(home.root / "tiny").encode()
    assert path.read_bytes() == before.replace(b'"lfm-0.7b"', b'"' + folder + b'"')
    assert "limits MLX to 1024 MB" in done.output
    assert "Tiny needs about 2600 MB" in done.output
    assert "auto_select" not in done.output
    assert deploy(home, path, "--check").output == f"{path} names {folder.decode()}.\n"
    assert deploy(home, path, "--undo", "--dry-run").return_value == 0
    deploy(home, path, "--undo")
    assert path.read_bytes() == before
    with pytest.raises(JarvisError, match=r"no deploy into .* is left to undo"):
        deploy(home, path, "--undo")


def test_an_undo_keeps_what_jarvis_changed_since(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "jarvis" / config_file.NAME
    written(path, MARCH)
    deploy(home, path, "tiny")
    changed = json.loads(path.read_bytes()) | {"reply_pipeline": {"max_words": 9}}
    written(path, changed)
    deploy(home, path, "--undo")
    assert json.loads(path.read_bytes()) == MARCH | {"reply_pipeline": {"max_words": 9}}
    deploy(home, path, "tiny")
    other = json.loads(path.read_bytes())
    other["model"]["model_id"] = "lfm-350m"
    before = written(path, other)
    assert "nothing to undo" in deploy(home, path, "--undo").output
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [6, 12, None])
def test_jarvis_of_january_is_not_written_without_force(home: Home, tmp_path: Path, version: int | None) -> None:
    """It reads the key nowhere; with --force the folder is written, which a later JARVIS understands, too."""
    path = tmp_path / "jarvis" / config_file.NAME
    before = written(path, {key: value for key, value in (JANUARY | {"config_version": version}).items() if value})
    for words in (("tiny",), ("tiny", "--dry-run")):
        with pytest.raises(JarvisError, match=r"reads model\.model_id nowhere.*--force"):
            deploy(home, path, *words)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [config_file.NAME]
    assert "does not read it" in deploy(home, path, "tiny", "--force").output
    assert path.read_bytes() == before.replace(b'"qwen-1.5b"', f'"{home.root / "tiny"}"'.encode())
    assert "does not read it" in deploy(home, path, "--check").output


def test_a_newer_jarvis_is_refused_with_force_too(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "jarvis" / config_file.NAME
    before = written(path, MARCH | {"config_version": 17})
    for words in (("tiny",), ("tiny", "--force"), ("--check",)):
        with pytest.raises(JarvisError, match="jarvisd is older than this JARVIS: update jarvisd"):
            deploy(home, path, *words)
    assert path.read_bytes() == before
