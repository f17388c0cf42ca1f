"""What is wrong with a reply, and which yes/no checks it passes. Pure functions on text; no model is asked.

A failure (empty, cut off, thinking aloud, broken tokens) makes the quality 0, and so does a placeholder, an assistant's
voice or an echo (WORTHLESS). Otherwise it is form times content, because neither makes up for the other. Form halves
with each other general check that fails. Content is 1 where all checks that scenarios.yaml declares for the prompt
pass. Where some fail it is PARTIAL times the share that passed, and 0 where no `says` was found: a reply that says
something else is worth nothing, whatever it lacks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.evaluate.scenarios import Check, Prompt, PromptDefaults, Scenario

#: Patterns see at most this many characters of a reply: a longer one fails its length check anyway.
MAX_MATCHED = 1000

#: Some templates open the block in the prompt, so that a reply only closes it.
_THINKING = re.compile(r"\A(?:.*?</think(?:ing)?>|\s*<think(?:ing)?>.*\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?think(?:ing)?>", re.IGNORECASE)
#: Traces of a wrong tokenizer, which puts tokens together wrongly, and stop tokens that were taken for text.
_BROKEN = re.compile(
    r"[ĠĊ▁]|<pad>|<unk>|<0x[0-9A-F]{2}>|<\|[a-z_]{2,30}\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]|\ufffd(?!\s*\Z)"
)
#: A turn's role at the start of a line: the model continued as another person.
_ROLE = re.compile(r"^\s*(?:(?:assistant|system|human)\s*(?::|$)|user\s*$)", re.MULTILINE | re.IGNORECASE)
_CLOSING = "\"'”’)]*"
#: General checks without which a reply is worth nothing; any other halves it.
WORTHLESS = frozenset({"no placeholder", "no assistant's voice", "own words", "no abuse"})
MALFORMED = 0.5
#: The most that a reply can reach that fails a check of its prompt.
PARTIAL = 0.25


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A reply as it is shown and counted."""

    reply: str  #: cleaned: without thinking, without surrounding white space
    failure: str | None
    thinking: int  #: characters of a think block that was taken off
    checks: dict[str, bool]
    quality: float  #: 0..1


def judge(raw: str, finish_reason: str | None, defaults: PromptDefaults, scenario: Scenario, prompt: Prompt) -> Verdict:
    """Clean a reply, look for a failure, run its checks. finish_reason is "stop", "length" or None."""
    reply, thinking = clean(raw)
    wrong = failure(reply, thinking > 0, finish_reason)
    checks = run_checks(reply, defaults, scenario, prompt)
    quality = 0.0 if wrong else form(checks, defaults) * content(checks, scenario, prompt)
    return Verdict(reply=reply, failure=wrong, thinking=thinking, checks=checks, quality=quality)


def form(checks: Mapping[str, bool], defaults: PromptDefaults) -> float:
    """0..1 by the general checks: whether it is a message that a person could send at all."""
    failed = {name for name in defaults.every_reply if not checks[name]}
    return 0.0 if failed & WORTHLESS else float(MALFORMED ** len(failed))


def content(checks: Mapping[str, bool], scenario: Scenario, prompt: Prompt) -> float:
    """0..1 by the declared checks: whether it says what was asked for. 1 where none is declared."""
    declared = scenario.checks | prompt.checks
    if all(checks[name] for name in declared):
        return 1.0
    says = [name for name, check in declared.items() if check.says]
    if says and not any(checks[name] for name in says):
        return 0.0
    return PARTIAL * sum(checks[name] for name in declared) / len(declared)


def clean(raw: str) -> tuple[str, int]:
    """The reply without a leading think block, and how many characters that had: 0 where nothing stood in it.

    Prompts that switch thinking off hold an empty block, so a model may repeat it.
    """
    reply = _THINKING.sub("", raw, count=1)
    block = raw[: len(raw) - len(reply)]
    return reply.strip(), len(block) if _TAG.sub("", block).strip() else 0


def failure(reply: str, thought: bool, finish_reason: str | None) -> str | None:
    """Why a reply is no reply at all, or None."""
    if thought:
        return "leaked thinking"
    if reply.endswith("\ufffd"):  # an emoji of several tokens, cut in the middle
        return "truncated"
    if not any(character.isalnum() or _is_symbol(character) for character in reply):
        return "empty"
    if _BROKEN.search(reply) or _ROLE.search(reply):
        return "broken tokens"
    if finish_reason == "length" and not ends_a_sentence(reply):
        return "truncated"
    return None


