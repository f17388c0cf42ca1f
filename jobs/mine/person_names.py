"""Names of people in the owner's texts: "Thanks Anna!" is shown as "Thanks {name}!" and never sent by itself.

chat.db holds addresses and no address book. So names come from the database (the title of a direct chat, the words of
a mail address) and from the texts: a word that follows a greeting or a thanks and that the owner nearly always writes
with a capital in the middle of a text. The second way finds nothing for an owner who never writes capitals; then only
the rule that several people must have received a template keeps a name out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.lib.imessage import Message

SLOT = "{name}"
REASON = "a name"
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_GREETING = re.compile(
    r"(?i)\b(?:hey|hi|hello|yo|dear|thanks|thank you|thx|ty|bye|goodnight|good night|good morning|morning|night|sorry"
    r"|love you|miss you|happy birthday|congrats|congratulations|welcome|it['’]?s|i['’]?m|my name is),? (?=\w)"
)
_CONTRACTION = re.compile(r"['’](?:m|ll|ve|d|re|t)$")  # "I'm" is no name
_LEAST = 2  # times that a name is capitalised inside a text
_SHARE = 0.8  # of its occurrences inside a text that are capitalised
_SHORTEST = 3  # letters of a word of an address or a title
#: Words that keyboards or custom capitalise, and words of addresses, that are no names.
_NOT = (
    "i god lord jesus christmas easter halloween thanksgiving monday tuesday wednesday thursday friday saturday sunday "
    "january february march april may june july august september october november december english spanish french "
    "german american british ok okay lol omg tv usa uk nyc mom mum mommy mummy mama dad daddy papa grandma grandpa bro "
    "dude man sir babe baby mail email info office contact hello team support work home family group the and you"
)
_NO_NAMES = frozenset(_NOT.split())


def known(addresses: Iterable[str], titles: Iterable[str]) -> frozenset[str]:
    """Names in the addresses of people and in the titles of direct chats, casefolded."""
    sources = [address.partition("@")[0] for address in addresses if "@" in address] + list(titles)
    words = {word.casefold() for source in sources for word in re.findall(r"[^\W\d_]+", source)}
    return frozenset(word for word in words if len(word) >= _SHORTEST) - _NO_NAMES


def addressed_names(messages: Sequence[Message]) -> frozenset[str]:
    """Words by which the owner addresses people in `messages`, casefolded."""
    capital: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    greeted: set[str] = set()
    for message in messages:
        for match in _WORD.finditer(message.text):
            word = match[0].casefold()
            if not _starts(message.text, match.start()):
                inside[word] += 1
                capital[word] += match[0][0].isupper() and not (match[0].isupper() and len(word) > 1)
        for greeting in _GREETING.finditer(message.text):
            if (after := _WORD.match(message.text, greeting.end())) and after[0][0].isupper():
                greeted.add(after[0].casefold())
    sure = {word for word in greeted if capital[word] >= max(_LEAST, _SHARE * inside[word])}
    return frozenset(word for word in sure if not _CONTRACTION.search(word)) - _NO_NAMES


def _starts(text: str, at: int) -> bool:
    """Whether a sentence starts at `at`, where a keyboard writes a capital by itself."""
    before = text[:at].rstrip(" \"'“‘(*")
    return not before or before[-1] in ".!?…\n:" or not before[-1].isascii()


def mask_names(text: str, names: frozenset[str]) -> str:
    """`text` with every name replaced by the slot; the same text where there is no name."""

    def put(match: re.Match[str]) -> str:
        word = match[0].casefold()
        if word in names:
            return SLOT
        base = re.sub(r"['’]s$", "", word)
        return SLOT + match[0][len(base) :] if base in names else match[0]

    return _WORD.sub(put, text) if names else text
