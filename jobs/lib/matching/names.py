"""Whether a text may name a person, judged by the text alone: triggers with a name are written into no other program.

The mining removes the names that it learns from the whole history (jobs.mine.person_names). This is the second look,
made where only the text is left. It refuses too much rather than too little.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
#: A word after one of these is how people are addressed, whatever its case.
_ADDRESS = re.compile(r"(?i)\b(?:dear|my name is|this is|it['’]?s me)[ ,]+([^\W\d_]{2,})")
#: Capitalised words that are no names; contractions of "I" beside them.
_NOT = (
    "i im ill ive id god lord jesus christ christmas xmas easter halloween thanksgiving monday tuesday wednesday "
    "thursday friday saturday sunday january february march april may june july august september october november "
    "december english spanish french german american british ok okay lol omg lmao tv usa uk us nyc mom mum mommy mummy "
    "mama dad daddy papa grandma grandpa bro dude"
)
_NO_NAMES = frozenset(_NOT.split())
_NOT_AFTER = "a an the my your so such what not just all why how me you too good"
_NOT_ADDRESSED = _NO_NAMES | frozenset(_NOT_AFTER.split())


def may_name(text: str) -> bool:
    """Whether a word of the text is written as a name: capitalised inside a sentence, or after "dear" and the like."""
    addressed = (match[1].casefold() for match in _ADDRESS.finditer(text))
    if any(word not in _NOT_ADDRESSED for word in addressed):
        return True
    words = list(_WORD.finditer(text))
    inside = [match for match in words if not _starts(text, match.start())]
    shouted = len(words) > 1 and all(match[0].isupper() for match in words)
    return not shouted and any(_is_capitalised(match[0]) for match in inside)


def _is_capitalised(word: str) -> bool:
    acronym = word.isupper() and len(word) > 1
    return word[0].isupper() and not acronym and word.casefold().replace("'", "").replace("’", "") not in _NO_NAMES


def _starts(text: str, at: int) -> bool:
    """Whether a sentence starts at `at`, where a keyboard writes a capital by itself."""
    before = text[:at].rstrip(" \"'“‘(*")
    return not before or before[-1] in ".!?…\n:" or not before[-1].isascii()
