"""What makes a reply unfit to be sent, whatever else is right with it: marks, for the score and for the report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from jobs.lib.matching.normalise import normal


class Mark(StrEnum):
    """Why a reply stands out."""

    NAMES_ITSELF = "names itself"  #: speaks as a model, or names its maker
    ECHO = "echo"  #: sends back what came in
    HOSTILE = "hostile"  #: an insult that the message did not call for
    REPEATED = "repeated"  #: the same reply to several different messages


#: A reply with one of these is worth nothing. Repetition is counted over the set (jobs.evaluate.metrics.style_set).
UNFIT = frozenset({Mark.NAMES_ITSELF, Mark.ECHO, Mark.HOSTILE})
MOST_REPEATS = 2  #: different messages that may get the same reply
_LEAST_REPEATED_SHARE = 0.05  #: of all replies
_LEAST_ECHO_WORDS = 4  # "good morning" answers "good morning"
_ECHOED = 0.9  # share of the words of the reply

_SELF = re.compile(
    r"\b(?:as|i'?m|i am|being|just|only) (?:an? |your |the )?(?:large |helpful |friendly |virtual |digital |text |ai )*"
    r"(?:ai|artificial intelligence|language model|chat ?bot|virtual assistant|ai assistant)\b"
    r"|\b(?:i am|i'?m|my name is) (?:qwen|gemma|phi(?:-\d)?|smol ?lm\d?|mistral|llama|claude|chatgpt|gpt|"
    r"gemini)\b"
    r"|\b(?:created|developed|trained|made|built) by (?:the )?(?:alibaba|google|microsoft|openai|mistral|meta|"
    r"anthropic|hugging ?face|deepmind)\b"
    r"|\bmy training data\b|\bi (?:don'?t|do not) have (?:personal )?(?:feelings|emotions|a (?:physical )?body)\b",
    re.IGNORECASE,
)
_HOSTILE = re.compile(
    r"\b(?:fuck|screw|piss|f\*+k|eff) (?:off|you|u|yourself)\b|\b(?:stfu|gtfo|kys)\b|\bshut (?:the \w+ |your \w+ )?up\b"
    r"|\bgo (?:to hell|die|kill yourself)\b|\bi hate (?:you|u)\b|\bhope (?:you|u) die\b|\bkill yourself\b"
    r"|\b(?:you'?re|you are|ur|u r) (?:an? )?(?:\w+ )?(?:idiot|moron|loser|asshole|bitch|pathetic|stupid|worthless)\b"
    r"|\bdrop dead\b|\bleave me alone\b|\bnobody (?:likes|loves|cares about) you\b",
    re.IGNORECASE,
)


def names_itself(reply: str) -> bool:
    """Whether a reply speaks as a model, or names its maker."""
    return _SELF.search(reply) is not None


def marks(incoming: Sequence[str], replies: Sequence[str]) -> list[frozenset[Mark]]:
    """The marks of each reply of one model; `incoming` has the message that each answers."""
    repeated = _repeated(incoming, replies)
    return [
        _of_text(message, reply) | ({Mark.REPEATED} if normal(reply) in repeated else set())
        for message, reply in zip(incoming, replies, strict=True)
    ]


def _of_text(message: str, reply: str) -> frozenset[Mark]:
    tests = {
        Mark.NAMES_ITSELF: names_itself(reply),
        Mark.HOSTILE: _HOSTILE.search(reply) is not None,
        Mark.ECHO: _is_echo(message, reply),
    }
    return frozenset(mark for mark, holds in tests.items() if holds)


def _repeated(incoming: Sequence[str], replies: Sequence[str]) -> set[str]:
    """The normal forms that answer more than MOST_REPEATS different messages and a twentieth of all."""
    pairs = {(normal(message), normal(reply)) for message, reply in zip(incoming, replies, strict=True)}
    counts = Counter(reply for _, reply in pairs)
    return {reply for reply, n in counts.items() if n > MOST_REPEATS and n > _LEAST_REPEATED_SHARE * len(replies)}


def _is_echo(message: str, reply: str) -> bool:
    """Whether a reply is little else than a run of words out of the message."""
    incoming, replied = _words(message), _words(reply)
    return len(replied) >= _LEAST_ECHO_WORDS and _longest_run(incoming, replied) >= _ECHOED * len(replied)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())[:200]


def _longest_run(first: Sequence[str], second: Sequence[str]) -> int:
    """Words of the longest run that both hold."""
    longest, row = 0, [0] * (len(second) + 1)
    for word in first:
        row = [0, *(row[place] + 1 if word == other else 0 for place, other in enumerate(second))]
        longest = max(longest, *row)
    return longest
