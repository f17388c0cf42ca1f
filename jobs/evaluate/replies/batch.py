"""Several replies at once: for more samples of a prompt, which are not timed.

What prompts share at their beginning is computed once, and all of a prompt but its last token once for all its
samples (see prefix.py). Every sequence has a sampler and a random key of its own, split as MLX splits its global one,
so a reply depends on its own seed and not on its neighbours. It equals the reply generated alone wherever the
arithmetic does: sums over a batch may be rounded differently, which very rarely changes a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jobs.evaluate.replies import prefix
from jobs.evaluate.replies.generate import Generation, Loaded, is_whole_line
from jobs.evaluate.replies.prefix import Prefix
from jobs.evaluate.replies.prompt import Rendered
from jobs.lib.models import memory


class CannotBatch(Exception):
    """The model, or a prompt, does not work in a batch; the text names the kind of error alone."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # caches that cannot be merged raise ValueError, templates what they like
        raise CannotBatch(type(error).__name__) from error


class Batch:
    """Replies in the making.

    batch = Batch(loaded, prompts, max_tokens=50, temperature=0.7)
    place = batch.add(prompts[0], seed)     # as long as batch.has_room
    for place, generation in batch.step(): ...   # those that this step finished
    batch.close()
    """

    def __init__(
        self,
        loaded: Loaded,
        words: Sequence[str],
        *,
        max_tokens: int,
        temperature: float,
        memory_mb: int,
        size: int | None = None,
    ) -> None:
        """`words` are those of every prompt that will be added. Every method raises CannotBatch.

        `memory_mb` is what the process may take, 0 where it is unknown; `size` None = as many as fit.
        """
        from mlx_lm.generate import BatchGenerator

        self._loaded, self._temperature = loaded, temperature
        self._replies: dict[int, _Reply] = {}
        with _translated():
            self._prompts = {text: loaded.template.render(text) for text in dict.fromkeys(words)}
            ids = [prompt.ids for prompt in self._prompts.values()]
            longest = max(map(len, ids)) + max_tokens
            self.size = size or fitting_size(loaded, memory_mb, longest)
            self._shared = Prefix.empty(loaded.model).longer(prefix.common([tokens[:-1] for tokens in ids]))
            self._last = self._shared
            self._generator = BatchGenerator(
                loaded.model,
                max_tokens=max_tokens,
                stop_tokens=[[token] for token in loaded.tokenizer.eos_token_ids],
                completion_batch_size=self.size,
                prefill_batch_size=self.size,
            )

    @property
    def has_room(self) -> bool:
        return len(self._replies) < self.size

    def add(self, words: str, seed: int) -> int:
        """Begin a reply; the number that `step` will name it by."""
        rendered = self._prompts[words]
        with _translated():
            if self._last.ids != rendered.ids[:-1]:
                self._last = self._shared.longer(rendered.ids[:-1])
            (place,) = self._generator.insert(
                [rendered.ids[-1:]],
                caches=[self._last.copied()],
                samplers=[_Sampler(seed, self._temperature)],
            )
            self._replies[place] = _Reply(self._loaded, rendered)
        return int(place)

    def step(self) -> list[tuple[int, Generation]]:
        """One more token for every reply; those that are finished by it, which the batch forgets."""
        with _translated():
            for response in self._generator.next_generated():
                self._replies[response.uid].took(response.token, response.finish_reason)
        done = [place for place, reply in self._replies.items() if reply.is_finished]
        with _translated():
            cut = [place for place in done if self._replies[place].is_cut]
            if cut:
                self._generator.remove(cut)
        return [(place, self._replies.pop(place).generation()) for place in done]

    def close(self) -> None:
        """Give back the limits that the generator set."""
        self._generator.close()


def fitting_size(loaded: Loaded, memory_mb: int, longest: int) -> int:
    """Replies at once whose caches fit into `memory_mb` beside the weights; `longest` is in tokens."""
    if not memory_mb or loaded.cache_bytes_per_token is None:
        return memory.USUAL_BATCH
    room = memory_mb - loaded.weights_mb - loaded.process_mb - memory.CACHE_LIMIT_MB
    return memory.batch_size(room, loaded.cache_bytes_per_token, longest)


class _Sampler:
    """Draws for one sequence: what mlx-lm's sampler does with the global key, with a key of its own."""

    def __init__(self, seed: int, temperature: float) -> None:
        import mlx.core as mx

        self._key, self._temperature = mx.random.key(seed), temperature

    def __call__(self, logprobs: Any) -> Any:
        """Tokens (1,) of log probabilities (1, vocabulary)."""
        import mlx.core as mx

        if self._temperature == 0:
            return mx.argmax(logprobs, axis=-1)
        self._key, drawn = mx.random.split(self._key)
        return mx.random.categorical(logprobs * (1 / self._temperature), key=drawn)


class _Reply:
    """One sequence of the batch, put together as mlx-lm's stream does."""

    def __init__(self, loaded: Loaded, rendered: Rendered) -> None:
        self._rendered, self._is_chat = rendered, loaded.template.is_chat
        self._detokenizer = loaded.tokenizer.detokenizer
        self._tokens = 0
        self._finish: str | None = None
        self.is_cut = False  #: it ended before the generator knew

    @property
    def is_finished(self) -> bool:
        return self._finish is not None

    def took(self, token: int, finish_reason: str | None) -> None:
        self._finish = finish_reason
        if finish_reason == "stop":
            return
        self._detokenizer.add_token(token)
        self._tokens += 1
        if finish_reason is None and not self._is_chat and is_whole_line(self._detokenizer.text):
            self._finish, self.is_cut = "stop", True

    def generation(self) -> Generation:
        """Without any times: they would be those of the batch."""
        self._detokenizer.finalize()
        return Generation(
            rendered=self._rendered.text,
            ids=self._rendered.ids,
            text=self._detokenizer.text,
            finish_reason=self._finish,
            prompt_tokens=len(self._rendered.ids),
            tokens=self._tokens,
        )
