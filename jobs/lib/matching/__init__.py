"""Matching incoming messages with the owner's templates. `Matcher` is the call for other programs."""

from __future__ import annotations

from typing import Any

__all__ = ["Answer", "Draft", "Matcher"]  # loaded when first asked for: numpy takes its time


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    from jobs.lib.matching import drafts

    return getattr(drafts, name)
