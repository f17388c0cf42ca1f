"""What the ranker is given of a turn: vectors of three texts, and a few numbers.

Training and serving share this module. Whoever asks without context gives the text alone; the ranker is trained on
turns with and without it, so that both are known to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching.rules import form_of

VERSION = 1
#: Lengths of the three vectors and of the numbers in relation to that of the incoming text.
_CONTEXT, _NUMBERS = 0.7, 0.5
#: The columns of `numbers` that say what came before the turn; all 0 where that is not known.
CONTEXT = slice(6, 10)
_SOON_S = 120.0  # a silence shorter than this is one conversation
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn as the ranker sees it."""

    messages: tuple[str, ...]  #: that came in, oldest first
    previous: str | None = None  #: the owner's message before them; None where there was none or it is not known
    silence_s: float | None = None  #: between the two; None where it is not known

    @property
    def forms(self) -> tuple[str, str, str]:
        """The texts that are compared: the whole turn, its last message, the owner's message before; "" for none."""
        return form_of(" ".join(self.messages)), form_of(self.messages[-1]), form_of(self.previous or "")


def numbers(asked: Asked) -> list[float]:
    """Ten numbers of about the size of 1."""
    text = " ".join(asked.messages).strip()
    words = len(text.split())
    silence = asked.silence_s
    return [
        float("?" in text),
        float(text.endswith("?")),
        math.log1p(words) / 3,
        float(words <= 2),
        float(words <= 5),
        float(len(asked.messages) > 1),
        float(bool(asked.previous)),
        float(silence is not None),
        0.0 if silence is None else math.log1p(max(0.0, silence)) / 10,
        float(silence is not None and silence < _SOON_S),
    ]


def stack(turn: Values, last: Values, previous: Values, rows: Values | Sequence[Sequence[float]]) -> Values:
    """(n, inputs) of unit vectors (n, d) each, zeros where there is no such text, and `rows` of numbers."""
    scaled = np.asarray(rows, dtype=np.float32).reshape(len(turn), -1) * np.float32(_NUMBERS)
    context = np.float32(_CONTEXT)
    return np.concatenate([turn, context * last, context * previous, scaled], axis=1).astype(np.float32)
