"""The rules that calibration and serving share: which part of a text is compared, and from which score on it fires."""

from __future__ import annotations

from jobs.lib.matching.normalise import normal

#: The cosine from which JARVIS fires a template that has no threshold of its own.
FIRES_AT = 0.7
#: A score that misses its limit by less than this reaches it: float32 sums differ between libraries.
SLACK = 1e-6
#: Only the end of a text is compared, because a reply answers what was written last.
MAX_WORDS, MAX_CHARACTERS = 24, 2000


def form_of(text: str) -> str:
    """The normal form of the last MAX_WORDS words within the last MAX_CHARACTERS characters of `text`."""
    valid = text[-MAX_CHARACTERS:].encode("utf-8", "replace").decode("utf-8")
    return normal(" ".join(valid.split()[-MAX_WORDS:]))
