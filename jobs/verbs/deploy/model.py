"""The winner, or another model, in JARVIS's config.json: two or three values change, every other value stays."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, JarvisError, Run, UsageError, nearest
from jobs.lib.comparison import pipeline
from jobs.lib.comparison.load import plan_section, planned_models
from jobs.lib.models import catalogue as model_catalogue
from jobs.lib.models.catalogue import ModelEntry
from jobs.verbs.deploy import files
from jobs.verbs.deploy.files import Applied, Document

NAME = "config.json"
_RECORD = "deployed-model.json"
VERSION = 6  # the newest `config_version` whose keys are known here

#: Repository -> the id under which JARVIS knows it. Any other repository or path stands in the file as it is.
#: JARVIS's "gemma3-4b" is a build with a vision part, so it is only the id of that very repository.
IDS = {
    "mlx-community/Qwen2.5-0.5B-Instruct-4bit": "qwen-0.5b",
    "mlx-community/Qwen2.5-1.5B-Instruct-4bit": "qwen-1.5b",
    "mlx-community/Qwen2.5-3B-Instruct-4bit": "qwen-3b",
    "mlx-community/Phi-3-mini-4k-instruct-4bit": "phi3-mini",
    "mlx-community/gemma-3-4b-it-4bit": "gemma3-4b",
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The model to deploy."""

    name: str
    source: str  #: its repository, or the absolute path of its folder
    revision: str | None = None  #: the one that was compared, or is pinned here; JARVIS names none
    not_compared: str = ""  #: a sentence where no numbers speak for it
    remarks: tuple[str, ...] = ()  #: what speaks against it, a sentence each

    @property
    def settings(self) -> Document:
        """The keys of config.json that name it. An id that is set wins over `model_path`, so that may stay."""
        if self.source in IDS:
            return {"model": {"model_id": IDS[self.source]}}
        return {"model_path": self.source, "model": {"model_id": self.source}}


# ------------------------------------------------------------------------------------------------- which model


def choose(home: Home, run: Run | None, name: str | None) -> Choice:
    """The model that `name` names in the run or in models.yaml; without a name, the run's winner.

    Raises JarvisError where the run has no winner, UsageError for a name that is unknown or fits several models.
    """
    document = pipeline.of_run(run.id).as_json() if run is not None else {"models": {}, "verdict": {}}
    entries = _entries(run, document)
    if name is None:
        if run is None:
            raise JarvisError("no report has compared models yet", "Name a model: jarvisctl deploy model NAME.")
        key = _winner(run, document)
        if key not in entries:
            raise JarvisError(f"nothing says where {key} came from", "Name its key of models.yaml, if it has one.")
    else:
        key = _named(home, name, entries)
    gates = document["models"].get(key, {}).get("gates") or ()
    remarks = [f"In {run.id} it did not pass: {'; '.join(map(str, gates))}."] if run is not None and gates else []
    return replace(_choice(home, entries[key], remarks), not_compared=_not_compared(run, key, document))


def _not_compared(run: Run | None, key: str, document: Mapping[str, Any]) -> str:
    if key in document["models"]:
        return ""
    return "No report compares it" if run is None else f"{run.id} did not compare it"


def _entries(run: Run | None, document: Mapping[str, Any]) -> dict[str, ModelEntry]:
    """The models of the run by key, as its plan had them."""
    snapshot = run.snapshot if run is not None else None
    known = set(ModelEntry.model_fields)
    entries: dict[str, ModelEntry] = {}
    for entry in planned_models(plan_section(snapshot, "evaluate")):
        info = document["models"].get(entry["key"], {}).get("info", {})
        values = {name: value for name, value in entry.items() if name in known}
        if not values.get("repo") and not values.get("path"):  # a plan that says no more than the key
            values |= {"repo": info["repo"]} if info.get("repo") else {"path": info.get("path") or None}
        try:
            entries[entry["key"]] = ModelEntry.model_validate({"name": info.get("name") or entry["key"]} | values)
        except ValueError:  # a run of an older version, or one that another program wrote
            continue
    return entries


