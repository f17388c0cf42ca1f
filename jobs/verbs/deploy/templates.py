"""Mined templates in JARVIS's custom_templates.json. Deployed ones carry a tag; the owner's own are never changed.

JARVIS fires only its own built-in templates; the file is read by its template editor alone, until its matcher is
changed to load it (jobs.verbs.deploy.source). A deployed template keeps what JARVIS counted for it (usage_count,
created_at, enabled) as long as its reply is deployed again. One without triggers is not deployed: it could not fire.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd.plugin import JarvisError
from jobs.lib.matching import names, safety
from jobs.lib.matching import triggers as trigger_rules
from jobs.lib.matching.normalise import normal
from jobs.lib.results.tables import Mining
from jobs.lib.reviews import verdicts
from jobs.lib.reviews.verdicts import Kept
from jobs.verbs.deploy import files
from jobs.verbs.deploy.files import Applied, Change, Document

NAME = "custom_templates.json"
VERSION = 1
TAG = "jarvisd"
_NAME_LETTERS = 40
_CATEGORY = "mined"
#: What JARVIS or the user decides about a template once it is in the file.
_KEPT = ("enabled", "created_at", "usage_count")

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of templates, by what happens to them."""

    added: list[str]
    changed: list[str]
    removed: list[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What belongs into the file."""

    entries: list[Entry]
    without_trigger: int = 0  #: templates that were kept and that no incoming message was measured to predict


def reviewed() -> Wanted:
    """The templates that the owner kept, as entries of the file. Raises JarvisError where there is none."""
    kept = verdicts.kept()
    if not kept:
        raise JarvisError(
            "no template was reviewed and kept yet, so none is written",
            "`jarvisctl review --templates` shows them one by one; --tier suggest writes them unreviewed.",
        )
    entries = [_entry_of(template) for template in kept]
    usable = [item for item in entries if item["trigger_phrases"]]
    return Wanted(usable, len(entries) - len(usable))


def _entry_of(template: Kept) -> Entry:
    return entry(template.template, template.reply, template.triggers, template.tier)


def of_tiers(tiers: Sequence[str]) -> Wanted:
    """The templates of these tiers of the newest mining, reviewed or not, without those that the owner rejected.

    Raises JarvisError where none may be sent.
    """
    mining = trigger_rules.newest()
    rows = trigger_rules.sendable(mining, tiers)
    if not rows:
        raise JarvisError(trigger_rules.none_sendable(mining, tiers).what, _remedy(mining, tiers))
    kept = {template.template: template.reply for template in verdicts.kept()}
    entries = [
        entry(str(row.uuid), kept.get(str(row.uuid), str(row.representative)), list(row.triggers), str(row.tier))
        for row in rows
    ]
    usable = [item for item in entries if item["trigger_phrases"]]
    return Wanted(usable, len(entries) - len(usable))


def _remedy(mining: Mining, tiers: Sequence[str]) -> str:
    """What gives templates of these tiers: a lower tier where that has some, else a matcher where none was on disk."""
    if tuple(tiers) != trigger_rules.SENDABLE and (rest := len(trigger_rules.sendable(mining))):
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
        "trigger_phrases": _nameless(triggers),
        "category": _CATEGORY,
        "tags": [TAG, f"tier:{tier}"],
        "min_group_size": None,
        "max_group_size": None,
        "enabled": True,
        "created_at": "",
        "updated_at": "",
        "usage_count": 0,
    }


def _nameless(triggers: Sequence[str]) -> list[str]:
    """The triggers that hold no name, address or number: what others wrote about people stays out of JARVIS."""
    texts = [text for text in triggers if isinstance(text, str) and text.strip()]
    return [text for text in texts if safety.reason(text) is None and not names.may_name(text)]


def is_deployed(item: Entry) -> bool:
    tags = item.get("tags")
    return isinstance(tags, list) and TAG in tags


def merge(document: Document, fresh: Sequence[Entry], now: dt.datetime) -> Document:
    """The document with deployed templates replaced by `fresh`, each at its old place, new ones at the end."""
    stamp = now.isoformat(timespec="seconds")
    existing: list[Entry] = document["templates"]
    adopted = {str(item.get("id")) for item in existing if not is_deployed(item)}
    pending = {item["id"]: item for item in fresh if item["id"] not in adopted}
    earlier = _pairs([item for item in existing if is_deployed(item)], list(pending.values()))
    result: list[Entry] = []
    for item in existing:
        if not is_deployed(item):
            result.append(copy.deepcopy(item))
        elif (new := earlier.get(id(item))) is not None and new["id"] in pending:
            result.append(_renewed(item, pending.pop(new["id"]), stamp))
    result += [{**new, "created_at": stamp, "updated_at": stamp} for new in pending.values()]
    return {**document, "templates": result}


def _pairs(earlier: list[Entry], fresh: list[Entry]) -> dict[int, Entry]:
    """id() of each existing entry -> the fresh one that replaces it: the same id, else the same reply."""
    by_id = {new["id"]: new for new in fresh}
    item = {id(old): by_id[old["id"]] for old in earlier if isinstance(old.get("id"), str) and old["id"] in by_id}
    taken = {new["id"] for new in item.values()}
    by_text = {normal(new["template_text"]): new for new in fresh if new["id"] not in taken}
    for old in earlier:
        if id(old) not in item and isinstance(old.get("template_text"), str):
            new = by_text.pop(normal(old["template_text"]), None)
            if new is not None:
                item[id(old)] = new
    return item


def _renewed(old: Entry, new: Entry, stamp: str) -> Entry:
    """`new` with what JARVIS knows of `old`; its time changes only with its contents."""
    kept = {key: old[key] for key in _KEPT if key in old}
    merged: Entry = {**copy.deepcopy(old), **new, **kept}
    merged["updated_at"] = old.get("updated_at", stamp)
    if merged != old:
        merged["updated_at"] = stamp
    return merged


def without_unused(document: Document, now: dt.datetime) -> Document:
    """The document with every enabled deployed template turned off that was never used; the owner's own stay."""
    stamp = now.isoformat(timespec="seconds")
    changed = [
        {**item, "enabled": False, "updated_at": stamp} if _never_fired(item) else copy.deepcopy(item)
        for item in document["templates"]
    ]
    return {**document, "templates": changed}


def _never_fired(item: Entry) -> bool:
    return is_deployed(item) and item.get("enabled") is True and type(item.get("usage_count")) is int and not used(item)


def used(item: Entry) -> int:
    """How often JARVIS counted it; 0 for what is no count."""
    count = item.get("usage_count")
    return count if type(count) is int and count > 0 else 0


def difference(before: Document, after: Document) -> Difference:
    """Which templates change: deployed ones are matched by their reply, the owner's by their id."""
    old, new = ({_key(item): item for item in document["templates"]} for document in (before, after))
    return Difference(
        added=[name_of(item) for key, item in new.items() if key not in old],
        changed=[name_of(item) for key, item in new.items() if key in old and old[key] != item],
        removed=[name_of(item) for key, item in old.items() if key not in new],
    )


def _key(item: Entry) -> tuple[bool, str]:
    if is_deployed(item) and isinstance(item.get("template_text"), str):
        return True, normal(item["template_text"])
    return False, json.dumps(item.get("id"))


def name_of(item: Entry) -> str:
    return str(item.get("name") or item.get("template_text") or item.get("id"))


# ---------------------------------------------------------------------------------------------------- the file


def read(path: Path) -> Document:
    """The file as it is now, an empty one where there is none. Raises JarvisError for one that is not understood."""
    return files.read(path, form(path)).document


def apply(path: Path, change: Change, *, dry_run: bool = False, expected: str | None = None) -> Applied:
    """Read, change, back up, write; see jobs.verbs.deploy.files.apply."""
    return files.apply(path, form(path, expected), change, dry_run=dry_run)


def form(path: Path, expected: str | None = None) -> files.Form:
    """What the file at `path` must look like; `expected` is its digest where it must still be as previewed."""
    empty = {"version": VERSION, "templates": []}
    return files.Form(flaw=lambda document: _flaw(path, document), empty=empty, expected=expected)


def _flaw(path: Path, document: Document) -> str | None:
    version = document.get("version")
    if type(version) is int and version > VERSION:
        raise JarvisError(
            f"{path} is of version {version}, and {VERSION} is the newest that jarvisd knows",
            "jarvisd is older than this JARVIS: update jarvisd. Nothing was changed.",
        )
    if type(version) is not int or version != VERSION:
        return f"it is not of version {VERSION}"
    templates = document.get("templates")
    if not isinstance(templates, list) or not all(isinstance(item, dict) for item in templates):
        return "its templates are not a list of templates"
    return None
