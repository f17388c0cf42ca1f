"""What can be counted in a reply whatever its prompt: hostility, stiffness, a change of mind, negation, form.

Lists of words, short on purpose: they are features of the second reader (reader.py), which weighs them by its examples;
none decides alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobs.evaluate import checks as rules
from jobs.evaluate.scenarios import Prompt, PromptDefaults, Scenario

_HOSTILE = re.compile(
    r"\b(?:hate|stupid|idiot\w*|moron|dumb\w*|loser|ugly|useless|worthless|pathetic|shut up|fuck\w*|shit\w*|bitch\w*"
    r"|ass(?:hole)?|bastard|crap|garbage|rubbish|trash|awful|terrible|worst|horrible|disgusting|die|drop dead"
    r"|kill\w*|choke|in hell|nag\w*|annoy\w*|pest\w*|bother(?:ing)? me|bugging|cheap\w*|lazy|sick of|fed up|get lost"
    r"|go away|leave me alone|(?:don't|do not|dont|couldn't) care|who cares|nobody (?:asked|cares|likes)|wast(?:e|ing)"
    r"|for nothing|get a life|your face|furious|angry|mad at|disappoint\w*|what a joke|ruin\w*|fired|crash|lame"
    r"|stop (?:asking|nagging|begging|texting)|begging|whatever|screw|jerk|freak|creep\w*|suck\w*|don't come|stay home"
    r"|never (?:want|speak|again|ever|talk)|rather (?:die|not|eat)|selfish|grow up|about time|fat|old hag|liar)\b"
)
_STIFF = re.compile(
    r"\b(?:shall|hereby|herewith|regret\w*|kindly|pleased to|delighted|convey|acknowledge receipt|aforementioned"
    r"|forthwith|procure\w*|acquire\w*|indeed|sincere\w*|gratitude|appreciation|correspondence|communication|inform"
    r"|circumstances|convenience|endeavou?r|hesitate|assist\w*|further\w*|provide\w*|receipt|comply|alternative"
    r"|unavailab\w*|decline|presently|consequently|unable to|disposal|await|arrival|anticipate|imminent\w*|dear|regards"
    r"|extend|humou?rous|amusing|preferred|previously|required|inconvenience|patience|understanding|information"
    r"|appreciate your|reach(?:ing)? out|attend|confirm\w*|request\w*|availab\w*|proceed|perhaps|therefore|however)\b"
)
_TURN = re.compile(r"\b(?:but|though|although|actually|kidding|jk|never ?mind|no wait|wait no|except|unless|instead)\b")
_NO = re.compile(r"n't\b|\b(?:not|no|nope|never|cant|dont|wont|nothing|nobody|none|without)\b")
_ASSISTANT = re.compile(r"\b(?:ai|assist\w*|language model|chatbot|help you|sure,? here)\b")
_OFF_TIME = re.compile(
    r"\b(?:yesterday|last (?:night|week|year|summer)|next (?:month|year)|in (?:\w+ )?years?|ages ago)\b"
)
_FIRST = re.compile(r"\b(?:i|i'm|im|i'll|ill|i've|my|me|we)\b")
_SECOND = re.compile(r"\b(?:you|u|ur|your|you're|ya)\b")
_MOST = 3  # of a kind that count


def signs(reply: str, guide: PromptDefaults, scenario: Scenario, prompt: Prompt) -> list[float]:
    """Numbers of about the size of 1, always in the same order and the same number."""
    results = rules.run_checks(reply, guide, scenario, prompt)
    text, words = rules.plain(reply), rules.words(reply)
    general = [results[name] for name in guide.every_reply]
    declared = [results[name] for name in scenario.checks | prompt.checks]
    return [
        *(_share(general), float(all(general)), _share(declared), float(all(declared))),
        rules.content(results, scenario, prompt),
        *(min(len(words), 40) / 10, float(len(words) <= 3), float("?" in text), float("!" in text)),
        float(text[-1:] in ".!?"),
        *_counts(text).values(),
    ]


def _counts(text: str) -> Mapping[str, float]:
    lists = {
        "hostile": _HOSTILE,
        "stiff": _STIFF,
        "turns": _TURN,
        "negates": _NO,
        "assists": _ASSISTANT,
        "off time": _OFF_TIME,
        "first person": _FIRST,
        "second person": _SECOND,
    }
    return {name: float(min(_MOST, len(pattern.findall(text)))) for name, pattern in lists.items()}


def _share(passed: list[bool]) -> float:
    return sum(passed) / len(passed) if passed else 1.0
