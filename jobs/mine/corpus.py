"""The owner's messages, counted: every text once, in its most frequent spelling, with who got it and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.lib.imessage import Message
from jobs.lib.matching.normalise import normal
from jobs.lib.matching.safety import reason
from jobs.mine import person_names as people_names

#: Texts of more words than this lie within 0.8 of no template: of 6,798 on three people, none was covered at any of
#: the five origins. So they count as not covered without being embedded, which saves half of the time.
EMBEDDED_WORDS = 16
#: A text said once is no template, however many resemble it.
LEAST_USES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Messages in order of time (n of them) over unique texts (u of them, the most frequent first)."""

    texts: list[str]  #: (u) the normal form: what is embedded
    shown: list[str]  #: (u) the most frequent spelling: what is shown and sent
    ids: NDArray[np.int32]  #: (n) the unique text of each message
    people: NDArray[np.int32]  #: (n) a number for whom each message went to
    short: NDArray[np.bool_]  #: (u) may be a template as far as length goes
    refused: dict[str, int] = field(default_factory=dict)  #: reason -> messages that must never be a template
    candidate: NDArray[np.bool_]  #: (u) short, not refused, and said to enough people
    min_people: int = 1  #: people a template must have been said to, in a history of so few partners as this
    slots: dict[str, int] = field(default_factory=dict)  #: "Thanks {name}!" -> messages; shown, never sent

    def counts(self, upto: int | None = None) -> NDArray[np.float32]:
        """(u) how often each text stands among the first `upto` messages."""
        return np.bincount(self.ids[:upto], minlength=len(self.texts)).astype(np.float32)

    def reach(self, upto: int | None = None) -> NDArray[np.int64]:
        """(u) how many different people each text went to, among the first `upto` messages."""
        width = int(self.people.max(initial=0)) + 1
        pairs = np.unique(self.ids[:upto].astype(np.int64) * width + self.people[:upto])
        return np.bincount(pairs // width, minlength=len(self.texts))

    def allowed(self, upto: int | None = None) -> NDArray[np.bool_]:
        """(u) what may be a template by what was known after `upto` messages: an origin must not look ahead."""
        needed = people_needed(len(np.unique(self.people[:upto])), self.min_people)
        return self.candidate & (self.reach(upto) >= needed)

    def index(self) -> dict[str, int]:
        """Normal form -> place in `texts`."""
        return {text: place for place, text in enumerate(self.texts)}

    @property
    def embeddable(self) -> NDArray[np.bool_]:
        """(u) texts that are short enough to lie near a template at all."""
        return np.array([len(text.split()) <= EMBEDDED_WORDS for text in self.texts], dtype=np.bool_)


def people_needed(partners: int, wanted: int) -> int:
    """`wanted`, and at most half of the partners: 3 from six partners on, 2 from four, 1 below."""
    return max(1, min(wanted, partners // 2))


def build(
    messages: Sequence[Message], max_words: int, names: frozenset[str] = frozenset(), min_people: int = 3
) -> Corpus:
    """Count `messages`, the owner's own, oldest first. `names` are casefolded words that name people."""
    forms = [normal(message.text) for message in messages]
    counts = Counter(forms)
    texts = sorted(counts, key=lambda text: (-counts[text], text))
    place = {text: at for at, text in enumerate(texts)}
    shown = _spellings(messages, forms, place)
    short = np.array([len(text.split()) <= max_words for text in texts], dtype=np.bool_)
    said = np.array([counts[text] >= LEAST_USES for text in texts], dtype=np.bool_)
    reasons = [
        _reason(text, names, judge=bool(often)) if is_short else None
        for text, is_short, often in zip(shown, short, said, strict=True)
    ]
    groups: dict[str, int] = {}
    found = Corpus(
        texts=texts,
        shown=shown,
        ids=np.array([place[form] for form in forms], dtype=np.int32),
        people=np.array([groups.setdefault(_who(message), len(groups)) for message in messages], dtype=np.int32),
        short=short,
        candidate=short & said & np.array([why is None for why in reasons], dtype=np.bool_),
        min_people=people_needed(len({_who(message) for message in messages}), min_people),
        slots=_slots(shown, reasons, [counts[text] for text in texts], names),
    )
    known_to_few = found.candidate & (found.reach() < found.min_people)
    found.candidate[known_to_few] = False
    found.refused.update(_refused(reasons, known_to_few, found.counts(), found.min_people))
    return found


def _spellings(messages: Sequence[Message], forms: list[str], place: dict[str, int]) -> list[str]:
    """The most frequent spelling of each text."""
    spellings: list[Counter[str]] = [Counter() for _ in place]
    for form, message in zip(forms, messages, strict=True):
        spellings[place[form]][" ".join(message.text.split())] += 1
    return [min(found, key=lambda text: (-found[text], text)) for found in spellings]


def _reason(text: str, names: frozenset[str], *, judge: bool) -> str | None:
    """Why the text is refused. What was said once cannot be a template, so only its names are looked for (`judge`)."""
    return (reason(text) if judge else None) or (
        people_names.REASON if people_names.mask_names(text, names) != text else None
    )


def _refused(
    reasons: list[str | None], known_to_few: NDArray[np.bool_], counts: NDArray[np.float32], needed: int
) -> dict[str, int]:
    """Reason -> messages, the most frequent first. Texts said once are nobody's loss: they are not counted here."""
    found: Counter[str] = Counter()
    for why, count in zip(reasons, counts, strict=True):
        if why and count >= LEAST_USES:
            found[why] += int(count)
    if lost := int(counts[known_to_few & (counts >= LEAST_USES)].sum()):
        found[f"said to fewer than {needed} people"] = lost
    return dict(found.most_common())


def _slots(shown: list[str], reasons: list[str | None], counts: list[int], names: frozenset[str]) -> dict[str, int]:
    """The texts that only a name keeps from being sent, with a slot in its place."""
    found: Counter[str] = Counter()
    for text, why, count in zip(shown, reasons, counts, strict=True):
        if why == people_names.REASON:
            found[people_names.mask_names(text, names)] += count
    return {text: count for text, count in found.most_common() if count >= LEAST_USES and reason(text) is None}


def _who(message: Message) -> str:
    return message.person or f"group {message.chat}"
