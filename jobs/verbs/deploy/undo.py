"""Takes back what the last deploy changed in one of JARVIS's files, and nothing that was changed since.

The record of a deploy, in var/, holds the digest of the file as it was left, the name of the backup, and the parts that
changed, before and after. Where the file is still as it was left, undoing gives the earlier file byte for byte; else
each value is put back that still has the value of the deploy.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, JarvisError
from jobs.verbs.deploy import files
from jobs.verbs.deploy.files import Applied, Change, Document, Form


@dataclass(frozen=True, slots=True)
class LastDeploy:
    """What the record of a file says."""

    written: str  #: digest of the file as the deploy left it
    backup: str | None  #: path of the file before it; None where there was none
    before: Document  #: the parts that changed, as they were
    after: Document  #: the same parts, as they were left


def noted(change: Applied, before: Document, after: Document) -> Document:
    """What is recorded of a change that was written; `before` and `after` hold the parts that it changed."""
    backup = None if change.backup is None else str(change.backup)
    return {"written": change.written, "backup": backup, "before": before, "after": after}


def last(home: Home, record: str, path: Path) -> LastDeploy:
    """The last deploy into `path`. Raises JarvisError where there is none to undo."""
    stored = files.deployed(home.var / record, path)
    undo: Any = stored.get("undo") if isinstance(stored, dict) else None
    try:
        return LastDeploy(str(undo["written"]), undo["backup"], dict(undo["before"]), dict(undo["after"]))
    except (TypeError, LookupError, ValueError):
        raise JarvisError(f"no deploy into {path} is left to undo", "Nothing was changed.") from None


def apply(path: Path, form: Form, deploy: LastDeploy, revert: Change, *, dry_run: bool) -> Applied:
    """Put back the file of before the deploy; `revert` is used where it was changed since. Raises JarvisError."""
    content = files.read(path, form)
    if content.raw is None:
        raise JarvisError(f"there is no {path}", "Nothing is left to undo.")
    if files.digest(content.raw) != deploy.written:
        return files.apply(path, form, revert, dry_run=dry_run)
    earlier = _earlier(deploy)
    if earlier is None and deploy.backup is not None:
        return files.apply(path, form, revert, dry_run=dry_run)
    return files.put_back(path, form, content, earlier, dry_run=dry_run)


def _earlier(deploy: LastDeploy) -> bytes | None:
    try:
        return Path(deploy.backup).read_bytes() if deploy.backup is not None else None
    except OSError:  # the owner removed the backup
        return None


def reverted(current: Any, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """`current` with each value of `after` put back to that of `before`, where it is still that of `after`."""
    result = copy.deepcopy(current) if isinstance(current, dict) else {}
    for key in {**before, **after}:
        old, new, now = before.get(key, _MISSING), after.get(key, _MISSING), result.get(key, _MISSING)
        if isinstance(new, dict) and isinstance(now, dict) and (old is _MISSING or isinstance(old, dict)):
            result[key] = reverted(now, old if isinstance(old, dict) else {}, new)
            if old is _MISSING and not result[key]:
                del result[key]
        elif old != new and now == new:
            result.pop(key, None)
            if old is not _MISSING:
                result[key] = copy.deepcopy(old)
    return _ordered(result, current, before)


def _ordered(result: dict[str, Any], current: Any, before: dict[str, Any]) -> dict[str, Any]:
    """The keys in the order of `current`, so that a value that is put back stays at its place."""
    known = [key for key in current if key in result] if isinstance(current, dict) else []
    return {key: result[key] for key in [*known, *(key for key in before if key in result and key not in known)]}


_MISSING = object()


def forget(home: Home, record: str, path: Path) -> None:
    """The last deploy was undone: there is no earlier one to undo."""
    stored = files.deployed(home.var / record, path)
    if isinstance(stored, dict):
        files.note_deployed(home.var / record, path, {key: value for key, value in stored.items() if key != "undo"})
