"""What a reply does, whatever was asked: accepts, declines, puts off, asks for a time, comes, thanks, laughs.

Patterns over plain words (plain_words.py). They are features of the second reader, which learns from its examples
which of them belong to which prompt; none decides alone.
"""

from __future__ import annotations

import re

from jobs.evaluate.plain_words import plain_words, split_opener

_PATTERNS = {
    "accepts": (
        r"\b(?:yes|definitely|absolutely|of course|for sure|sure thing|you bet|gladly|totally|count me in|"
        r"i am (?:so |totally )?(?:in|down|free|game|available)|on it|will do|consider it done|you got it|got you|"
        r"can do|hell yes|heck yes|bet)\b|\bi (?:would|will) (?:really |absolutely |definitely )?love to\b|"
        r"\bsounds (?:\w+ )?(?:good|great|perfect|amazing|awesome|fun|like)\b"
    ),
    "declines": (
        r"\b(?:can|could|will|would|may|am|is|are|do|does) not (?:\w+ )?(?:be able|make|come|join|go|get|pick|do|"
        r"free|available|around|attend|stop|work|today|tomorrow|right|at the|tonight|this time|possible)\b|"
        r"\bi can not\b(?! (?:wait|believe|stop laugh|stop think|breathe|get over|remember|think of))|\b(?:unable|"
        r"unavailable|busy|swamped|tied up|booked|slammed|plans|rain ?check|no can do|no chance|working late|"
        r"stuck|out of town|unfortunately|afraid|pass)\b|\bnot (?:tomorrow|today|tonight|right now|now|"
        r"at the moment|this time|free|possible)\b|^no\b(?! (?:worries|problem|rush|need|stress|big deal|biggie|"
        r"sweat))"
    ),
    "refuses for good": (
        r"\b(?:never|not ever|every (?:other )?day|will not ever|no way|not interested|do not want|would rather)\b"
    ),
    "is unsure": (
        r"\b(?:not sure|unsure|maybe|perhaps|might|possibly|probably|depends|let me (?:check|see)|if i (?:can|"
        r"have)|i guess|i will see if|do not know|think about)\b"
    ),
    "another time": (
        r"\b(?:another|some other|a different|any other|other) (?:time|day|night|evening|week|weekend|date)\b|"
        r"\b(?:how|what) about\b|\binstead\b|\b(?:re-?schedule|rain ?check|next (?:week|time|month|weekend|"
        r"\w+day)|(?:the|this) weekend|later (?:this|in the) week|day after|(?:mon|tues|wednes|thurs|fri|satur|"
        r"sun)day)\b"
    ),
    "this very time": r"\b(?:tomorrow|right now|now|today|tonight)\b",
    "asks a time": (
        r"\b(?:what time|when(?! (?:i|you get|you are here))|which time|how (?:early|late)|what is (?:a )?(?:good|"
        r"your schedule|best))\b[^.!]*(?:\?|$)|\btime\b[^.!?]{0,30}\?|\b(?:let me know|tell me) (?:the time|"
        r"what time|when)\b"
    ),
    "names a time": (
        r"\b(?:at|by|around|about|after|until|is|does|would|say)? ?(?:\d{1,2}(?::\d\d)? ?(?:pm|am|o'clock)|"
        r"half \w+|(?:at|by|around|about|after|say) \d{1,2}\b|noon)\b"
    ),
    "invites": (
        r"\b(?:are you (?:free|available)|do you want to|would you like to|want to (?:have|get|grab|come)|"
        r"can you (?:pick|get|come|join|do)|could you (?:pick|get|come))\b"
    ),
    "has it": (
        r"\b(?:already|just) (?:got|bought|picked|grabbed|have|had|did|done|took|stopped)\b|\b(?:got|have|bought|"
        r"picked|grabbed) (?:it|some|one|the milk|milk|a carton|two|2)\b(?: up)?|\b(?:done|taken care|way ahead|"
        r"one step ahead|in the (?:fridge|bag|car))\b|\balready\b"
    ),
    "will get it": (
        r"\b(?:i will|i can|going to|let me|about to|will) (?:\w+ ){0,2}(?:get|grab|pick|buy|bring|stop|swing|"
        r"do)\b"
    ),
    "is here": r"\b(?:i am|at) (?:\w+ )?(?:home|here|there)\b",
    "saw it": (
        r"\b(?:i )?(?:saw|seen|read|received|reviewed|looked (?:at|over|through)|went through|got (?:it|your|the)|"
        r"noted|checked|caught it|i did)\b"
    ),
    "has not": (
        r"\b(?:have|had|did|has) not\b|\bnot (?:yet|just yet|quite yet|seen|had)\b|\byet\b|\bmissed\b|"
        r"\bno,? (?:not|i)\b|\bstill (?:on|catching)\b"
    ),
    "will check": (
        r"\b(?:will|going to|let me|plan to|about to|planning to|give me)\b[^.!?]*(?:\b(?:check|look|read|review|"
        r"get to|get through|go through|do|open|see to|be on)\b|(?:soon|shortly|later|now|tonight|today|"
        r"this (?:afternoon|evening|morning)|in (?:a|an|\d+) \w+|asap|first thing|by))|\b(?:checking|looking|"
        r"reading|opening|doing)\b[^.!?]*\b(?:soon|shortly|later|now|tonight|today|this (?:afternoon|evening|"
        r"morning)|in (?:a|an|\d+) \w+|asap|first thing|by)\b|\bon my (?:list|to-do)|\bnext on\b"
    ),
    "will send": r"\b(?:send|sent|sending|working on|finish|ready|update you|let them)\b",
    "thanks": r"\b(?<!no )(?:thanks|appreciate|appreciated|grateful|obliged)\b",
    "is thanked": (
        r"\b(?:welcome|glad (?:you|i could|to hear)|happy to hear)\b|\bthanks for (?:seeing|reading|looking|"
        r"checking|waiting|understanding|your patience|laughing|asking|the invit\w+)\b"
    ),
    "laughs": r"\bhaha\b|[😂🤣😆😹💀😭😄😅]|\b(?:dying|crying|wheezing|dead)\b",
    "found it funny": (
        r"\b(?:funny|funniest|hilarious|hysterical|comedy|joke|laugh\w*|giggl\w*|tears|priceless|cracked)\b"
    ),
    "agrees": (
        r"\b(?:agree|agreed|i know|right|true|same|exactly|totally|seriously|facts|for real|honestly)\b|\b(?:it|"
        r"that) (?:really |totally |so )?was\b"
    ),
    "disagrees": (
        r"\b(?:disagree|(?:was|is|do|did) not (?:\w+ )?(?:funny|agree|think|find|laugh|get)|not (?:\w+ )?funny|"
        r"boring|bored|sad|dull)\b"
    ),
    "it is fine": (
        r"\b(?:no (?:worries|problem|rush|stress|big deal|biggie|sweat|need|hurry|apology)|do not (?:worry|stress|"
        r"sweat|apologi[sz]e|rush)|(?:you are|it is|that is|all|totally|perfectly|is) (?:all |totally |perfectly |"
        r"so )?(?:good|fine|okay|cool)|take your time|it happens|chill|relax|drive safe\w*)\b"
    ),
    "see you": (r"\b(?:see(?:ing)?|catch|meet) you\b|\buntil then\b|\b(?:waiting|wait) (?:for you|here|inside)\b"),
    "comes late": (
        r"\b(?:i will be (?:there|over|right)|on my way|i am (?:\w+ )?(?:coming|late|running|almost|nearly)|"
        r"be (?:there|right there)|almost there|sorry (?:for|i am|that i|about)|apologi[sz]e|for (?:the )?(?:wait|"
        r"delay)|being late|running (?:\w+ )?late)\b"
    ),
    "blames": (
        r"\b(?:you are|always|again|should have) (?:\w+ )?(?:late|wrong|never|always)\b|\bnot (?:okay|acceptable|"
        r"fine|cool)\b|\blate again\b"
    ),
    "leaves": (
        r"\b(?:i (?:am|have|will be)? ?(?:already )?(?:leaving|left|leave)|going home|stay home|do not (?:bother|"
        r"come)|not waiting|done waiting)\b"
    ),
    "about them": r"\b(?:them|they|him|her|the team|dad)\b",
    "says": r"\b(?:say|says|said|respond|reply|response|comment|acknowledge|instruction|message|answer)\b",
    "offers help": (
        r"\b(?:help|assist\w*|anything else|any (?:other )?questions|how can i|what can i|let me know (?:if|what)|"
        r"feel free|provide|more (?:details|information|context))\b"
    ),
    "apologises": r"\b(?:sorry|apolog\w+|afraid|unfortunately)\b",
    "hopes": r"\b(?:hope|enjoy|have a (?:great|good|nice|safe)|good luck|congrat\w*)\b",
}
#: By name.
ACTS = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}
_CONSENTS = re.compile(r"(?:sure|certainly|of course|absolutely|yes|okay)\b")
_MOST_WORDS, _WORDS_OF_AN_ACT = 24, 8.0


def acts(reply: str) -> list[float]:
    """About 0 or 1 for each of ACTS in their order, then how it opens, whether it asks, and its length."""
    opener, rest = split_opener(plain_words(reply))
    consents = bool(_CONSENTS.match(opener))
    return [
        *(float(bool(pattern.search(rest))) for pattern in ACTS.values()),
        *(float(consents), float(opener.startswith("no")), float(bool(opener) and not consents)),
        *(float("?" in rest), min(len(rest.split()), _MOST_WORDS) / _WORDS_OF_AN_ACT),
    ]
