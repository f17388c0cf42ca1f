"""The beginning that several prompts share, computed once.

Each prompt continues on a deep copy. Never by trimming a cache: rotating ones (Gemma's) silently do not.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import takewhile
from typing import Any


def common(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The tokens with which all of them begin."""
    same = (len(set(tokens)) == 1 for tokens in zip(*prompts, strict=False))
    return list(prompts[0][: sum(takewhile(bool, same))])


class Prefix:
    """The computed beginning of a prompt."""

    def __init__(self, model: Any, ids: list[int], cache: list[Any]) -> None:
        self._model, self.ids, self.cache = model, ids, cache

    @classmethod
    def empty(cls, model: Any) -> Prefix:
        from mlx_lm.models.cache import make_prompt_cache

        return cls(model, [], make_prompt_cache(model))

    def begins(self, ids: Sequence[int]) -> bool:
        """Whether a prompt begins with these tokens and has at least one more."""
        return len(ids) > len(self.ids) and list(ids[: len(self.ids)]) == self.ids

    def copied(self) -> list[Any]:
        """A cache for one prompt to continue on."""
        return copy.deepcopy(self.cache)

    def longer(self, ids: list[int]) -> Prefix:
        """A copy, continued to `ids`, which begin with those that are there."""
        import mlx.core as mx

        cache = self.copied()
        rest = ids[len(self.ids) :]
        if rest:
            self._model(mx.array(rest)[None], cache=cache)
            mx.eval([part.state for part in cache])
        return Prefix(self._model, ids, cache)
