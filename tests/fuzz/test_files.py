"""YAML files that a person might break: plans, settings, models, scenarios; and JARVIS's JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jarvisd.paths import SHIPPED
from tests.fuzz.conftest import ENDS, TIMES, Judge

SHARED = settings(
    deadline=None,
    max_examples=25 * TIMES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
PLAN = (SHIPPED / "config" / "plans" / "overnight.yaml").read_text()
FILES = {name: (SHIPPED / "config" / f"{name}.yaml").read_text() for name in ("settings", "models", "scenarios")}

#: A plan that reads models.yaml and scenarios.yaml, and checks nothing that takes long.
COMPARED = "evaluate: {models: [qwen3-4b, smollm3-3b]}\nreport: {}\n"

#: JARVIS's files, and what writes each.
DEPLOYED = {"custom_templates.json": ("templates", "--disable-unused"), "config.json": ("model", "qwen3-4b")}

#: Values that no key of ours expects, most of them found by an earlier attack.
ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        10**20,
        1e999,
        float("nan"),
        "",
        "\0",
        "~nobody/x",
        "\ud800",
        "=1+1",
        [],
        {},
        [[]],
        {"a": {"b": 1}},
    ]
)
KEYS = st.sampled_from(
    [
        *("title", "until", "once", "late", "messages", "mine", "evaluate", "report", "command", "models", "rounds"),
        *("run", "cwd", "env", "memory", "timeout", "attempts", "templates", "similarity", "weights", "gates", "x"),
    ]
)
DOCUMENTS = st.recursive(
    st.one_of(ODD, st.text(max_size=20), st.integers(), st.floats()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def broken(draw: st.DrawFn, text: str) -> str:
    """A real file with a passage removed, repeated, or replaced by other characters."""
    start = draw(st.integers(0, len(text) - 1))
    stop = min(len(text), start + draw(st.integers(0, 40)))
    passage = draw(
        st.sampled_from(["", text[start:stop] * 2, "\t", "\0", "{[", "- : -", "&a *a", "!!python/object:x", "\x85"])
    )
    return text[:start] + passage + text[stop:]


def as_yaml(document: Any) -> str:
    try:
        return yaml.safe_dump(document, allow_unicode=True)
    except (UnicodeEncodeError, yaml.YAMLError):
        return repr(document)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


@SHARED
@given(DOCUMENTS.map(as_yaml) | broken(PLAN))
@example("title: 2026-13-45\ncommand: []\n")
@example("until: 2026-99-99\n")
@example("[" * 3000)
@example('title: "\\ud800"\nreport: {}\n')
@example("messages: ~nobody/x\nmine: {}\n")
@example('command:\n  - run: ["true"]\n    cwd: "\\0"\n')
@example("command:\n  - run: ['true']\n    memory_mb: 100000000000000000000\n")
@example("command:\n  - run: ['true']\n    attempts: 100000000000000000000\n    timeout_s: 100000000000000000000\n")
def test_a_plan_works_or_is_refused_in_one_line(judge: Judge, text: str) -> None:
    write(judge.home / "config" / "plans" / "fuzzed.yaml", text)
    assert judge.call("enqueue", "fuzzed", "--again")[0] in ENDS


@SHARED
@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_configuration_file_works_or_is_refused_in_one_line(judge: Judge, name: str, data: st.DataObject) -> None:
    text = data.draw(broken(FILES[name]) | DOCUMENTS.map(as_yaml))
    path = judge.home / "config" / f"{name}.yaml"
    write(path, text)
    write(judge.home / "config" / "plans" / "compared.yaml", COMPARED)
    try:
        assert judge.call(*(("config",) if name == "settings" else ("enqueue", "compared", "--again")))[0] in ENDS
    finally:
        path.unlink()


@SHARED
@given(
    st.lists(ODD.filter(lambda value: value != "\ud800"), max_size=3)
    | st.dictionaries(st.sampled_from(["version", "templates", "model", "config_version"]), ODD, max_size=4)
)
@example({"version": 1, "templates": [{"id": "x", "usage_count": 0, "enabled": True, "weight": 1e999}]})
@example({"version": 1, "templates": 5})
@example({"model": {"model_id": "x", "temperature": 1e999}})
def test_jarviss_files_work_or_are_refused_in_one_line(
    judge: Judge, tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    """A number that is too large would be written as Infinity, which is no JSON."""
    target = tmp_path_factory.mktemp("jarvis")
    before = json.dumps(document).replace("Infinity", "1e999").encode()
    for name, words in DEPLOYED.items():
        (target / name).write_bytes(before)
        assert judge.call("deploy", *words, "--to", str(target))[0] in ENDS
        after = (target / name).read_bytes()
        assert after == before or b"Infinity" not in after


@pytest.mark.parametrize("depth", [150, 900, 100_000])
@pytest.mark.parametrize("name", ["custom_templates.json", "config.json"])
def test_json_that_is_nested_deeply_is_refused_in_one_line(judge: Judge, tmp_path: Path, name: str, depth: int) -> None:
    deep = '{"version": 1, "templates": [], "x": ' + '{"a":' * depth + "1" + "}" * (depth + 1)
    (tmp_path / name).write_text(deep)
    code, stderr = judge.call("deploy", *DEPLOYED[name], "--to", str(tmp_path))
    assert code == 1
    assert "nested" in stderr or "not JSON" in stderr
    assert (tmp_path / name).read_text() == deep


def test_a_model_whose_configuration_is_nested_deeply_is_a_warning(judge: Judge, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    write(judge.home / "config" / "plans" / "compared.yaml", COMPARED)
    code, stderr = judge.call("enqueue", "compared", "--again", "--set", f"evaluate.models=[{tmp_path}]")
    assert code == 0, stderr
    assert "config.json" in stderr
