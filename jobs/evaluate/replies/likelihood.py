"""How surprised a model is by what the owner really wrote: bits for each character of the answer.

One forward pass and no sampling, so there is no noise in it. It is normalised by characters because tokenizers differ:
bits per token would favour a model that cuts a text into more tokens. The measure is the cross-entropy of Shannon,
"Prediction and Entropy of Printed English" (1951), with the model as the predictor; 8 is a model that knows nothing
of bytes. The token that ends a turn is not counted. Tuning for chat shifts it, so it is shown and breaks ties, and is
never part of a sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jobs.evaluate.replies.generate import Loaded
from jobs.evaluate.replies.prefix import Prefix


def bits_per_character(
    loaded: Loaded, prompt_ids: Sequence[int], answer: str, beginning: Prefix | None = None
) -> float | None:
    """-sum(log2 p(token | what stands before it)) / characters of `answer`, after the prompt; None for no answer.

    The prompt's own logits are never computed: a vocabulary of 262,000 would take 0.3 GB for them. What a prompt
    shares with `beginning` is not computed again.
    """
    import mlx.core as mx

    text = answer if loaded.template.is_chat else f" {answer}"  # after "Reply:"
    ids = loaded.tokenizer.encode(text, add_special_tokens=False)
    if not ids:
        return None
    ready = beginning if beginning and beginning.begins(prompt_ids) else Prefix.empty(loaded.model)
    cache = ready.longer(list(prompt_ids[:-1])).cache
    given = mx.array([prompt_ids[-1], *ids[:-1]])
    logits = loaded.model(given[None], cache=cache)[0].astype(mx.float32)  # (tokens of the answer, vocabulary)
    chosen = mx.take_along_axis(logits, mx.array(ids)[:, None], axis=-1)[:, 0]
    nats = (mx.logsumexp(logits, axis=-1) - chosen).sum().item()
    return float(nats) / math.log(2) / len(answer)