def _winner(run: Run, document: Mapping[str, Any]) -> str:
    verdict = document["verdict"]
    if verdict.get("winner"):
        return str(verdict["winner"])
    names = [f"{key} ({document['models'][key]['info']['name']})" for key in verdict.get("tied") or ()]
    word = "At odds" if verdict.get("conflict") else "Tied"
    between = f"{word}: {', '.join(names)}. " if names else ""
    raise JarvisError(
        f"{run.id} has no winner: {str(verdict.get('why') or '').rstrip('.')}",
        f"{between}Name one: jarvisctl deploy model NAME.",
    )


def _named(home: Home, name: str, entries: dict[str, ModelEntry]) -> str:
    """The key of `entries` that `name` means; an entry of models.yaml is added to them."""
    if name in entries:
        return name
    close = [key for key, entry in entries.items() if name.casefold() in (key.casefold(), entry.name.casefold())]
    if len(close) > 1:
        raise UsageError(f"{name!r} fits {len(close)} models", f"Give the key: {', '.join(close)}.")
    if close:
        return close[0]
    catalogue = {entry.key: entry for entry in model_catalogue.catalogue(home)}
    listed = catalogue.get(name)
    if listed is None:
        keys = [*entries, *(key for key, entry in catalogue.items() if entry.kind == "chat" and key not in entries)]
        raise UsageError(f"no model is called {name!r}", nearest(name, keys))
    if listed.kind != "chat":
        raise UsageError(f"{name} writes no replies: it is a model of the kind {listed.kind}", "Name another one.")
    entries[name] = listed
    return name


def _choice(home: Home, entry: ModelEntry, remarks: Iterable[str]) -> Choice:
    source = entry.repo or os.path.abspath(home.root / Path(entry.path or "").expanduser())  # noqa: PTH100 - a link keeps its name
    missing = model_catalogue.problem(entry, home)
    notes = (*remarks, *((f"{missing}. {model_catalogue.remedy(entry)}",) if missing else ()))
    return Choice(name=entry.name, source=source, revision=entry.revision if entry.repo else None, remarks=notes)


# ---------------------------------------------------------------------------------------------------- the file


def apply(path: Path, choice: Choice, *, no_auto_select: bool, dry_run: bool) -> Applied:
    """Write the choice into config.json at `path`; see jobs.verbs.deploy.files.apply."""
    return files.apply(path, _FORM, lambda document: rewritten(document, choice, no_auto_select), dry_run=dry_run)


def read(path: Path) -> Document:
    """config.json as it is. Raises JarvisError for a file that is missing or not understood."""
    return files.read(path, _FORM).document


def rewritten(document: Document, choice: Choice, no_auto_select: bool) -> Document:
    """The document with the model of the choice, and with `auto_select` off if that is asked for."""
    after = copy.deepcopy(document)
    wanted = choice.settings
    model = after.setdefault("model", {})
    model |= wanted.pop("model")
    if no_auto_select:
        model["auto_select"] = False
    return after | wanted


def _flaw(document: Document) -> str | None:
    version = document.get("config_version", VERSION)
    if type(version) is not int:
        return "its config_version is not a number"
    if version > VERSION:
        return f"it is of version {version}, and {VERSION} is the newest that is known here"
    return None if isinstance(document.get("model", {}), dict) else 'its "model" is not an object'


_FORM = files.Form(flaw=_flaw)


def model_of(document: Document) -> str:
    """What JARVIS would load by this config.json, auto_select aside."""
    return str(document.get("model", {}).get("model_id") or document.get("model_path") or "no model")


def selects_itself(document: Document) -> bool:
    return document.get("model", {}).get("auto_select") is True


# --------------------------------------------------------------------------------- record of what was deployed


def remember(home: Home, path: Path, choice: Choice) -> None:
    """Keep which model was deployed to `path`, for `missing`."""
    files.note_deployed(home.var / _RECORD, path, choice.settings)


def missing(home: Home, path: Path, document: Document) -> tuple[str, bool] | None:
    """(what was deployed, whether it is no longer there), or None where nothing was deployed to `path` from here."""
    wanted = files.deployed(home.var / _RECORD, path)
    if not isinstance(wanted, dict) or not isinstance(wanted.get("model"), dict):
        return None
    flat = [(name, value) for name, value in wanted.items() if name != "model"]
    gone = any(document.get(name) != value for name, value in flat) or any(
        document.get("model", {}).get(name) != value for name, value in wanted["model"].items()
    )
    return model_of(wanted), gone
