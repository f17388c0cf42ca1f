"""Texts that are never sent automatically, however often the owner wrote them.

`reason` judges a text of the owner's that might become a template, and any text that might become a trigger. It is a
list of words and patterns. It refuses too much rather than too little, and misses what no list foresees, such as a
cruel sentence of harmless words. It is made for English, with a few words of other European languages.
"""

from __future__ import annotations

import re
import unicodedata

from jobs.lib.matching.subjects import sensitive

_MAIL = r"[^\s@]+@[^\s@]+\.[^\s@]{2,}"
_LINK = (
    r"\b(?:https?://|www\.)\S"
    r"|\b[a-z0-9-]+\.(?:com|org|net|io|co|edu|gov|me|ly|de|tv|gg|app|info)\b(?!\.\w)"
)
_AMOUNT = r"\d|(?:one|two|three|five|ten|twenty|thirty|forty|fifty|sixty|eighty|ninety|hundred|thousand)\b"
_MONEY = (
    r"[$€£¥₹]\s?\d"
    r"|\d\s?(?:[$€£¥₹]|k?\s?(?:usd|eur|gbp|dollars?|bucks|euros?|pounds?|quid|grand)\b)"
    rf"|\b(?:{_AMOUNT})[\s-]+(?:dollars|bucks|euros|quid|grand)\b"
    r"|\b(?:venmo|paypal|zelle|iban|credit card|card number|account number|sort code|routing number)\b.*\d"
)
_CODE = (
    r"\b(?:code|pin|otp|passcode|password|passwd|pw)\b.*\d"
    r"|\d[\d -]{2,}.*\b(?:code|pin|otp|passcode)\b"
    r"|\b[a-z]{1,3}-\d{3,}\b"
)
_LOGIN = (
    r"\b(?:pass ?word|passwort|passcode|passwd|pass ?phrase|pw|login|user ?name)\b\s*(?:(?:is|was)\b|:"
    r"|=)\s*(?!wrong|not)\S"
    r"|\b(?:wi-?fi|network)\b.{0,12}\b(?:key|pass)\b"
)
_STREET = (
    r"\b\d{1,5}[a-z]?\s+(?:(?!(?:mins?|minutes?|hours?|hrs?|days?|more|of|the|on|in|at|by|my|your|our|people|guys|a|to"
    r"|for|and|is|are)\b)[a-z.']+\s){1,3}(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln"
    r"|drive|dr|court|ct|way|place|pl|square|terrace|crescent|highway|hwy)\b(?!\s+(?:to|of|too|in|for|through|back))"
    r"|\b(?:apt|apartment|suite|unit|flat)\.?\s*(?:no\.?|#)?\s*\d"
    r"|\b[a-zäöüß]+(?:straße|strasse|str\.|weg|platz)\s+\d"
    r"|\bp\.?\s?o\.?\s+box\s+\d"
)

#: The first rule that matches names the reason.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("e-mail address", _MAIL),
        ("link", _LINK),
        ("money", _MONEY),
        ("phone number", r"(?<!\w)\+?\s?(?:\(?\d[\s()./-]{0,2}){7,15}(?!\w)"),
        ("code", _CODE),
        ("password", _LOGIN),
        ("number of four digits or more", r"\d{4,}|\d[\d,. ]*\d{3}\b"),
        ("address", _STREET),
        (
            "tapback sent as text",  # from Android; with its own mark where an iPhone shows it so
            r"^(?:liked|loved|disliked|laughed at|emphasi[sz]ed|questioned) (?:[“\"„«]|an? (?:image|photo|video|movie"
            r"|link|attachment|audio message|sticker|contact|location|voice message)\b)"
            r"|^removed an? [\w ]{1,24} from (?:[“\"„«]|an? \w+$)|^reacted \S{1,16} (?:to|with) [“\"„«]"
            r"|^\u200b?\S{1,8}\u200b? to [“\"„«]",
        ),
    )
)

