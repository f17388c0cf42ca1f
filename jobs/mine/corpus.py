"""The owner's messages, counted: every text once, in its most frequent spelling, with who got it and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.imessage import Message
from jobs.mine.normalise import normal
from jobs.mine.refuse import reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Messages in order of time (n of them) over unique texts (u of them, the most frequent first)."""

    texts: list[str]  #: (u) the normal form: what is embedded
    shown: list[str]  #: (u) the most frequent spelling: what is shown and sent
    ids: NDArray[np.int32]  #: (n) the unique text of each message
    people: NDArray[np.int32]  #: (n) a number for whom each message went to
    short: NDArray[np.bool_]  #: (u) may be a template as far as length goes
    refused: dict[str, int] = field(default_factory=dict)  #: reason -> messages that must never be a template
    candidate: NDArray[np.bool_]  #: (u) short, and not refused

    def counts(self, upto: int | None = None) -> NDArray[np.float32]:
        """(u) how often each text stands among the first `upto` messages."""
        return np.bincount(self.ids[:upto], minlength=len(self.texts)).astype(np.float32)

    def index(self) -> dict[str, int]:
        """Normal form -> place in `texts`."""
        return {text: place for place, text in enumerate(self.texts)}


def build(messages: Sequence[Message], max_words: int) -> Corpus:
    """Count `messages`, the owner's own, oldest first."""
    forms = [normal(message.text) for message in messages]
    counts = Counter(forms)
    texts = sorted(counts, key=lambda text: (-counts[text], text))
    place = {text: at for at, text in enumerate(texts)}
    spellings: list[Counter[str]] = [Counter() for _ in texts]
    for form, message in zip(forms, messages, strict=True):
        spellings[place[form]][" ".join(message.text.split())] += 1
    shown = [min(found, key=lambda text: (-found[text], text)) for found in spellings]
    short = np.array([len(text.split()) <= max_words for text in texts], dtype=np.bool_)
    reasons = [reason(text) if is_short else None for text, is_short in zip(shown, short, strict=True)]
    refused: Counter[str] = Counter()
    for text, why in zip(texts, reasons, strict=True):
        if why:
            refused[why] += counts[text]
    groups: dict[str, int] = {}
    return Corpus(
        texts=texts,
        shown=shown,
        ids=np.array([place[form] for form in forms], dtype=np.int32),
        people=np.array([groups.setdefault(_who(message), len(groups)) for message in messages], dtype=np.int32),
        short=short,
        refused=dict(refused.most_common()),
        candidate=short & np.array([why is None for why in reasons], dtype=np.bool_),
    )


def _who(message: Message) -> str:
    return message.person or f"group {message.chat}"
