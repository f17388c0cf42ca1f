"""`jarvisctl match --serve`: JSON lines in, JSON lines out, so that another program keeps one process warm.

    {"text": "are you free tomorrow?", "previous": "hi!", "drafts": 3, "id": 7}
    {"id": 7, "reply": "yeah", "probability": 0.41, "tier": "suggest", "drafts": [...], "ms": 3.1, ...}

Only `text` is required; `id`, a text or a whole number, comes back. What is wrong with a line is {"error": "..."}, and
the next line is answered. The last line needs no end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from jarvisd.plugin import JarvisError

#: The longest line, in bytes; a longer one is an error.
MOST_BYTES = 256 << 10
MOST_DRAFTS = 10
_PIECE = 1 << 16
_KEYS = frozenset({"text", "previous", "drafts", "id"})

#: text, the owner's message before it, how many drafts -> the document of an answer. Raises JarvisError.
Answer = Callable[[str, str | None, int], dict[str, Any]]


class _Refused(Exception):
    """What is wrong with a line."""


def serve(answer: Answer, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer every line of `source` until its end, each at once; returns how many were refused."""
    refused = 0
    for line in _lines(source):
        document = _document(answer, line)
        refused += "error" in document
        sink.write(json.dumps(document).encode("ascii") + b"\n")
        sink.flush()
    return refused


def _lines(source: BinaryIO) -> Iterator[bytes | None]:
    """The lines that are not empty; None for one that is too long. At most MOST_BYTES are held."""
    while line := source.readline(MOST_BYTES + 1):
        if len(line) > MOST_BYTES:
            while line and not line.endswith(b"\n"):
                line = source.readline(_PIECE)
            yield None
        elif line.strip():
            yield line


def _document(answer: Answer, line: bytes | None) -> dict[str, Any]:
    request: dict[str, Any] = {}
    try:
        request = _request(line)
        text, previous, drafts = _text(request, "text"), request.get("previous"), request.get("drafts", 3)
        if previous is not None:
            previous = _text(request, "previous")
        if type(drafts) is not int or not 1 <= drafts <= MOST_DRAFTS:
            raise _Refused(f"drafts must be a whole number from 1 to {MOST_DRAFTS}")
        document = answer(text, previous, drafts)
    except _Refused as error:
        document = {"error": str(error)}
    except JarvisError as error:
        document = {"error": str(error)}
    identity = request.get("id")
    return ({"id": identity} if isinstance(identity, str | int) else {}) | document


def _request(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise _Refused(f"the line is longer than {MOST_BYTES:,} bytes")
    try:
        request = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _Refused("the line is not JSON in UTF-8") from None
    if not isinstance(request, dict):
        raise _Refused("the line is not a JSON object")
    if unknown := sorted(request.keys() - _KEYS):
        raise _Refused(f"unknown key {unknown[0][:40]!r}; known: {', '.join(sorted(_KEYS))}")
    return request


def _text(request: dict[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _Refused(f"{key} must be a text that is not empty")
    return value.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair cannot be embedded
