"""Whether a reply tells whose it is: a vote on it would not be blind."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from jobs.lib.marks import names_itself

#: Names of models and makers that a person does not write in a message to a friend.
_NAMES = re.compile(
    r"\b(?:qwen[\d.]*|smol ?lm[\d.]*|chat ?gpt|gpt-?\d\w*|deepseek|ministral|mistral ai|phi-\d|gemma-?\d\w*"
    r"|llama-?\d\w*|alibaba|openai|anthropic|hugging ?face|liquid ?ai|lfm-?\d[\w.]*)\b",
    re.IGNORECASE,
)
#: Letters of the shortest key of a model that is searched for: a shorter one may be a word.
_SHORTEST_KEY = 5


def tells(models: Collection[str]) -> Callable[[str], bool]:
    """A test whether a reply names a model or its maker; `models` are the keys of those that are compared."""
    keys = [re.escape(key) for key in models if len(key) >= _SHORTEST_KEY]
    own = re.compile(rf"\b(?:{'|'.join(keys)})\b", re.IGNORECASE) if keys else None
    return lambda reply: (
        names_itself(reply) or _NAMES.search(reply) is not None or (own is not None and own.search(reply) is not None)
    )
