"""Which model to write into JARVIS's config.json: the one that a run says to switch to, or another one by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, JarvisError, Run, UsageError, nearest
from jobs.lib.comparison import pipeline
from jobs.lib.comparison.action import Action
from jobs.lib.comparison.load import plan_section, planned_models
from jobs.lib.models import catalogue as model_catalogue
from jobs.lib.models.catalogue import ModelEntry


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The model to deploy."""

    name: str
    source: str  #: its repository, or the absolute path of its folder
    folder: Path | None = None  #: its folder on this disk; None where it is not there
    missing: tuple[str, str] = ("", "")  #: why it cannot be used from this disk, and what gets it
    needs_mb: int = 0  #: memory of the loaded model; 0 where it is not known
    revision: str | None = None  #: the one that was compared, or is pinned here
    not_compared: str = ""  #: a sentence where no numbers speak for it
    remarks: tuple[str, ...] = ()  #: what speaks against it, a sentence each

    def model_id(self, known: Mapping[str, str]) -> str:
        """What JARVIS calls it: an id of its registry, `known` by repository, else the folder on this disk.

        Raises JarvisError where it is neither.
        """
        if self.source in known:
            return known[self.source]
        if self.folder is None:
            raise JarvisError(*self.missing)
        return str(self.folder)


# ------------------------------------------------------------------------------------------------- which model


def choose(home: Home, run: Run | None, name: str | None) -> Choice:
    """The model that `name` names in the run or in models.yaml; without a name, the one that the run says to switch to.

    Raises JarvisError where the run says to keep the present one or is not decided, and UsageError for a name that is
    unknown or fits several models.
    """
    document = pipeline.of_run(run.id).as_json() if run is not None else {"models": {}, "verdict": {}}
    entries = _entries(run, document)
    if name is None:
        if run is None:
            raise JarvisError("no report has compared models yet", "Name a model: jarvisctl deploy model NAME.")
        key = _advised(run, document)
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


def _advised(run: Run, document: Mapping[str, Any]) -> str:
    """The key of the model that the run says to switch to. Raises JarvisError with what it says where it does not."""
    verdict, names = document["verdict"], {key: model["info"]["name"] for key, model in document["models"].items()}
    if verdict.get("action") == Action.SWITCH and not verdict.get("conflict"):
        return str(verdict["pick"])
    keeps = verdict.get("action") == Action.KEEP
    says = "says to keep the present model" if keeps else "is not decided"
    guess = verdict.get("pick") if verdict.get("recommended") and not keeps else None
    best = f"Its best guess is {guess} ({names[guess]}). " if guess else ""
    listed = ", ".join(f"{key} ({name})" for key, name in names.items())
    compared = f" It compared {listed}." if names else ""
    raise JarvisError(
        f"{run.id} {says}: {str(verdict.get('why') or '').rstrip('.')}",
        f"{best}Name a model to deploy it all the same: jarvisctl deploy model NAME.{compared}",
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
    problem = model_catalogue.problem(entry, home)
    folder = model_catalogue.locate(entry, home) if problem is None else None
    return Choice(
        name=entry.name,
        source=source,
        # A link keeps its name: JARVIS and the owner know the model by it.
        folder=Path(os.path.abspath(folder)) if folder is not None else None,  # noqa: PTH100
        missing=(problem, model_catalogue.remedy(entry)) if problem else ("", ""),
        needs_mb=entry.memory_mb,
        revision=entry.revision if entry.repo else None,
        remarks=tuple(remarks),
    )
