"""JSON schemas of the YAML files, for editors: generated from the models that read them, so that they cannot differ."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from jarvisd import registry
from jarvisd.errors import UsageError
from jarvisd.words import nearest

NAMES = tuple(registry.READERS)


def schema(name: str) -> dict[str, Any]:
    """The schema of a plan, or of NAME.yaml. Raises UsageError for a name that has none."""
    if name not in registry.READERS:
        raise UsageError(f"no schema is called {name!r}", nearest(name, NAMES))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **reader(name).model_json_schema()}


def reader(name: str) -> type[BaseModel]:
    """The model that reads a plan, or NAME.yaml."""
    loaded = registry.load(registry.READERS[name])
    model: type[BaseModel] = loaded if isinstance(loaded, type) else loaded()
    return model


def text(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
