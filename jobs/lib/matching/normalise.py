"""What counts as the same message: "Loool!!", "lol" and "LOL 😂" are one."""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"\s+")
_LONG = re.compile(r"([^\W\d_])\1{2,}")  # a letter three times and more: "loool", "sooo"
_LONG_WORD = re.compile(r"[^\W\d_]*([^\W\d_])\1{2,}[^\W\d_]*")
_DOUBLED = re.compile(r"([^\w\s])\1+")  # marks and emoji: "!!", "😂😂😂"
_TRAILING = re.compile(r"[\s.!,;…]+$")  # a question mark changes the meaning, so it stays
_MAX_ROUNDS = 16  # each but the last shortens the text; two are usual

#: Laughing and humming, whatever their length: "hahahah", "ahahaha", "hehehe", "lolol", "hmm".
_SOUNDS = (
    (re.compile(r"\b[ha]*(?:ha){2,}[ha]*\b"), "haha"),
    (re.compile(r"\b[he]*(?:he){2,}[he]*\b"), "hehe"),
    (re.compile(r"\b[ja]*(?:ja){2,}[ja]*\b"), "jaja"),
    (re.compile(r"\bl+(?:o+l+)+\b"), "lol"),
    (re.compile(r"\bh+m+\b"), "hm"),
    (re.compile(r"([^\W\d_]{2})\1{2,}"), r"\1\1"),
)
_DOUBLE_END = re.compile(r"\b([^\W\d_]*([^\W\d_]))\2\b")
#: Words whose last letter is often written twice. In other words it may belong there: "miss", "off".
_LENGTHENED_WORDS = (
    "yes yep yeah yea nope no so ok okay hey hi bye yay wow aw omg lmao lmfao oh ah uh ugh ye yup nah please thanks "
    "nice cool really love cute same what why dude bro girl damn sure right sorry morning night"
)
#: Words in which two equal letters belong: "goood" is "good" and not "god".
_TWICE_WORDS = (
    "all been book boo boring call cool deep fall feel feet food fool free full goo good green hell keep kill look "
    "loop loser miss mood moon need off pee poor room see seem seen sleep soon speed still sweet tell three too tool "
    "week well will woo wood zoo"
)
_LENGTHENED, _TWICE = frozenset(_LENGTHENED_WORDS.split()), frozenset(_TWICE_WORDS.split())
#: ":)", ";-P", "<3", "xD" and the like between spaces, in lower case.
_SMILEY = re.compile(r"(?<!\S)(?:[:;=]['´`^-]?[()\[\]dpo/\\|3*]+|<+/?3+|\^[_.]?\^|xd+)(?!\S)")
_JOINERS = frozenset("\u200d\ufe0f\ufe0e")  # what holds the parts of one emoji together


def normal(text: str) -> str:
    """The form under which `text` is counted and embedded. normal(normal(x)) == normal(x)."""
    for _ in range(_MAX_ROUNDS):
        shorter = _once(text)
        if shorter == text:
            break
        text = shorter
    return text


def _once(text: str) -> str:
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    text = _SPACE.sub(" ", text).strip()
    text = _LONG_WORD.sub(_shortened, text)
    for sound, short in _SOUNDS:
        text = sound.sub(short, text)
    text = _DOUBLE_END.sub(_ended, text)
    text = _DOUBLED.sub(r"\1", text)
    text = _without_pictures(text)
    return _TRAILING.sub("", text) or text


def _shortened(word: re.Match[str]) -> str:
    """The word with each long run of a letter as one, or as two where that is how it is written."""
    twice = _LONG.sub(r"\1\1", word[0])
    return twice if twice in _TWICE else _LONG.sub(r"\1", word[0])


def _ended(word: re.Match[str]) -> str:
    return word[1] if word[1] in _LENGTHENED else word[0]


def _without_pictures(text: str) -> str:
    """`text` without emoji and smileys; the same text where nothing else would be left of it."""
    letters = _SMILEY.sub("", text)
    bare = "".join(letter for letter in letters if not _is_picture(letter)).strip()
    return bare if any(letter.isalnum() or letter == "?" for letter in bare) else text


def _is_picture(letter: str) -> bool:
    return letter in _JOINERS or unicodedata.category(letter) in ("So", "Sk")
