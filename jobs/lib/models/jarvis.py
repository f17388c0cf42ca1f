"""The model that JARVIS's config.json names, and which model of a plan that is.

A file of January 2026 (config_version 12 and older) names a model of JARVIS's own list, or a repository, in
`model.model_id` and `model_path`. From 13 on `model.model_id` is an id of JARVIS's registry or an absolute folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER, NAME = "~/.jarvis", "config.json"
_MOST_BYTES = 1 << 20

#: Id -> repository, as JARVIS's registry had them in March 2026; its checkout says better.
REGISTRY = {
    "lfm-1.2b": "mlx-community/LFM2.5-1.2B-Instruct-4bit",
    "lfm-1.2b-base": "mlx-community/LFM2.5-1.2B-Base-4bit",
}
#: Id in a config.json -> repository: JARVIS's list of January 2026 beside its registry.
REPOSITORIES = REGISTRY | {
    "qwen-0.5b": "mlx-community/Qwen2.5-0.5B-Instruct-4bit",
    "qwen-1.5b": "mlx-community/Qwen2.5-1.5B-Instruct-4bit",
    "qwen-3b": "mlx-community/Qwen2.5-3B-Instruct-4bit",
    "phi3-mini": "mlx-community/Phi-3-mini-4k-instruct-4bit",
    "gemma3-4b": "mlx-community/gemma-3-4b-it-4bit",
}


def configured(folder: Path) -> str | None:
    """What config.json in JARVIS's folder names as its model; None where there is none that can be read.

    The file is JARVIS's own: whatever is wrong with it is no reason to refuse a night.
    """
    try:
        path = folder / NAME
        document = json.loads(path.read_bytes()) if path.stat().st_size <= _MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    model = document.get("model")
    named = (model.get("model_id") if isinstance(model, dict) else None) or document.get("model_path")
    return named if isinstance(named, str) and named else None


def key_of(named: str, models: Sequence[Mapping[str, Any]]) -> str | None:
    """The key of the model of a plan that JARVIS calls so: by repository, or by its folder; None where none is it."""
    wanted = REPOSITORIES.get(named, named)
    for model in models:
        if wanted in (model.get("repo"), model.get("key")) or _is_folder(wanted, model):
            return str(model["key"])
    return None


def _is_folder(named: str, model: Mapping[str, Any]) -> bool:
    """Whether an absolute folder is that of the model: its own, or a snapshot of its repository in the hub's cache."""
    if not Path(named).is_absolute():
        return False
    folder, path, repo = Path(named), model.get("path"), model.get("repo")
    if isinstance(path, str) and path and folder == Path(path):
        return True
    return isinstance(repo, str) and bool(repo) and f"models--{repo.replace('/', '--')}" in folder.parts
