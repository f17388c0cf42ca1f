"""JSON schemas of the YAML files, for editors: generated from the models that read them, so that they cannot differ."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from jarvisd import registry
from jarvisd.errors import UsageError

#: What reads each file: the dotted name of a pydantic model, or of a function that makes it; loaded when asked for.
READERS = {
    "settings": "jarvisd.plan.settings:Settings",
    "plan": "jarvisd.plan.plans:model",
    "models": "jobs.lib.models.catalogue:Catalogue",
    "scenarios": "jobs.evaluate.scenarios:ScenarioFile",
    "manual_templates": "jobs.mine.baseline:ManualFile",
}
NAMES = tuple(READERS)


def schema(name: str) -> dict[str, Any]:
    """The schema of a plan, or of NAME.yaml. Raises UsageError for a name that has none."""
    if name not in READERS:
        raise UsageError(f"no schema is called {name!r}", f"There is: {', '.join(NAMES)}.")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **reader(name).model_json_schema()}


def reader(name: str) -> type[BaseModel]:
    """The model that reads a plan, or NAME.yaml."""
    found = registry.load(READERS[name])
    model: type[BaseModel] = found if isinstance(found, type) else found()
    return model


def text(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
