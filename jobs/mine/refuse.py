"""What must never be sent by itself, whoever wrote it how often: refused as a template, counted by reason."""

from __future__ import annotations

import re

#: The first rule that matches names the reason.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("e-mail address", re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]{2,}")),
    (
        "link",
        re.compile(r"(?i)\b(?:https?://|www\.)\S|\b[a-z0-9-]+\.(?:com|org|net|io|co|edu|gov|me|ly|de)\b"),
    ),
    (
        "money",
        re.compile(r"(?i)[$€£¥₹]\s?\d|\d\s?(?:[$€£¥₹]|\b(?:usd|eur|gbp|dollars?|bucks|euros?|pounds?)\b)"),
    ),
    ("phone number", re.compile(r"(?<!\w)\+?\s?(?:\(?\d[\s()./-]{0,2}){7,15}(?!\w)")),
    ("code", re.compile(r"(?i)\b(?:code|pin|otp|passcode|password|passwd|pw)\b.*\d|\b[A-Z]{1,3}-\d{3,}\b")),
    ("password", re.compile(r"(?i)\b(?:password|passwort|passcode|passwd)\b\s*(?:is|:|=)")),
    ("number of four digits or more", re.compile(r"\d{4,}|\d[\d,. ]*\d{3}\b")),
    (
        "address",
        re.compile(
            r"(?i)\b\d{1,5}\s+(?:\w+\s){0,3}(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court"
            r"|ct|way|place|pl|square|apt|apartment|suite)\b"
        ),
    ),
)


def reason(text: str) -> str | None:
    """Why `text` must not be a template, None where nothing speaks against it."""
    return next((name for name, rule in _RULES if rule.search(text)), None)
