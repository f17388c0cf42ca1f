"""The owner's messages, counted: each text once in its most frequent spelling, with its recipients and its order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.lib.imessage import Message
from jobs.lib.matching import safety
from jobs.lib.matching.normalise import normal
from jobs.mine import person_names
from jobs.mine.coverage import LEAST_USES

#: Longer texts count as not covered without being embedded, which saves half of the time. Of 6,798 such texts of three
#: people none lay within 0.8 of a template at any of the five origins.
EMBEDDED_WORDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Messages in order of time (n of them) over unique texts (u of them, the most frequent first)."""

    texts: list[str]  #: (u) the normal form: what is embedded
    shown: list[str]  #: (u) the most frequent spelling: what is shown and sent
    ids: NDArray[np.int32]  #: (n) the unique text of each message
    people: NDArray[np.int32]  #: (n) a number per recipient of each message
    short: NDArray[np.bool_]  #: (u) may be a template as far as length goes
    refused: dict[str, int] = field(default_factory=dict)  #: reason -> messages that must never be a template
    sayable: NDArray[np.bool_]  #: (u) short, said twice, not refused
    candidate: NDArray[np.bool_]  #: (u) sayable, and sent to enough people
    min_people: int = 1  #: people who must have received a template, lowered where the history has few partners
    slots: dict[str, int] = field(default_factory=dict)  #: "Thanks {name}!" -> messages; shown, never sent

    def counts(self, upto: int | None = None) -> NDArray[np.float32]:
        """(u) how often each text stands among the first `upto` messages."""
        return np.bincount(self.ids[:upto], minlength=len(self.texts)).astype(np.float32)

    def reach(self, upto: int | None = None) -> NDArray[np.int64]:
        """(u) how many people received each text among the first `upto` messages."""
        width = int(self.people.max(initial=0)) + 1
        pairs = np.unique(self.ids[:upto].astype(np.int64) * width + self.people[:upto])
        return np.bincount(pairs // width, minlength=len(self.texts))

    def allowed(self, upto: int | None = None) -> NDArray[np.bool_]:
        """(u) what may be a template, judged by the first `upto` messages alone: an origin must not look ahead."""
        needed = people_needed(len(np.unique(self.people[:upto])), self.min_people)
        return self.sayable & (self.reach(upto) >= needed)

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
    messages: Sequence[Message], max_words: int, name_words: frozenset[str] = frozenset(), min_people: int = 3
) -> Corpus:
    """Count `messages`, the owner's own, oldest first. `name_words` are casefolded words that name people."""
    forms = [normal(message.text) for message in messages]
    counts = Counter(forms)
    texts = sorted(counts, key=lambda text: (-counts[text], text))
    place = {text: at for at, text in enumerate(texts)}
    shown = _spellings(messages, forms, place)
    short = np.array([len(text.split()) <= max_words for text in texts], dtype=np.bool_)
    repeats = np.array([counts[text] >= LEAST_USES for text in texts], dtype=np.bool_)
    judged = [
        _judge(text, name_words, repeated=bool(repeated)) if is_short else _FINE
        for text, is_short, repeated in zip(shown, short, repeats, strict=True)
    ]
    groups: dict[str, int] = {}
    sayable = short & repeats & np.array([judgement.refusal is None for judgement in judged], dtype=np.bool_)
    corpus = Corpus(
        texts=texts,
        shown=shown,
        ids=np.array([place[form] for form in forms], dtype=np.int32),
        people=np.array([groups.setdefault(_who(message), len(groups)) for message in messages], dtype=np.int32),
        short=short,
        sayable=sayable,
        candidate=sayable.copy(),
        min_people=people_needed(len({_who(message) for message in messages}), min_people),
        slots=_slots(judged, [counts[text] for text in texts]),
    )
    known_to_few = corpus.candidate & (corpus.reach() < corpus.min_people)
    corpus.candidate[known_to_few] = False
    corpus.refused.update(_refused(judged, known_to_few, corpus.counts(), corpus.min_people))
    return corpus


def _spellings(messages: Sequence[Message], forms: list[str], place: dict[str, int]) -> list[str]:
    """The most frequent spelling of each text."""
    spellings: list[Counter[str]] = [Counter() for _ in place]
    for form, message in zip(forms, messages, strict=True):
        spellings[place[form]][" ".join(message.text.split())] += 1
    return [min(counted, key=lambda text: (-counted[text], text)) for counted in spellings]


@dataclass(frozen=True, slots=True)
class _Judgement:
    """Whether a text may be a template."""

    refusal: str | None = None  #: why it may not; None where it may
    slot: str | None = None  #: "Thanks {name}!" where a name is the only reason


_FINE = _Judgement()


def _judge(text: str, name_words: frozenset[str], *, repeated: bool) -> _Judgement:
    """A text that occurs once cannot become a template, so it is judged only where it may count for a slot."""
    masked = person_names.mask_names(text, name_words)
    if not repeated and masked == text:
        return _FINE
    if refusal := safety.reason(text):
        return _Judgement(refusal)
    return _FINE if masked == text else _Judgement(person_names.REASON, masked)


def _refused(
    judged: Sequence[_Judgement], known_to_few: NDArray[np.bool_], counts: NDArray[np.float32], needed: int
) -> dict[str, int]:
    """Reason -> messages, most frequent first. Texts that occur once are excluded: they could not become a template."""
    refused: Counter[str] = Counter()
    for judgement, count in zip(judged, counts, strict=True):
        if judgement.refusal and count >= LEAST_USES:
            refused[judgement.refusal] += int(count)
    if messages := int(counts[known_to_few & (counts >= LEAST_USES)].sum()):
        refused[f"said to fewer than {needed} people"] = messages
    return dict(refused.most_common())


def _slots(judged: Sequence[_Judgement], counts: Sequence[int]) -> dict[str, int]:
    """Slot text -> messages, of the texts that only a name keeps from being sent; most frequent first."""
    slots: Counter[str] = Counter()
    for judgement, count in zip(judged, counts, strict=True):
        if judgement.slot:
            slots[judgement.slot] += count
    return {text: count for text, count in slots.most_common() if count >= LEAST_USES}


def _who(message: Message) -> str:
    return message.person or f"group {message.chat}"