def ends_a_sentence(reply: str) -> bool:
    """Whether a text stops where a person would: after . ! ? … ~, or after an emoji."""
    text = reply.rstrip().rstrip(_CLOSING)
    return bool(text) and (text[-1] in ".!?…~" or _is_symbol(text[-1]))


def _is_symbol(character: str) -> bool:
    """An emoji or a part of one (its variation selector, skin tone or joiner)."""
    is_symbol = unicodedata.category(character) in ("So", "Sk") or character in "\ufe0f\u200d"
    return is_symbol and character != "\ufffd"  # which stands for bytes that are no character


# ----------------------------------------------------------------------------------------------------- checks


def run_checks(reply: str, defaults: PromptDefaults, scenario: Scenario, prompt: Prompt) -> dict[str, bool]:
    """Every check that counts for this prompt, by name: general ones, the scenario's, the prompt's own."""
    about = About(
        incoming=scenario.context,
        instruction=prompt.instruction,
        opening=defaults.opening,
        max_words=prompt.max_words or defaults.max_words,
    )
    shown = reply[:MAX_MATCHED]
    results = {name: GENERAL[name](shown, about) for name in defaults.every_reply}
    text = plain(shown)
    for declared in (scenario.checks, prompt.checks):
        results |= {name: passes(check, text) for name, check in declared.items()}
    return results


def passes(check: Check, text: str) -> bool:
    """Whether a text (see `plain`) satisfies all that a declared check states."""
    count = len(words(text))
    return (
        (not check.says or _any(check.says, text))
        and not _any(check.lacks, text)
        and (check.min_words is None or count >= check.min_words)
        and (check.max_words is None or count <= check.max_words)
    )


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def plain(text: str) -> str:
    """A text as patterns see it: one line, straight quotes, lower case."""
    straight = text.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
    return " ".join(straight.lower().split())


