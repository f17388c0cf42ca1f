"""A reply in plain words: contractions and text slang spelled out, so that "cant rn sry" and "I can't right now, sorry"
read the same to the second reader."""

from __future__ import annotations

import re
from functools import lru_cache

#: Characters of a reply that are read: some patterns take time with the square of the length.
LONGEST = 2000
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'}
_REPEATED = re.compile(r"(.)\1{2,}")
_EMOJI = re.compile(r"([\U0001F300-\U0001FAFF❤✨☺])")
#: Applied in this order to lower-case text.
_SPELLED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"\b(?:a?(?:ha){2,}h?|(?:he){2,}h?|ba(?:ha)+|a?hah+|lo+l+|lolol\w*|lmf?ao+|rofl|lels?|pff+)\b", "haha"),
        (r"\b(?:see|catch) (?:ya|u)\b|\bcya\b|\bc (?:u|ya)\b", "see you"),
        (r"\bcan't\b|\bcant\b|\bcannot\b", "can not"),
        (r"\bwon't\b|\bwont\b", "will not"),
        (r"\b(do|does|did|is|are|was|were|have|has|had|would|could|should)(?:n't|nt)\b", r"\1 not"),
        (r"\bain't\b|\baint\b", "is not"),
        (r"\blet's\b|\blets\b", "let us"),
        (r"\b(it|that|what|where|how|there|here|who|he|she|when|time)'s\b", r"\1 is"),
        (r"\bthats\b", "that is"),
        (r"\bwhats\b", "what is"),
        (r"\bim\b", "i am"),
        (r"\bive\b", "i have"),
        (r"(?:^|(?<=[,.!?] ))ill\b", "i will"),
        (r"\b(i|you|we|they|it|that|he|she)'(?:ll)\b", r"\1 will"),
        (r"\b(\w+)'m\b", r"\1 am"),
        (r"\b(\w+)'re\b", r"\1 are"),
        (r"\b(\w+)'ve\b", r"\1 have"),
        (r"\b(\w+)'d\b", r"\1 would"),
        (r"\b(?:ur|u r)(?= (?:good|fine|ok|okay|all|late|always|welcome|so|the))", "you are"),
        (r"\b(?:ur|yer)\b", "your"),
        (
            r"\b(?:u|ya)\b(?= (?:can|are|were|have|want|need|know|get|got|free|think|thinking|wanna|should|could))",
            "you",
        ),
        (r"\bu\b", "you"),
        (r"\br\b", "are"),
        (r"\b(?:y(?:e+s+|e+a+h?|e+p+|u+p+|a+s+|a+|eppers?)|yessir)\b", "yes"),
        (r"\b(?:k+|ok+|oke?y+|okie(?: dokie)?|oki|okay|alr(?:ight)?)\b", "okay"),
        (r"\b(?:nah|nope|naw)\b", "no"),
        (r"\b(?:tmr?w?|tmrow|tomorow|2moro)\b", "tomorrow"),
        (r"\brn\b", "right now"),
        (r"\batm\b", "at the moment"),
        (r"\b(?:pls|plz)\b", "please"),
        (r"\b(?:thx|thnx|ty|tysm|thank u|cheers|thank you|thanks)\b", "thanks"),
        (r"\b(?:np|no prob(?:s|lem|lems)?)\b", "no problem"),
        (r"\b(?:nw|no worr(?:y|ies)s*)\b", "no worries"),
        (r"\bdw\b", "do not worry"),
        (r"\bomw\b", "on my way"),
        (r"\bidk\b", "i do not know"),
        (r"\bwanna\b", "want to"),
        (r"\bgonna\b", "going to"),
        (r"\bgotta\b", "have to"),
        (r"\blemme\b", "let me"),
        (r"\b(?:wat|wut)\b", "what"),
        (r"\btho\b", "though"),
        (r"\b(?:cuz|cos|bc)\b", "because"),
        (r"\b(?:sry+|soz|sorr+y+)\b", "sorry"),
        (r"\bikr\b", "i know right"),
        (r"\bfr\b", "for real"),
        (r"\bofc\b", "of course"),
        (r"\b(?:defo?|deffo)\b", "definitely"),
        (r"\bnbd\b", "no big deal"),
        (r"\b(?:mins?)\b", "minutes"),
        (r"\b(?:mum|mama|mommy|ma|mother)\b(?!')", "mom"),
        (r"\b(?:thur?s|thu)\b", "thursday"),
        (r"\bfri\b", "friday"),
        (r"\b(?:tues|tue)\b", "tuesday"),
        (r"\bomg\b", "oh my god"),
    )
)
#: What small models put before any answer. It says nothing where a whole clause follows.
_FILLER = re.compile(
    r"^(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|hi|hey|hello|oh|ah|well|yes|no)[,.!]+ *)+"
)
_LEAST_AFTER_FILLER = 4  # words


@lru_cache(maxsize=8192)
def plain_words(text: str) -> str:
    """Lower case, contractions and slang spelled out, a letter at most twice in a row, emoji apart; of a long text the
    beginning."""
    shown = _EMOJI.sub(r" \1 ", _REPEATED.sub(r"\1\1", text[:LONGEST].translate(_QUOTES).lower()))
    for pattern, words in _SPELLED:
        shown = pattern.sub(words, shown)
    return " ".join(shown.split())


def split_opener(text: str) -> tuple[str, str]:
    """Plain words as (what opens them, the rest); no opener where too little would be left."""
    matched = _FILLER.match(text)
    if matched is None or len(text[matched.end() :].split()) < _LEAST_AFTER_FILLER:
        return "", text
    return text[: matched.end()].strip(), text[matched.end() :]
