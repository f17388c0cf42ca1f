"""Checks of a loaded model before its replies count: the first reply, and the memory at its peak.

The first reply is not kept. Its time is shown as the cold one, and it warms MLX up for the others: its prompt has the
same length because MLX compiles one kernel per length.
"""

from __future__ import annotations

import re
from typing import Any

from jarvisd.plugin import JobFailed
from jobs.evaluate.replies import generate
from jobs.evaluate.replies.generate import Generation, Loaded
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry

#: Memory that the rest of the computer cannot do without, in MB.
MARGIN_MB = 1024
#: No prompt has this one: seeds of replies depend on their prompt.
SEED = 0
#: Marks of a wrong tokenizer, which puts tokens together wrongly; people do not type them.
_PIECES = re.compile(r"[ĠĊ▁]|<pad>")


def first_reply(loaded: Loaded, entry: ModelEntry, words: str, **options: Any) -> Generation | None:
    """The cold reply; None when it was asked to stop. Raises JobFailed when there is none to be had.

    `options` are those of `generate.generate`: max_tokens, temperature, stop, earlier.
    """
    try:
        result = generate.generate(loaded, words, seed=SEED, **options)
    except MemoryError:
        raise
    except Exception as error:  # its text may quote the prompt, so only its type is kept
        what = f"{entry.name} broke off in its first reply with {type(error).__name__}"
        raise JobFailed(what, catalogue.remedy_unusable(entry)) from error
    if result is not None and _PIECES.search(result.text):
        what = f"{entry.name} writes broken tokens: its tokenizer does not fit"
        raise JobFailed(what, catalogue.remedy_unusable(entry))
    return result


def check_memory(entry: ModelEntry, peak_mb: float, physical_mb: float) -> None:
    """Raise JobFailed where the model leaves the rest of the computer too little."""
    if peak_mb + MARGIN_MB > physical_mb:
        raise JobFailed(
            f"{entry.name} takes {peak_mb:.0f} MB at its peak, and this computer has {physical_mb:.0f} MB",
            "Leave it out of evaluate.models, or name a build with fewer bits.",
        )