def words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['-]\w+)*", plain(text))


@dataclass(frozen=True, kw_only=True)
class About:
    """What a general check may know of the prompt."""

    incoming: str
    instruction: str
    opening: str
    max_words: int


_PLACEHOLDER = re.compile(
    r"\[[^\]\n]{1,40}\]|\{[^}\n]{1,40}\}|<[a-z][^<>\n]{0,40}>|_{3,}|\bx{3,}\b"
    r"|\b(?:your|friend's|mom's|colleague's|recipient's|sender's) name\b",
    re.IGNORECASE,
)
_ASSISTANT = tuple(
    re.compile(pattern)
    for pattern in (
        r"\bas an? (?:ai|artificial|large language|language model|virtual|assistant|digital)\b",
        r"\b(?:i'm|i am) (?:just )?(?:an? )?(?:ai|large language model|language model|chatbot|bot)\b",
        r"\b(?:i'm|i am) (?:always )?(?:(?:here|ready) to help|(?:here|ready|happy|able) to assist)\b",
        r"\bhere(?:'s| is| are) (?:[\w,]+ ){0,5}(?:repl(?:y|ies)|responses?|drafts?|options?|examples?)\b",
        r"\b(?:how|what) (?:can|may|else can) i (?:help|assist|do for)\b",
        r"\bi can(?:not|'t) (?:assist|fulfil|comply|help (?:you )?with (?:that|this|your)\b(?! (?:right )?now))",
        r"\bi(?:'m| am) (?:not able|unable|not capable) (?:to|of) (?:assist|help|fulfil|comply|perform|provid|access)",
        r"\bi (?:do not|don't) have (?:access\b|the ability|(?:a )?(?:physical|personal|real-time|feelings|emotions))",
        r"\bsorry if i can't help\b|\bon your behalf\b|\bcomputer program\b|\b(?:virtual|ai|digital) assistant\b",
        r"\b(?:can|may|could|would) i (?:help|assist) you\b|\banything (?:else )?(?:that )?i can (?:help|assist|do)\b",
        r"\bplease provide (?:me|more|the|additional)\b|\b(?:further|additional) (?:assistance|questions|information)",
        r"\byour request (?:cannot|can't|has been)\b|\bwhatever (?:else )?you need (?:help|assistance)\b",
        # The model's name or its maker's.
        r"\b(?:qwen\d*|smollm\d*|chatgpt|gpt-\d|deepseek|ministral|alibaba|openai|anthropic|hugging ?face)\b",
        r"\b(?:i'm|i am|as|named|model|-) (?:a |the )?(?:model )?(?:llama|gemma|claude|mistral|phi-?\d|gemini)\b",
        r"\b(?:let me know|feel free|don't hesitate)\b.{0,40}\b(?:questions?|assistance|further|changes)\b",
        r"\b(?:i )?hope (?:this|that) helps\b",
        r"\byou (?:could|can|might|may) (?:say|reply|respond|write|send|text)\b",
        r"\b(?:reply|response) (?:to|for) (?:the|your|their|this) (?:message|friend|mom|colleague|text)\b",
        r"\b(?:the user|the sender|the recipient)\b",
        r"\b(?:a|an|the|this|your|my) (?:\w+ )?(?:reply|response|instruction)\b",
        r"\bi(?:'ll| will|'d| would) (?:respond|reply|write|say)\b",
        r"\bi-?message\b|\byou(?:'re| are) helping\b",
    )
)
#: Never a joke between any two people. Milder words are signs that the second reader weighs (signs.py).
_ABUSE = re.compile(
    r"\b(?:fuck|screw|damn) (?:off|you|u)\b|\b(?:drop dead|go to hell|piss off|shut up|kill yourself|kys|stfu|gtfo)\b"
    r"|\b(?:hope|wish) (?:that )?(?:you|u|they|she|he) (?:die|crash|choke|drown)\b"
    r"|\b(?:i|we) (?:really |just )?(?:hate|despise) (?:you|u)\b"
)
_MARKUP = re.compile(
    r"\*\*|\*\w[^*\n]*\*|__|`|^\s*#{1,6} |^\s*[-*•] |^\s*\d{1,2}[.)] |\]\(|\boption \d",
    re.MULTILINE | re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:^|[\n.!?])\s*(?:reply|response|answer|draft|message|text|me|you|user|assistant|imessage|sms|subject|note"
    r"|friend|mom|dad|colleague|instruction|instructor|sender|recipient|e-?mail|example|output|[ab])\s*:",
    re.IGNORECASE,
)
_SPEECH = re.compile(r'["“][^"”\n]{12,}["”]')  # a quotation: the text is about a message, it is none
_QUOTES = "\"'“”‘’«»"


def _one_message(reply: str, _: About) -> bool:
    return len([line for line in reply.splitlines() if line.strip()]) == 1


def _short_enough(reply: str, about: About) -> bool:
    return len(words(reply)) <= about.max_words


def _no_placeholder(reply: str, _: About) -> bool:
    return not _PLACEHOLDER.search(reply)


def _no_assistant(reply: str, _: About) -> bool:
    text = plain(reply)
    return not any(pattern.search(text) for pattern in _ASSISTANT)


def _plain_text(reply: str, _: About) -> bool:
    """No markdown, no label before it, not in quotation marks."""
    text = reply.strip()
    quoted = len(text) > 1 and text[0] in _QUOTES and any(mark in _QUOTES for mark in text[1:])
    marked = any(pattern.search(text) for pattern in (_MARKUP, _LABEL, _SPEECH))
    return not marked and not (quoted and not _is_contraction(text))


def _is_contraction(text: str) -> bool:
    """'Course I can, 'twas fun: an apostrophe at the start, and none at the end."""
    return text[0] in "'’" and text[1].isalpha() and text[-1] not in _QUOTES


def _own_words(reply: str, about: About) -> bool:
    """Repeats neither the message it answers, nor the instruction, nor the prompt's opening."""
    reply_words = words(reply)
    incoming = words(about.incoming.partition(":")[2] or about.incoming)
    instruction = words(about.instruction)
    repeated = len(incoming) >= 4 and _holds(reply_words, incoming)
    obeyed = len(instruction) >= 2 and reply_words[: len(instruction)] == instruction
    return not (repeated or obeyed or _holds(reply_words, words(about.opening)[:6]))


def _no_abuse(reply: str, _: About) -> bool:
    return not _ABUSE.search(plain(reply))


def _holds(text: list[str], part: list[str]) -> bool:
    return any(text[start : start + len(part)] == part for start in range(len(text) - len(part) + 1))


#: The checks that fit every reply, by the name under which reports show them.
GENERAL: Mapping[str, Callable[[str, About], bool]] = {
    "one message": _one_message,
    "short enough": _short_enough,
    "no placeholder": _no_placeholder,
    "no assistant's voice": _no_assistant,
    "plain text": _plain_text,
    "own words": _own_words,
    "no abuse": _no_abuse,
}
