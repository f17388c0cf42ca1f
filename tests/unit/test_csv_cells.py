"""Cells of replies.csv and models.csv: no spreadsheet takes one for a formula, in no country."""

from __future__ import annotations

import csv
import io

import pytest

from jobs.report.formats.csv_export import _text


def cell(value: object) -> str:
    """The value as a spreadsheet reads it from the file."""
    (_, row) = csv.reader(io.StringIO(_text(["name"], [[value]])))
    return row[0]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_text_that_begins_like_a_formula_begins_with_an_apostrophe(sign: str) -> None:
    """Also in the full width of East Asian fonts."""
    assert cell(f"{sign}1+1") == f"'{sign}1+1"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_formula_behind_a_semicolon_is_none_where_semicolons_separate_cells(sign: str) -> None:
    assert cell(f"a;{sign}1+1") == f"a;'{sign}1+1"
    assert cell(f"a;  {sign}1+1; b") == f"a;  '{sign}1+1; b"


@pytest.mark.parametrize("text", ["see you ;-)", "a;-(", "1 = 1", "a - b", "", "2+2"])
def test_an_ordinary_text_stays(text: str) -> None:
    assert cell(text) == text


def test_every_cell_is_quoted_so_that_no_text_ends_its_own() -> None:
    assert _text(["a"], [['x;"=1'], [1.5], [None]]).splitlines() == ['"a"', '"x;""=1"', '"1.5"', '""']
