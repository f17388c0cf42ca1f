"""Models where several machines share a queue: what this one has, and which may run a job that loads one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, RunsOn
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry


def models_here(home: Home) -> list[str]:
    """The repositories on this disk that can be used, each with its commit and with each branch or tag it has."""
    return sorted({catalogue.source(entry) for entry in _cached() if catalogue.problem(entry, home) is None})


def _cached() -> Iterator[ModelEntry]:
    """What the hub's cache holds, complete or not."""
    for folder in catalogue.hub_cache().glob("models--*--*"):
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        for revision in (*_names(folder / "snapshots"), *_names(folder / "refs")):
            try:
                yield ModelEntry(key="cached", name=repo, repo=repo, revision=revision)
            except ValueError:  # no name of a repository: another program's folder
                continue


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def placed(entry: ModelEntry, *, spread: bool) -> dict[str, Any]:
    """The fields of a JobSpec that say which machine may compare this model. A local folder is of one machine."""
    if not spread or entry.repo is None:
        return {"runs_on": RunsOn.SUBMITTER}
    return {"runs_on": RunsOn.ANY, "models": (catalogue.source(entry),)}
