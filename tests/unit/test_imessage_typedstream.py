"""The text inside attributedBody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.lib.imessage.schema import encode_attributed_body
from jobs.lib.imessage.typedstream import clean, decode

#: A blob as macOS writes it: NSAttributedString, one run, the text "Noter test".
REAL = bytes.fromhex(
    "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e67008484084e534f626a"
    "656374008592848484084e53537472696e67019484012b0a4e6f74657220746573748684026949010a928484840c4e534469"
    "6374696f6e617279009484016901928496961d5f5f6b494d4d657373616765506172744174747269627574654e616d658692"
    "848484084e534e756d626572008484074e5356616c7565009484012a84999900868686"
)
BEFORE = encode_attributed_body("")[: encode_attributed_body("").index(b"\x84\x01+") + 3]


def test_a_blob_of_macos_is_read() -> None:
    assert decode(REAL) == "Noter test"


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 255, 256, 32767, 32768, 40_000, 70_000])
def test_every_length_is_read_whole(length: int) -> None:
    assert decode(encode_attributed_body("x" * length)) == "x" * length


@pytest.mark.parametrize(("tag", "width"), [(0x81, 2), (0x82, 4), (0x83, 8)])
def test_every_form_of_length_is_understood(tag: int, width: int) -> None:
    blob = BEFORE + bytes([tag]) + (300).to_bytes(width, "little") + b"y" * 300 + b"\x86\x84\x02iI"
    assert decode(blob) == "y" * 300


def test_a_length_above_32_kb_in_two_bytes_is_not_negative() -> None:
    blob = BEFORE + b"\x81" + (40_000).to_bytes(2, "little") + b"y" * 40_000
    assert decode(blob) == "y" * 40_000


def test_emoji_outside_the_basic_plane_survive() -> None:
    assert decode(encode_attributed_body("Bro 😭👨‍👩‍👧")) == "Bro 😭👨‍👩‍👧"


def test_several_runs_hold_one_text() -> None:
    """The text stands whole before its runs, however many there are."""
    whole = encode_attributed_body("one two")
    assert decode(whole + b"\x84\x02iI\x02\x03\x92" * 5) == "one two"


def test_a_text_that_names_the_class_is_no_second_class() -> None:
    assert decode(encode_attributed_body("NSString\x84\x01+\x02ab")) == "NSString\x84\x01+\x02ab"


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"bplist00",
        REAL[:20],
        REAL[: REAL.index(b"+") + 5],
        BEFORE,
        BEFORE + b"\x81",
        BEFORE + b"\x83" + b"\xff" * 8 + b"a",
        BEFORE + b"\x90abc",
        BEFORE + b"\x02\xff\xfe",
        b"\x04\x0bstreamtyped" + b"\x00" * 100,
    ],
)
def test_what_cannot_be_decoded_is_flagged_and_not_empty(blob: bytes) -> None:
    assert decode(blob) is None


def test_places_of_attachments_are_removed() -> None:
    assert clean("\ufffc look \ufffd") == "look"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_decoding_undoes_encoding(text: str) -> None:
    assert decode(encode_attributed_body(text)) == text


@given(st.binary(max_size=400))
def test_hostile_bytes_give_a_text_or_none_and_never_raise(noise: bytes) -> None:
    for blob in (noise, b"\x04\x0bstreamtyped" + noise, BEFORE + noise):
        assert isinstance(decode(blob), str | None)
