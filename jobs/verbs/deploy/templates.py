"""Mined templates as JARVIS keeps them: ours carry a tag, the user's own are never touched.

What JARVIS counted for one of ours (usage_count, created_at, turned off or not) stays with it as long as its reply is
mined again. The phrase tier is never deployed: nothing says when to send it.
"""

from __future__ import annotations

import copy
import datetime as dt
import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd.plugin import Home, JarvisError
from jobs.lib.matching import triggers as trigger_rules
from jobs.lib.matching.normalise import normal
from jobs.lib.results.tables import Mining
from jobs.verbs.deploy import templates_file
from jobs.verbs.deploy.files import deployed, note_deployed
from jobs.verbs.deploy.templates_file import Document

TAG = "jarvisd"
_RECORD = "deployed-templates.json"
_NAME_LETTERS = 40
_CATEGORY = "mined"
#: What JARVIS or the user decides about a template once it is there.
_THEIRS = ("enabled", "created_at", "usage_count")

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of templates, by what happens to them."""

    added: list[str]
    changed: list[str]
    removed: list[str]


def wanted(tiers: Sequence[str]) -> list[Entry]:
    """The templates of the newest mining as entries of the file. Raises JarvisError where none may be sent."""
    mining = trigger_rules.newest()
    rows = trigger_rules.sendable(mining, tiers)
    if not rows:
        raise JarvisError(trigger_rules.none_sendable(mining, tiers).what, _remedy(mining, tiers))
    return [entry(str(row.uuid), str(row.representative), list(row.triggers), str(row.tier)) for row in rows]


def _remedy(mining: Mining, tiers: Sequence[str]) -> str:
    """What gives templates of these tiers: a lower tier where that has some, else a matcher where none was on disk."""
    if rest := len(trigger_rules.sendable(mining)):
        return f"{rest} may be suggested: --tier suggest takes {'it' if rest == 1 else 'them'}."
    if (mining.config.get("matcher") or {}).get("fingerprint"):
        return "The report says why; a longer history gives more."
    return trigger_rules.none_sendable(mining, tiers).remedy


def entry(uuid: str, reply: str, triggers: Sequence[str], tier: str) -> Entry:
    """One template in the format of the file; times are filled in by `merge`."""
    shown = " ".join(reply.split())
    return {
        "id": uuid,
        "name": shown if len(shown) <= _NAME_LETTERS else shown[: _NAME_LETTERS - 1].rstrip() + "…",
        "template_text": reply,
        "trigger_phrases": [text for text in triggers if isinstance(text, str) and text.strip()],
        "category": _CATEGORY,
        "tags": [TAG, f"tier:{tier}"],
        "min_group_size": None,
        "max_group_size": None,
        "enabled": True,
        "created_at": "",
        "updated_at": "",
        "usage_count": 0,
    }


def is_ours(found: Entry) -> bool:
    tags = found.get("tags")
    return isinstance(tags, list) and TAG in tags


def merge(document: Document, fresh: Sequence[Entry], now: dt.datetime) -> Document:
    """The document with ours replaced by `fresh`, each in the place it had, new ones at the end."""
    stamp = now.isoformat(timespec="seconds")
    existing: list[Entry] = document["templates"]
    adopted = {str(found.get("id")) for found in existing if not is_ours(found)}
    pending = {found["id"]: found for found in fresh if found["id"] not in adopted}
    earlier = _pairs([found for found in existing if is_ours(found)], list(pending.values()))
    result: list[Entry] = []
    for found in existing:
        if not is_ours(found):
            result.append(copy.deepcopy(found))
        elif (new := earlier.get(id(found))) is not None and new["id"] in pending:
            result.append(_renewed(found, pending.pop(new["id"]), stamp))
    result += [{**new, "created_at": stamp, "updated_at": stamp} for new in pending.values()]
    return {**document, "templates": result}


def _pairs(ours: list[Entry], fresh: list[Entry]) -> dict[int, Entry]:
    """id() of each entry that is there already -> the fresh one that replaces it: the same id, else the same reply."""
    by_id = {new["id"]: new for new in fresh}
    found = {id(old): by_id[old["id"]] for old in ours if isinstance(old.get("id"), str) and old["id"] in by_id}
    taken = {new["id"] for new in found.values()}
    by_text = {normal(new["template_text"]): new for new in fresh if new["id"] not in taken}
    for old in ours:
        if id(old) not in found and isinstance(old.get("template_text"), str):
            new = by_text.pop(normal(old["template_text"]), None)
            if new is not None:
                found[id(old)] = new
    return found


def _renewed(old: Entry, new: Entry, stamp: str) -> Entry:
    """`new` with what JARVIS knows of `old`; its time changes only with its contents."""
    kept = {key: old[key] for key in _THEIRS if key in old}
    merged: Entry = {**copy.deepcopy(old), **new, **kept}
    merged["updated_at"] = old.get("updated_at", stamp)
    if merged != old:
        merged["updated_at"] = stamp
    return merged


def without_unused(document: Document, now: dt.datetime) -> Document:
    """The document with every template that is on and never fired turned off."""
    stamp = now.isoformat(timespec="seconds")
    changed = [
        {**found, "enabled": False, "updated_at": stamp} if _never_fired(found) else copy.deepcopy(found)
        for found in document["templates"]
    ]
    return {**document, "templates": changed}


def _never_fired(found: Entry) -> bool:
    count = found.get("usage_count")
    return found.get("enabled") is True and type(count) is int and count == 0


def difference(before: Document, after: Document) -> Difference:
    """What happens to the templates: ours are known by their reply, the user's by their id."""
    old, new = ({_key(found): found for found in document["templates"]} for document in (before, after))
    return Difference(
        added=[name_of(found) for key, found in new.items() if key not in old],
        changed=[name_of(found) for key, found in new.items() if key in old and old[key] != found],
        removed=[name_of(found) for key, found in old.items() if key not in new],
    )


def _key(found: Entry) -> tuple[bool, str]:
    if is_ours(found) and isinstance(found.get("template_text"), str):
        return True, normal(found["template_text"])
    return False, json.dumps(found.get("id"))


def name_of(found: Entry) -> str:
    return str(found.get("name") or found.get("template_text") or found.get("id"))


def diff(before: Document, after: Document) -> list[str]:
    """Lines of a unified diff of the two, written alike."""
    old, new = (templates_file.serialise(document).decode().splitlines() for document in (before, after))
    return list(difflib.unified_diff(old, new, "now", "then", lineterm="", n=2))


# ---------------------------------------------------------------------------------------- what was deployed from here


def remember(home: Home, path: Path, ids: Sequence[str]) -> None:
    """Keep which templates were deployed to `path`, for `missing`."""
    note_deployed(home.var / _RECORD, path, list(ids))


def missing(home: Home, path: Path, document: Document) -> tuple[int, int, int] | None:
    """(deployed from here, gone from the file, turned off there), or None where nothing was deployed to `path`."""
    ids = deployed(home.var / _RECORD, path)
    if not isinstance(ids, list):
        return None
    there = {found.get("id"): found for found in document["templates"] if isinstance(found.get("id"), str)}
    gone = [one for one in ids if one not in there]
    off = [one for one in ids if one in there and there[one].get("enabled") is not True]
    return len(ids), len(gone), len(off)
