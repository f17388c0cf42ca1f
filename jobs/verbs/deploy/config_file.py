"""JARVIS's config.json: one value changes, `model.model_id`, and every other one stays.

JARVIS of January 2026 (config_version 12 and older) reads that key nowhere. From 13 on it decides, and must be an id of
JARVIS's own registry or the absolute folder of a model: with anything else JARVIS has no model.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, JarvisError
from jobs.lib.models import jarvis
from jobs.verbs.deploy import files, undo
from jobs.verbs.deploy.files import Applied, Document, Form

NAME = "config.json"
RECORD = "deployed-model.json"
#: The first and the last `config_version` of which is known what JARVIS does with `model.model_id`.
FIRST_READ, NEWEST = 13, 16
#: Repository -> id of JARVIS's registry.
IDS = {repository: name for name, repository in jarvis.REGISTRY.items()}
#: MB to which JARVIS limits MLX where its config.json says nothing, and what it takes an unknown model for.
MEMORY_LIMIT_MB, ASSUMED_MB = 768, 800


def form(path: Path, expected: str | None = None) -> Form:
    """What the file at `path` must look like; `expected` is its digest where it must still be as previewed."""

    def flaw(document: Document) -> str | None:
        version = document.get("config_version", 0)
        if type(version) is not int:
            return "its config_version is not a number"
        if version > NEWEST:
            raise JarvisError(
                f"{path} is of config_version {version}, and {NEWEST} is the newest that jarvisd knows",
                "jarvisd is older than this JARVIS: update jarvisd. Nothing was changed.",
            )
        return None if isinstance(document.get("model", {}), dict) else 'its "model" is not an object'

    return Form(flaw=flaw, expected=expected)


def read(path: Path) -> Document:
    """config.json as it is. Raises JarvisError for a file that is missing, not understood or newer than known."""
    return files.read(path, form(path)).document


def version(document: Document) -> int:
    """Its config_version; 0 where it names none."""
    return int(document.get("config_version", 0))


def require_effect(path: Path, document: Document) -> None:
    """Raises JarvisError where JARVIS of this version does not read what would be written."""
    if (number := version(document)) < FIRST_READ:
        name = f"config_version {number}" if number else "no config_version"
        raise JarvisError(
            f"{path} has {name}: JARVIS of that time reads model.model_id nowhere, so writing it has no effect",
            f"Update JARVIS (config_version {FIRST_READ} and later reads it), or write it all the same with --force.",
        )


def apply(path: Path, model_id: str, *, dry_run: bool, expected: str | None = None) -> Applied:
    """Write the model into config.json at `path`; see jobs.verbs.deploy.files.apply."""
    return files.apply(path, form(path, expected), lambda document: rewritten(document, model_id), dry_run=dry_run)


def rewritten(document: Document, model_id: str) -> Document:
    """The document with this model."""
    after = copy.deepcopy(document)
    after.setdefault("model", {})["model_id"] = model_id
    return after


def model_of(document: Document) -> str:
    """The model that the file names."""
    return str(document.get("model", {}).get("model_id") or document.get("model_path") or "no model")


def memory_limit_mb(document: Document) -> int:
    """MB to which JARVIS with this file limits MLX."""
    value = document.get("model", {}).get("llm_memory_limit_mb")
    return value if type(value) is int and value > 0 else MEMORY_LIMIT_MB


# --------------------------------------------------------------------------------- record of what was deployed


def remember(home: Home, path: Path, model_id: str, done: Applied) -> None:
    """Keep which model was deployed to `path`, for `missing` and `take_back`."""
    record = {"model": {"model_id": model_id}}
    if done.changed:
        parts = [_model_part(document) for document in (done.before, done.after)]
        record["undo"] = undo.noted(done, *parts)
    elif isinstance(stored := files.deployed(home.var / RECORD, path), dict) and "undo" in stored:
        record["undo"] = stored["undo"]
    files.note_deployed(home.var / RECORD, path, record)


def _model_part(document: Document) -> Document:
    model: Mapping[str, Any] | None = document.get("model")
    if model is None:
        return {}
    return {"model": {"model_id": model["model_id"]} if "model_id" in model else {}}


def take_back(home: Home, path: Path, *, dry_run: bool, expected: str | None = None) -> Applied:
    """Undo the last deploy of a model into `path`. Raises JarvisError where there is none."""
    deploy = undo.last(home, RECORD, path)
    revert = lambda document: undo.reverted(document, deploy.before, deploy.after)  # noqa: E731 - it is one expression
    done = undo.apply(path, form(path, expected), deploy, revert, dry_run=dry_run)
    if not dry_run:
        undo.forget(home, RECORD, path)
    return done


def missing(home: Home, path: Path, document: Document) -> tuple[str, bool] | None:
    """(what was deployed, whether it is no longer there), or None where nothing was deployed to `path` from here."""
    record = files.deployed(home.var / RECORD, path)
    model = record.get("model") if isinstance(record, dict) else None
    if not isinstance(model, dict) or not model.get("model_id"):
        return None
    return str(model["model_id"]), document.get("model", {}).get("model_id") != model["model_id"]
