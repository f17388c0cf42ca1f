"""Untrusted text appears as text: one line, nothing of it markup, a link, HTML or a terminal's order."""

from __future__ import annotations

import markdown
import pytest

from jobs.report import escape

HOSTILE = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://example.com/x.png)",
    "| a | b |",
    "`code` ```fence```",
    "\u202eevil\u202c",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "{{7*7}} {% raw %}",
    "a\nb\r\nc\u2028d",
    "*bold* _em_ ~~gone~~ $x$",
    "# heading",
    "1. list",
    "- list",
    "https://example.com www.example.com a@example.com",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_inline_text_renders_as_itself(value: str) -> None:
    """Markdown of escaped text is one paragraph without any other tag."""
    page = markdown.markdown(escape.inline(value), extensions=["tables", "sane_lists"])
    assert page.startswith("<p>") and page.endswith("</p>")
    assert "<" not in page[3:-4]


@pytest.mark.parametrize("value", HOSTILE)
def test_clean_text_is_one_visible_line(value: str) -> None:
    """No control, escape or direction character is left, and no line break."""
    assert all(character.isprintable() for character in escape.clean(value))


def test_line_breaks_and_colours_are_shown_or_gone() -> None:
    """A break becomes a sign; ANSI codes and bidi overrides vanish; emoji stay whole."""
    assert escape.clean("a\r\nb") == "a ⏎ b"
    assert escape.clean("\x1b[1;31mred\x1b[0m\u202e\u200b!") == "red!"
    assert escape.clean("👩\u200d💻 ok") == "👩\u200d💻 ok"


def test_long_text_is_cut() -> None:
    """10,000 characters become 600 and an ellipsis."""
    assert escape.clean("x" * 10_000) == "x" * 600 + "…"


def test_a_cell_holds_no_bar() -> None:
    """A pipe cannot end a cell of a table."""
    assert "|" not in escape.inline("a|b")


def test_a_fence_is_longer_than_any_inside() -> None:
    """Backticks in a reply cannot close its block."""
    assert escape.fenced(["````"]).splitlines() == ["`````text", "````", "`````"]


def test_ordinary_text_stays_readable() -> None:
    """Names and figures are not cluttered with backslashes."""
    assert escape.inline("SmolLM3-3B: 6.2 % (n = 13), fine!") == "SmolLM3-3B: 6.2 % (n = 13), fine!"


def test_figures_in_words() -> None:
    """Times, shares and memory; what is None was not measured."""
    assert [escape.duration(value) for value in (0.44, 42, 185, 239.5, 7800, None)] == [
        "0.4 s",
        "42 s",
        "3 min 05 s",
        "3 min 59 s",
        "2 h 10 min",
        "–",
    ]
    times = [escape.milliseconds(value) for value in (850.4, 12_300, None)]
    assert times == ["850 ms", "12.3 s", "not measured"]
    assert (escape.percent(0.0625), escape.percent(None)) == ("6.2 %", "not measured")
    assert (escape.megabytes(812), escape.megabytes(2100)) == ("812 MB", "2.05 GB")
