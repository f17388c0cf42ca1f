"""JSON schemas of the YAML files, for editors: generated from the models that read them, so that they cannot differ."""

from __future__ import annotations

import json
from typing import Any

from jarvisd.errors import UsageError

NAMES = ("settings", "plan")


def schema(name: str) -> dict[str, Any]:
    """The schema of settings.yaml or of a plan. Raises UsageError for another name."""
    from jarvisd import plans, settings

    if name not in NAMES:
        raise UsageError(f"no schema is called {name!r}", f"There is: {', '.join(NAMES)}.")
    model = settings.Settings if name == "settings" else plans.model()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def text(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
