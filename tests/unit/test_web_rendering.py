"""Texts of strangers in the templates and answers of the local page."""

from __future__ import annotations

import pytest

from jarvisd.web.rendering import TEMPLATES, clean, cleaned, environment


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil.example\x1b\\link", "link"),
        ("abc\u202egpj.exe\u2069", "abcgpj.exe"),
        ("a\x00\x08\x9b\ufeffb", "ab"),
        ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 stays",
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 stays",
        ),
    ],
)
def test_terminal_sequences_and_changes_of_direction_are_removed(text: str, shown: str) -> None:
    """In every value of a template, also of another package's room, and in every text of a live answer."""
    assert clean(text) == shown
    assert environment(TEMPLATES).from_string("{{ value }}").render(value=text) == shown
    assert cleaned({"texts": {"id": [text, 1]}}) == {"texts": {"id": [shown, 1]}}


def test_every_value_of_a_template_is_escaped() -> None:
    template = environment(TEMPLATES).from_string("<p title='{{ value }}'>{{ value }}</p>")
    assert template.render(value="'<b>") == "<p title='&#39;&lt;b&gt;'>&#39;&lt;b&gt;</p>"
