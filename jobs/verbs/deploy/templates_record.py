"""What was deployed into custom_templates.json: which ids, what was deleted in JARVIS since, what can be undone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home
from jobs.verbs.deploy import files, templates, undo
from jobs.verbs.deploy.files import Applied, Document
from jobs.verbs.deploy.templates import Entry

NAME = "deployed-templates.json"


@dataclass(frozen=True, kw_only=True)
class State:
    """The deployed templates as the file has them now."""

    ids: list[str]  #: written by the last deploy
    deleted: frozenset[str] = frozenset()  #: deleted in JARVIS: they stay deleted
    lost: list[str] = field(default_factory=list)  #: gone because JARVIS wrote the file from memory
    off: int = 0  #: turned off
    used: int = 0  #: entries of the whole file, the owner's own too, that JARVIS counted at least once


def state(home: Home, path: Path, document: Document) -> State | None:
    """None where nothing was deployed to `path` from here."""
    record = _record(home, path)
    if record is None:
        return None
    ids, added = _ids(record, "ids"), set(_ids(record, "added"))
    existing = {item.get("id"): item for item in document["templates"] if isinstance(item.get("id"), str)}
    gone = [uuid for uuid in ids if uuid not in existing]
    # JARVIS that was open during a deploy writes back what it had in memory: then all that was added is gone.
    overwritten = bool(added) and not added & existing.keys()
    lost = [uuid for uuid in gone if overwritten and uuid in added]
    kept = [existing[uuid] for uuid in ids if uuid in existing]
    return State(
        ids=ids,
        deleted=frozenset(_ids(record, "deleted")) | (set(gone) - set(lost)),
        lost=lost,
        off=sum(item.get("enabled") is not True for item in kept),
        used=sum(templates.used(item) > 0 for item in document["templates"]),
    )


def confirm(home: Home, path: Path, document: Document, raw: bytes | None) -> None:
    """Note that JARVIS has written the file with all that was deployed: what goes missing later was deleted."""
    record, known = _record(home, path), state(home, path, document)
    if record is None or known is None or raw is None or known.lost or not record.get("undo"):
        return
    if files.digest(raw) != record["undo"].get("written") and record.get("added"):
        files.note_deployed(home.var / NAME, path, {**record, "added": []})


def remember(home: Home, path: Path, wanted: Collection[str], deleted: Collection[str], done: Applied) -> None:
    """Keep what a deploy wrote: the ids of `wanted` that are in the file, and what stays deleted."""
    ids = [uuid for uuid in wanted if uuid in _deployed(done.after)]
    record: dict[str, Any] = dict(_record(home, path) or {})
    record |= {"ids": ids, "deleted": sorted(deleted)}
    if done.changed:
        before, after = _parts(done)
        record["added"] = [uuid for uuid in ids if uuid not in before and uuid in after]
        record["undo"] = undo.noted(done, before, after)
    files.note_deployed(home.var / NAME, path, record)


def take_back(home: Home, path: Path, *, dry_run: bool, expected: str | None = None) -> Applied:
    """Undo the last deploy into `path`. Raises JarvisError where there is none."""
    deploy = undo.last(home, NAME, path)

    def revert(document: Document) -> Document:
        return {**document, "templates": _reverted(document["templates"], deploy.before, deploy.after)}

    done = undo.apply(path, templates.form(path, expected), deploy, revert, dry_run=dry_run)
    if not dry_run:
        undo.forget(home, NAME, path)
        record = _record(home, path) or {}
        left = [uuid for uuid in _ids(record, "ids") if uuid in _deployed(done.after)]
        files.note_deployed(home.var / NAME, path, {**record, "ids": left, "added": []})
    return done


def _reverted(entries: list[Entry], before: dict[str, Entry], after: dict[str, Entry]) -> list[Entry]:
    """The entries with those put back that the deploy changed or removed, and without those that it added."""
    result: list[Entry] = []
    for item in entries:
        uuid = item.get("id") if templates.is_deployed(item) else None
        if uuid in before and uuid in after:
            result.append(undo.reverted(item, before[uuid], after[uuid]))
        elif uuid not in after or uuid in before:
            result.append(item)
    present = {item.get("id") for item in entries if isinstance(item.get("id"), str)}
    return result + [old for uuid, old in before.items() if uuid not in after and uuid not in present]


def _parts(done: Applied) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """The deployed entries that a change touched, by id, before and after it."""
    old, new = _deployed(done.before), _deployed(done.after)
    touched = [uuid for uuid in {**old, **new} if old.get(uuid) != new.get(uuid)]
    return {uuid: old[uuid] for uuid in touched if uuid in old}, {uuid: new[uuid] for uuid in touched if uuid in new}


def _deployed(document: Document) -> dict[str, Entry]:
    entries = [item for item in document["templates"] if templates.is_deployed(item)]
    return {item["id"]: item for item in entries if isinstance(item.get("id"), str)}


def _record(home: Home, path: Path) -> dict[str, Any] | None:
    """The record of `path`; earlier versions kept the ids alone."""
    stored = files.deployed(home.var / NAME, path)
    if isinstance(stored, list):
        return {"ids": stored, "added": stored}
    return stored if isinstance(stored, dict) and isinstance(stored.get("ids"), list) else None


def _ids(record: dict[str, Any], name: str) -> list[str]:
    stored = record.get(name)
    return [uuid for uuid in stored if isinstance(uuid, str)] if isinstance(stored, list) else []
