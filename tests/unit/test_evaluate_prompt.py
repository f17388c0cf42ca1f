"""The text a model is given, with templates that behave like those of the compared models."""

from __future__ import annotations

import datetime as dt
import signal
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from jobs.evaluate.replies import prompt

PLAIN = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
PERSONA = "{% if messages[0].role != 'system' %}<system>You are Bot, made by Brand.{% endif %}" + PLAIN
REFUSES = "{% if messages[0].role == 'system' %}{{ raise('no system here') }}{% endif %}" + PLAIN
DROPS = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
THINKS = PLAIN + "{% if enable_thinking %}<think>{% endif %}"


TODAY = dt.date(2026, 1, 31)


class Tokenizer:
    """A chat template and one token a character."""

    def __init__(self, template: str | None, special: tuple[str, ...] = (), other: tuple[str, ...] = ()) -> None:
        self.chat_template, self.stops = template, set[str]()
        added = [(token, True) for token in special] + [(token, False) for token in other]
        self.added_tokens_decoder = {
            place: SimpleNamespace(content=token, special=is_special) for place, (token, is_special) in enumerate(added)
        }
        self.has_chat_template = template is not None

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool, **options: Any) -> str:
        def refuse(why: str) -> str:
            raise jinja2.TemplateError(why)

        def strftime_now(form: str) -> str:
            return f"tonight as {form}"

        source = options.pop("chat_template", self.chat_template) or ""
        helpers = {"raise": refuse, "strftime_now": strftime_now}
        return jinja2.Template(source).render(messages=messages, **helpers, **options)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [1] * add_special_tokens + [ord(character) for character in text]

    def add_eos_token(self, token: str) -> None:
        self.stops.add(token)


def rendered(template: str | None, **options: Any) -> str:
    return prompt.Template(Tokenizer(template), options, TODAY).render("Hi").text


def test_the_words_are_the_opening_the_message_and_the_instruction() -> None:
    assert prompt.content("Help.", "Ann: Hi", "Say hi") == "Help.\n\nAnn: Hi\n\nInstruction: Say hi"


@pytest.mark.parametrize("template", [PLAIN, REFUSES, DROPS])
def test_everything_is_one_user_message(template: str) -> None:
    assert rendered(template) == "<user>Hi<assistant>"


def test_a_persona_that_a_template_brings_is_replaced() -> None:
    assert rendered(PERSONA) == f"<system>{prompt.SYSTEM}<user>Hi<assistant>"


def test_thinking_is_off_whatever_the_options_say() -> None:
    assert "<think>" not in rendered(THINKS)
    assert "<think>" not in rendered(THINKS, enable_thinking=True)


def test_a_model_without_a_template_gets_plain_text() -> None:
    template = prompt.Template(Tokenizer(None), {}, TODAY)
    assert not template.is_chat
    assert template.render("Hi").text == "Hi\nReply:"
    assert template.render("Hi").ids[0] == 1  # with the special tokens that a base model expects


EARLIER = [("Ann: Up?", "yeah"), ("Bob: Ok?", "k")]
FORGETS = "{% for m in messages if m.role != 'assistant' %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
ONE_TURN = "{% if messages | length > 1 %}{{ raise('one turn') }}{% endif %}" + PLAIN
AS_TEXT = "Ann: Up?\nReply: yeah\n\nBob: Ok?\nReply: k\n\nHi"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (PLAIN, "<user>Ann: Up?<assistant>yeah<user>Bob: Ok?<assistant>k<user>Hi<assistant>"),
        (PERSONA, f"<system>{prompt.SYSTEM}<user>Ann: Up?<assistant>yeah<user>Bob: Ok?<assistant>k<user>Hi<assistant>"),
        (FORGETS, f"<user>{AS_TEXT}<assistant>"),
        (ONE_TURN, f"<user>{AS_TEXT}<assistant>"),
        (None, f"{AS_TEXT}\nReply:"),
    ],
)
def test_earlier_replies_are_turns_of_the_assistant_or_text_where_a_template_has_none(
    template: str | None, expected: str
) -> None:
    assert prompt.Template(Tokenizer(template), {}, TODAY).render("Hi", EARLIER).text == expected


def test_a_rendered_template_gets_no_second_begin_token() -> None:
    assert prompt.Template(Tokenizer(PLAIN), {}, TODAY).render("Hi").ids[0] == ord("<")


def test_every_end_of_turn_in_the_vocabulary_ends_a_reply() -> None:
    tokenizer = Tokenizer(PLAIN, ("<|end|>", "<end_of_turn>", "word"))
    prompt.complete_stops(tokenizer)
    assert tokenizer.stops == {"<|end|>", "<end_of_turn>"}


@pytest.mark.parametrize(
    "token",
    [
        *("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>"),
        *("<|assistant|>", "<|user|>", "<|im_start|>", "<start_of_turn>"),
    ],
)
def test_ends_that_a_model_does_not_declare_and_roles_of_the_next_turn_end_a_reply(token: str) -> None:
    """Where the token is special: to Gemma `</s>` is an HTML tag."""
    declared, ordinary = Tokenizer(PLAIN, (token,)), Tokenizer(PLAIN, (), (token,))
    prompt.complete_stops(declared)
    prompt.complete_stops(ordinary)
    assert (declared.stops, ordinary.stops) == ({token}, set())


DATED = "<date>{% set today = strftime_now('%d %B %Y') %}{{ today }} {{ strftime_now(\"%Y-%m-%d\") }}</date>"


def test_a_date_in_the_prompt_is_that_of_the_run_in_the_formats_of_the_template() -> None:
    """A night goes past midnight; its rounds ask the same prompts."""
    assert rendered(DATED + PLAIN) == "<date>31 January 2026 2026-01-31</date><user>Hi<assistant>"


def test_a_template_without_a_date_stays_as_it_is() -> None:
    assert "chat_template" not in prompt.Template(Tokenizer(PLAIN), {}, TODAY)._options


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% if a < 0 %}x{% endif %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize("template", [ENDLESS, "{% if messages[0]['role'] == 'system' %}" + ENDLESS + "{% endif %}"])
def test_a_template_that_does_not_end_is_given_up(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only the trial with a system message does not end."""
    monkeypatch.setattr(prompt, "LIMIT_S", 0.2)
    with pytest.raises(prompt.TemplateTimeout):
        prompt.Template(Tokenizer(template), {}, TODAY).render("Hi")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
