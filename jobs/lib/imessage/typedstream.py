"""The text inside `attributedBody`, found by a byte scan.

The column holds a typedstream (NSArchiver's format, not a property list). The text is the first NSString in it: the
class name, then the type code "+", a length, and that many bytes of UTF-8. A length below 0x80 stands for itself;
0x81, 0x82 and 0x83 announce 2, 4 and 8 bytes, little-endian. Reading one byte only would cut every text from 128
bytes on. A whole decoder takes some 300 us per blob, the scan about 1.
"""

from __future__ import annotations

_HEADER = b"streamtyped"
_CLASS = b"NSString"
_TYPE = b"\x84\x01+"  # a new type string, of one character: "+", a counted string
#: Between the name of the class and its type code stand its version and the end of the superclasses.
_MAX_DISTANCE = 32
_WIDTH = {0x81: 2, 0x82: 4, 0x83: 8}

#: U+FFFC stands where an attachment was, U+FFFD where an app's bubble was.
_PLACEHOLDERS = str.maketrans("", "", "\ufffc\ufffd")
#: Present in texts whose one-time code macOS recognised.
ONE_TIME_CODE = b"__kIMOneTimeCodeAttributeName"


def decode(blob: bytes) -> str | None:
    """The text of an attributedBody, placeholders included; None where the blob cannot be understood."""
    if _HEADER not in blob[:16]:
        return None
    name = blob.find(_CLASS)
    kind = blob.find(_TYPE, name, name + len(_CLASS) + _MAX_DISTANCE) if name >= 0 else -1
    if kind < 0:
        return None
    start, length = _length(blob, kind + len(_TYPE))
    if length < 0 or start + length > len(blob):
        return None
    try:
        return blob[start : start + length].decode()
    except UnicodeDecodeError:
        return None


def clean(text: str) -> str:
    """`text` without the places of attachments and apps, and without white space around it."""
    return text.translate(_PLACEHOLDERS).strip()


def _length(blob: bytes, at: int) -> tuple[int, int]:
    """Where the text starts and how many bytes it has; -1 where no length stands at `at`."""
    tag = blob[at] if at < len(blob) else 0xFF
    if tag < 0x80:
        return at + 1, tag
    width = _WIDTH.get(tag, 0)
    end = at + 1 + width
    return (end, int.from_bytes(blob[at + 1 : end], "little")) if width and end <= len(blob) else (end, -1)
