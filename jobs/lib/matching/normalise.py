"""What counts as the same message: "Loool!!", "lol" and "LOL." are one."""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"\s+")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")  # a letter three times and more: "loool", "sooo"
_DOUBLED = re.compile(r"([^\w\s])\1+")  # marks and emoji: "!!", "😂😂😂"
_LAUGHTER = re.compile(r"([^\W\d_]{2})\1{2,}")  # "hahahaha"
_TRAILING = re.compile(r"[\s.!,;…]+$")  # a question mark changes the meaning, so it stays
_MAX_ROUNDS = 16  # each but the last shortens the text; two are usual


def normal(text: str) -> str:
    """The form under which `text` is counted and embedded. normal(normal(x)) == normal(x)."""
    for _ in range(_MAX_ROUNDS):
        shorter = _once(text)
        if shorter == text:
            break
        text = shorter
    return text


def _once(text: str) -> str:
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    text = _SPACE.sub(" ", text).strip()
    text = _STRETCHED.sub(r"\1", text)
    text = _LAUGHTER.sub(r"\1\1", text)
    text = _DOUBLED.sub(r"\1", text)
    return _TRAILING.sub("", text) or text
