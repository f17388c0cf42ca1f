"""The kinds of messages that the owner said never to answer: the key s of `jarvisctl review`.

A kind is the message itself, spelling aside, and every message within SAME_KIND of it under the matcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching.rules import SLACK, form_of
from jobs.lib.reviews import verdicts

Vector = NDArray[np.float32]

#: What `about` says of such a message.
ABOUT = "a message that you said never to answer, or one much like it"
#: The cosine from which two messages are of one kind. Of 40 pairs of different short messages this near under MiniLM,
#: 37 said the same; from 0.75 on it were four of five, and some said the opposite.
SAME_KIND = 0.8


class Never:
    """never = Never.of_owner(matcher.vector); never.covers("how much do you earn?")"""

    def __init__(self, texts: Iterable[str], vector: Callable[[str], Vector]) -> None:
        """`vector` embeds a normal form as a unit vector; it is first called when a message needs it."""
        self._forms = tuple(sorted({form for text in texts if (form := form_of(text))}))
        self._vector = vector
        self._vectors: Vector | None = None

    @classmethod
    def of_owner(cls, vector: Callable[[str], Vector]) -> Never:
        """By the owner's answers, the database being open."""
        return cls(verdicts.never_answered(), vector)

    def covers(self, text: str) -> bool:
        """Whether the message is of such a kind. Raises what `vector` raises."""
        form = form_of(text)
        if not form or not self._forms:
            return False
        return form in self._forms or float((self._rows() @ self._vector(form)).max()) >= SAME_KIND - SLACK

    def _rows(self) -> Vector:
        """(kinds, size)"""
        if self._vectors is None:
            self._vectors = np.stack([self._vector(form) for form in self._forms])
        return self._vectors
