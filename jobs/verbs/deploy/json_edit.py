"""Change single values of a JSON text and leave every other byte of it alone: indentation, order, how numbers look."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a member of an object stands in the text: its key, then its value, both as half-open ranges."""

    key: int
    key_end: int
    value: int
    end: int


def changed(text: str, wanted: dict[str, Any]) -> str:
    """`text`, a valid JSON object in which no key stands twice, with the values of `wanted`.

    Objects are compared key by key; a key that `wanted` lacks stays. A new key is put behind the last one, separated
    as the others are.
    """
    edits: list[tuple[int, int, str]] = []
    _compare(text, _space(text, 0), wanted, edits)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _compare(text: str, at: int, wanted: dict[str, Any], edits: list[tuple[int, int, str]]) -> None:
    """Collect what must be replaced in the object that begins at `at`."""
    members, end = _members(text, at)
    fresh: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in members:
            fresh[name] = value
            continue
        place = members[name]
        found, _ = _DECODER.raw_decode(text, place.value)
        if json.dumps(found) == json.dumps(value):  # as values, 1 and True would be equal
            continue
        if isinstance(found, dict) and isinstance(value, dict):
            _compare(text, place.value, value, edits)
        else:
            edits.append((place.value, place.end, json.dumps(value)))
    if fresh and members:
        last = max(members.values(), key=lambda place: place.end)
        edits.append((last.end, last.end, _behind(text, at, list(members.values()), fresh)))
    elif fresh:
        edits.append((at, end, json.dumps(fresh)))


def _behind(text: str, at: int, members: list[_Member], fresh: dict[str, Any]) -> str:
    """The new members as text, written like those that are there."""
    first = members[0]
    between = text[first.end : members[1].key] if len(members) > 1 else "," + text[at + 1 : first.key]
    colon = text[first.key_end : first.value]
    return "".join(f"{between}{json.dumps(name)}{colon}{json.dumps(value)}" for name, value in fresh.items())


def _members(text: str, at: int) -> tuple[dict[str, _Member], int]:
    """The members of the object that begins at `at`, in order, and where it ends."""
    found: dict[str, _Member] = {}
    here = _space(text, at + 1)
    while text[here] != "}":
        name, key_end = _DECODER.raw_decode(text, here)
        value = _space(text, _space(text, key_end) + 1)
        _, end = _DECODER.raw_decode(text, value)
        found[name] = _Member(here, key_end, value, end)
        here = _space(text, end)
        here = _space(text, here + 1) if text[here] == "," else here
    return found, here + 1


def _space(text: str, at: int) -> int:
    """The first place from `at` on that is no white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at
