"""The exact text a model is given: the same words for all, only the template around them differs."""

from __future__ import annotations

import datetime as dt
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

#: Tokens that end a turn, or can only begin another one, in one family of models or another. mlx-lm knows those that
#: a model's files declare, and converters of 2024 wrote no generation_config.json, which declares most of them.
TURN_ENDS = (
    *("<|end|>", "<end_of_turn>", "<|im_end|>", "<|eot_id|>"),
    *("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>"),
    *("<|assistant|>", "<|user|>", "<|im_start|>", "<start_of_turn>"),
)
#: Says nothing that the prompt does not say. Repeating the prompt's opening here makes small models echo it.
SYSTEM = "You write text messages."
#: The format of a date that a template asks for: strftime_now("%d %B %Y").
_FORMAT = re.compile(r"""strftime_now\(\s*["']([^"'\\{}]*)["']\s*\)""")
#: Seconds that a template may take; a good one takes milliseconds.
LIMIT_S = 10.0
_MARK = "§ 7f3a §"  # stands in for a system text or a reply while a template is tried out

#: Words of prompts that come before, each with the reply to it that the model is shown.
Earlier = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Rendered:
    """A prompt as text and as token ids."""

    text: str
    ids: list[int]


def content(opening: str, context: str, instruction: str) -> str:
    """The words of a prompt."""
    return f"{opening}\n\n{context}\n\nInstruction: {instruction}"


def as_text(words: str, earlier: Earlier) -> str:
    """Earlier prompts with their replies and the words of this one, for a model that is given plain text."""
    return "\n\n".join([*(f"{asked}\nReply: {reply}" for asked, reply in earlier), words])


class TemplateTimeout(Exception):
    """A model's template did not render within LIMIT_S."""


@contextmanager
def _limited() -> Iterator[None]:
    """Raise TemplateTimeout after LIMIT_S: a template is a program, and comes with the model. Only in a main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    has_expired = False

    def expire(_number: int, _frame: object) -> None:
        nonlocal has_expired
        has_expired = True
        raise TemplateTimeout

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    except Exception as error:
        if has_expired:  # jinja2 may raise an exception of its own while it looks for the line
            raise TemplateTimeout(f"not rendered within {LIMIT_S:.0f} s") from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Template:
    """Puts the words of a prompt into the form that one model was trained on.

    One user message holds a whole prompt: some templates drop a system message and some refuse it. Replies to earlier
    prompts are turns of the assistant, where the template writes them; else all is text. Where a
    template would put a system text of its own before the user's (a brand's persona), SYSTEM stands there
    instead. A template that writes today's date gets `today`, so that all prompts of a run are the same. A model
    without a chat template is given plain text that ends in "Reply:", and its reply is one line.
    """

    def __init__(self, tokenizer: Any, options: Mapping[str, Any], today: dt.date) -> None:
        self._tokenizer = tokenizer
        # Never left to mlx-lm, which switches thinking on for every tokenizer that knows the token.
        self._options = {**options, "enable_thinking": False, "add_generation_prompt": True}
        template = getattr(tokenizer, "chat_template", None)
        if isinstance(template, str) and "strftime_now" in template:
            self._options["chat_template"] = with_date(template, today)
        self.is_chat = bool(tokenizer.has_chat_template)
        self._system = SYSTEM if self.is_chat and self._brings_its_own_system() else None
        self._takes_turns = self.is_chat and self._writes_replies()

    def render(self, words: str, earlier: Earlier = ()) -> Rendered:
        """Text and ids. Raises whatever the model's template raises."""
        if not self._takes_turns:
            words, earlier = as_text(words, earlier), ()
        if self.is_chat:
            text = self._apply(words, self._system, earlier)
            return Rendered(text, self._tokenizer.encode(text, add_special_tokens=False))
        text = f"{words}\nReply:"
        return Rendered(text, self._tokenizer.encode(text))

    def _apply(self, words: str, system: str | None, earlier: Earlier = ()) -> str:
        messages = [{"role": "system", "content": system}] if system else []
        for asked, reply in earlier:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}]
        messages.append({"role": "user", "content": words})
        with _limited():
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, **self._options))

    def _brings_its_own_system(self) -> bool:
        """Whether the template adds a system text: then rendering with our own system message gives a shorter frame."""
        try:
            given = self._apply("words", _MARK)
        except TemplateTimeout:
            raise
        except Exception:  # templates raise what they like when they refuse a system message
            return False
        return _MARK in given and len(given) - len(_MARK) < len(self._apply("words", None))

    def _writes_replies(self) -> bool:
        """Whether the template writes a reply of the assistant that stands before the last message."""
        try:
            return _MARK in self._apply("words", self._system, [("words", _MARK)])
        except TemplateTimeout:
            raise
        except Exception:  # templates raise what they like
            return False


def with_date(template: str, today: dt.date) -> str:
    """`template` with its own strftime_now, which writes `today` in the formats that the template asks for.

    A macro, because transformers turns a function among the options into text.
    """
    formats = sorted(set(_FORMAT.findall(template)))
    cases = "".join(f'{{%- if format == "{item}" -%}}{today.strftime(item)}{{%- endif -%}}' for item in formats)
    return "{%- macro strftime_now(format) -%}" + cases + "{%- endmacro %}" + template


def complete_stops(tokenizer: Any) -> None:
    """Let every token that ends a turn end the reply, also where the model's files do not say so.

    Special tokens alone: to Gemma `</s>` is the end of text that is struck through.
    """
    for token in tokenizer.added_tokens_decoder.values():
        if token.special and token.content in TURN_ENDS:
            tokenizer.add_eos_token(token.content)
