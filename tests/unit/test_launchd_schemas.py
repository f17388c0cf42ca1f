"""The schemas that editors check with say what the models say: every file we ship passes, every mistake does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from jarvisd.errors import UsageError
from jarvisd.plan import schemas

CONFIG = Path(__file__).resolve().parents[2] / "config"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """As much of JSON Schema as pydantic writes here."""
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    if "anyOf" in schema:
        return any(accepts(one, value, root) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _number(schema, value)
    if kind and not isinstance(value, TYPES[kind]):
        return False
    if kind == "object":
        return _object(schema, value, root)
    if kind == "array":
        return len(value) >= schema.get("minItems", 0) and all(accepts(schema.get("items", {}), v, root) for v in value)
    return re.search(schema.get("pattern", ""), value) is not None if kind == "string" else True


def _number(schema: dict[str, Any], value: Any) -> bool:
    whole = schema["type"] == "integer"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    beyond = value <= schema.get("exclusiveMinimum", value - 1) or value >= schema.get("exclusiveMaximum", value + 1)
    return low <= value <= high and not beyond


def _object(schema: dict[str, Any], value: dict[str, Any], root: dict[str, Any]) -> bool:
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", {})
    if set(schema.get("required", [])) - set(value) or (rest is False and set(value) - set(known)):
        return False
    return all(accepts(known.get(key, rest or {}), inner, root) for key, inner in value.items())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((path.stem, path) for path in sorted(CONFIG.glob("*.yaml"))),
        *(("plan", path) for path in sorted(CONFIG.glob("plans/*.yaml"))),
    ],
    ids=lambda value: getattr(value, "stem", value),
)
def test_what_is_shipped_passes_its_schema_and_what_reads_it(name: str, path: Path) -> None:
    schema, value = schemas.schema(name), yaml.safe_load(path.read_text())
    assert accepts(schema, value, schema)
    assert schemas.reader(name).model_validate(value)


@pytest.mark.parametrize("name", ["models", "scenarios", "manual_templates"])
def test_a_file_that_its_owner_copies_names_its_schema(name: str) -> None:
    first = (CONFIG / f"{name}.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema=schemas/{name}.json"


def test_filled_in_templates_pass_their_schema() -> None:
    """The shipped file holds none."""
    schema = schemas.schema("manual_templates")
    assert accepts(schema, {"templates": [{"name": "way", "reply": "On my way!", "triggers": ["where"]}]}, schema)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("settings", "daemon: sometimes"),
        ("settings", "memory: {margin: 3}"),
        ("settings", "memory: {margin_mb: -3}"),
        ("settings", "power: {on_battery: perhaps}"),
        ("plan", "untill: '07:00'"),
        ("plan", "late: sometimes"),
        ("plan", "mine: {templates: many}"),
        ("plan", "evaluate: {}"),
        ("models", "models: []"),
        ("models", "models: [{key: a, name: A, repo: o/n, license: MIT}]"),
        ("models", "models: [{key: a, name: A, repo: o/n, kind: writer}]"),
        ("models", "models: [{key: a, name: A, repo: just-a-name}]"),
        ("models", "models: [{key: a, repo: o/n}]"),
        ("scenarios", "opening: x"),
        ("scenarios", "opening: x\nscenarios: [{id: a, context: b, prompt: [{instruction: c}]}]"),
        ("scenarios", "opening: x\nscenarios: [{id: a, context: b, prompts: [{instruction: c, says: [d]}]}]"),
        ("scenarios", "opening: x\nmax_words: 0\nscenarios: [{id: a, context: b, prompts: [{instruction: c}]}]"),
        ("manual_templates", "template: []"),
        ("manual_templates", "templates: [{name: a, reply: b, trigger: [c]}]"),
        ("manual_templates", "templates: [{name: a, reply: b, triggers: []}]"),
    ],
)
def test_a_mistake_passes_neither_the_schema_nor_what_reads_the_file(name: str, text: str) -> None:
    schema, value = schemas.schema(name), yaml.safe_load(text)
    assert not accepts(schema, value, schema)
    with pytest.raises(ValidationError):
        schemas.reader(name).model_validate(value)


def test_there_is_no_schema_of_another_name() -> None:
    with pytest.raises(UsageError, match="no schema is called"):
        schemas.schema("model")
