"""One model in memory, and one reply at a time out of it, timed.

Times are what a person would feel: they start before the prompt is put together. MB are 2**20 bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jarvisd.plugin import JobFailed
from jobs.evaluate.replies import prompt
from jobs.evaluate.replies.prefix import Prefix
from jobs.lib.models import catalogue, loading, memory
from jobs.lib.models.catalogue import ModelEntry

MB = memory.MB
#: With less than this share of the weights in memory, something else was loaded than what lies on the disk.
MIN_LOADED = 0.8


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model in memory."""

    model: Any
    tokenizer: Any
    template: prompt.Template
    load_time_s: float
    load_peak_mb: float
    active_mb: float
    weights_mb: float
    process_mb: int  #: of Python, the libraries and the tokenizer
    cache_bytes_per_token: int | None  #: of keys and values; None where the config does not tell

    @property
    def remark(self) -> str:
        """Says so when less is in memory than the files hold."""
        if self.active_mb >= MIN_LOADED * self.weights_mb:
            return ""
        return f"only {self.active_mb:.0f} of {self.weights_mb:.0f} MB of weights are in memory"


@dataclass(kw_only=True)
class Generation:
    """One reply as it came out of the model."""

    rendered: str = ""
    ids: list[int] = field(default_factory=list)  #: of the prompt, as the model was given them
    text: str = ""
    finish_reason: str | None = None  #: "stop" | "length"; None = it did not get that far
    prompt_tokens: int | None = None
    tokens: int = 0  #: without the one that ends the reply
    ttft_ms: float | None = None  #: to the first visible text
    latency_ms: float | None = None
    peak_memory_mb: float | None = None
    _moments: list[float] = field(default_factory=lambda: [0.0, 0.0])  #: of the first and the last token

    @property
    def tokens_per_second(self) -> float | None:
        """(n - 1) / (time of the last token - time of the first): without the prompt and the end token."""
        first, last = self._moments
        return (self.tokens - 1) / (last - first) if self.tokens > 1 and last > first else None

    @property
    def inter_token_ms(self) -> float | None:
        """From one token to the next, on average, in ms."""
        return 1000 / self.tokens_per_second if self.tokens_per_second else None

    def took(self, text: str, moment: float) -> None:
        """Count one token that arrived."""
        self.tokens += 1
        self.text += text
        self._moments = [self._moments[0] if self.tokens > 1 else moment, moment]


def seed(scenario_id: str, place: int, sample: int) -> int:
    """31 bits that depend on the prompt and the sample alone: the same for every model, in every run."""
    digest = hashlib.sha256(f"{scenario_id}\0{place}\0{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def load(entry: ModelEntry, folder: Path, today: dt.date) -> Loaded:
    """Load a model from its folder. Raises JobFailed when mlx-lm cannot.

    `today` is the date for templates that write one into the prompt.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: a night never touches the network
    import mlx.core as mx
    from mlx_lm import load as load_folder

    mx.set_cache_limit(memory.CACHE_LIMIT_MB * MB)
    mx.reset_peak_memory()
    before, start = mx.get_active_memory(), time.perf_counter()
    try:
        model, tokenizer, *_ = load_folder(str(folder), tokenizer_config=loading.TOKENIZER_OPTIONS)
    except Exception as error:  # whatever a library raises for files it does not understand
        what = f"mlx-lm cannot load {entry.name} from {folder}: {loading.reason(error, folder)}"
        raise JobFailed(what, catalogue.remedy_unusable(entry)) from error
    load_time = time.perf_counter() - start
    prompt.complete_stops(tokenizer)
    config = catalogue.read_config(folder)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        template=_template(tokenizer, entry, today),
        load_time_s=load_time,
        load_peak_mb=mx.get_peak_memory() / MB,
        active_mb=(mx.get_active_memory() - before) / MB,
        weights_mb=catalogue.weight_bytes(folder) / MB,
        process_mb=memory.process_mb(config, catalogue.OVERHEAD_MB),
        cache_bytes_per_token=memory.cache_bytes_per_token(config),
    )


def _template(tokenizer: Any, entry: ModelEntry, today: dt.date) -> prompt.Template:
    """The model's template, tried out: one that raises would raise for every prompt."""
    try:
        template = prompt.Template(tokenizer, entry.template, today)
        template.render("Hi")
    except prompt.TemplateTimeout as error:
        what = f"the chat template of {entry.name} takes longer than {prompt.LIMIT_S:.0f} s"
        raise JobFailed(what, catalogue.remedy_unusable(entry)) from error
    except Exception as error:  # templates raise what they like
        what = f"the chat template of {entry.name} does not render a message ({type(error).__name__})"
        raise JobFailed(what, catalogue.remedy_unusable(entry)) from error
    return template


def process_peak_mb() -> float:
    """The most memory that this process ever held, as the system counts it: MLX knows nothing of Python."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024  # bytes there, kB here


def generate(
    loaded: Loaded,
    words: str,
    *,
    seed: int,
    max_tokens: int,
    temperature: float,
    stop: Callable[[], bool],
    earlier: prompt.Earlier = (),
    beginning: Prefix | None = None,
) -> Generation | None:
    """One reply to one prompt, or None when `stop()` came true on the way. Asked between any two tokens.

    A prompt that begins with `beginning` continues on a copy of it: the times are those of an assistant that keeps
    the beginning ready.
    """
    import mlx.core as mx
    from mlx_lm import stream_generate
    from mlx_lm.sample_utils import make_sampler

    mx.random.seed(seed)
    mx.reset_peak_memory()
    result, start = Generation(), time.perf_counter()
    rendered = loaded.template.render(words, earlier)
    result.rendered, result.ids, result.prompt_tokens = rendered.text, rendered.ids, len(rendered.ids)
    ready = beginning if beginning and beginning.begins(rendered.ids) else None
    stream = stream_generate(
        loaded.model,
        loaded.tokenizer,
        rendered.ids[len(ready.ids) :] if ready else rendered.ids,
        max_tokens=max_tokens,
        sampler=make_sampler(temp=temperature),
        prompt_cache=ready.copied() if ready else None,
    )
    try:
        for response in stream:
            _take(result, response, start)
            if result.finish_reason is None and not loaded.template.is_chat and is_whole_line(result.text):
                result.finish_reason = "stop"
            if result.finish_reason:
                break
            if stop():
                return None
    finally:
        stream.close()  # at once: the generator holds MLX's limits and buffers until then
    result.latency_ms = (time.perf_counter() - start) * 1000
    result.peak_memory_mb = mx.get_peak_memory() / MB
    return result


def _take(result: Generation, response: Any, start: float) -> None:
    """Add one response. The last of a reply that ended by itself carries the end token: it is not counted."""
    now = time.perf_counter()
    if response.finish_reason == "stop":
        result.text += response.text
    else:
        result.took(response.text, now)
    if result.ttft_ms is None and result.text.strip():
        result.ttft_ms = (now - start) * 1000
    result.finish_reason = response.finish_reason


def is_whole_line(text: str) -> bool:
    """A plain-text reply ends with its line: nothing else tells a model without a chat template to stop."""
    return "\n" in text.lstrip()
