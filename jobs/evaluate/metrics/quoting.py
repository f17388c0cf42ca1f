"""Texts of other people as data in a judge's prompt."""

from __future__ import annotations

import re

FENCE = "~~~"
_MOST_CHARACTERS = 600  # of a text that is shown
_FENCES = re.compile(r"~{2,}")
#: What opens a token of a chat template in one family of models or another.
_TOKENS = re.compile(r"<(?=[|/A-Za-z])|\[(?=/?[A-Z_]+\])")


def quoted(text: str) -> str:
    """A text as one line that neither ends its fence nor a turn of the conversation with the judge."""
    line = " ".join(text.split())[:_MOST_CHARACTERS]
    return _TOKENS.sub(lambda match: "‹" if match[0] == "<" else "(", _FENCES.sub("~", line))