#: Hate against groups of people. Whole words only, so that a raccoon and Scunthorpe stay.
_SLURS = (
    "nigger nigga niggah faggot faggy fag retard retarded tranny trannie shemale chink gook spic kike wetback coon "
    "paki raghead towelhead beaner dyke cunt whore slut bitch bitches skank spaz mongoloid golliwog gypo pikey"
)
_SEXUAL = (
    "porn porno pornhub nude nudes naked dick cock pussy penis vagina clit boob boobs boobies tits titties titty "
    "blowjob handjob rimjob cum cumming cumshot jizz horny sexy sexting sext sex sexual sexually masturbate "
    "masturbating masturbation orgasm anal dildo vibrator milf boner erection wank wanking wanker fap fapping "
    "threesome hentai onlyfans bdsm creampie foreplay hooker stripper deepthroat fingering topless thong"
)
#: Whole expressions, and signs that stand for the words.
_SEXUAL_PHRASES = (
    r"\b(?:fuck|fucking|lick|suck|bang)\s+(?:me|my|your|ur)\b(?!\s+(?:life|over|up|luck|day|wounds|thumb))"
    r"|\b(?:blow|hand|rim)[ -]job|\bjerk(?:ing|ed)? (?:me |you |it )?off|\bturn(?:s|ed)? me on\b|\bgett?(?:ing)? laid\b"
    r"|\b(?:have|had|having|make|making) (?:s[e3]x|love (?:to|with))\b|\ba hard[ -]on\b|\beat (?:me|you) out\b"
    r"|\bin bed with me\b|🍆"
)
#: "cum laude" is a degree, "cock-a-doodle" a rooster, the sex of a baby no sex.
_INNOCENT = re.compile(
    r"\b(?:summa |magna )?cum laude\b|\bmoby dick\b|\bcock[ -]a[ -]doodle|\bnaked eye\b|\banal about\b"
)
#: What stands for a letter; "1" and "|" stand for two, so both readings are tried.
_LEET = str.maketrans("013457@$!|€", "oieastasiie")
_LEET_L = str.maketrans("013457@$!|€", "oleastasile")
_SPELLED = re.compile(r"(?<!\w)\w([\s.\-_*]{1,2})\w(?:\1\w)+(?!\w)")
_TOKEN = re.compile(r"[^\s,;:?()\"“”]+")


def _words(listed: str) -> re.Pattern[str]:
    """The words with stretched letters ("sluuut"), starred ones ("sl*t") and a plural; never inside another word."""
    forms = (
        letters[0] + "+" + "".join(rf"[{letter}*#]+" for letter in letters[1:-1]) + letters[-1] + "+"
        for letters in sorted(listed.split())
    )
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(forms)})(?:e?[sz])?(?![^\W_])")


_SLUR, _SEX, _SEX_PHRASE = _words(_SLURS), _words(_SEXUAL), re.compile(_SEXUAL_PHRASES, re.IGNORECASE)


def reason(text: str) -> str | None:
    """Why `text` must not be a template; None where it may be one."""
    for name, rule in _RULES:
        if rule.search(text):
            return name
    return _indecent(text) or sensitive(text)


def _indecent(text: str) -> str | None:
    """Slurs and sexual content, through the usual disguises: s3x, sl*t, f.a.g, stretched letters, foreign accents."""
    plain = _INNOCENT.sub(" ", _unaccented(text))
    unmasked = " ".join(map(_unmasked, _TOKEN.findall(plain)))
    forms = (plain, unmasked.translate(_LEET), unmasked.translate(_LEET_L), _joined(plain).translate(_LEET))
    if any(_SLUR.search(form) for form in forms):
        return "slur"
    if any(_SEX.search(form) for form in forms) or _SEX_PHRASE.search(plain):
        return "sexual content"
    return None


def _unaccented(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text).casefold()
    return "".join(
        part for part in parts if not unicodedata.combining(part) and part not in "\u200b\u200c\u200d\u2060\ufeff"
    )


def _unmasked(token: str) -> str:
    """A word whose digits may stand for letters; "" for one without a single letter: "5" is a number."""
    return token.rstrip("!") if any(part.isalpha() for part in token) else ""


def _joined(text: str) -> str:
    """The words that were spelled out letter by letter: "f.a.g" and "s e x"."""
    return " ".join(re.sub(r"[\W_]", "", match[0]) for match in _SPELLED.finditer(text))
