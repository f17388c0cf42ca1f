"""docs/terminal.svg, the moving picture of a terminal in README, and the program that makes it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

DOCS = Path(__file__).resolve().parents[2] / "docs"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("moving_picture", DOCS / "moving_picture.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass asks for it
    spec.loader.exec_module(module)
    return module


def test_the_moving_picture_is_small_and_has_no_script() -> None:
    """It is well-formed, refers to nothing outside, and its last lines say how the programs ended."""
    path = DOCS / "terminal.svg"
    text = path.read_text()
    tree = ElementTree.fromstring(text)
    assert path.stat().st_size < 30_000
    assert "<script" not in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    shown = "".join(tree.itertext())
    assert "command:evaluate succeeded" in shown and "exit status 1" in shown


def test_a_line_of_the_moving_picture_appears_in_its_turn_and_is_escaped() -> None:
    picture = script()
    drawn = picture.picture([picture.Line(1.0, "\x1b[31mfailed\x1b[0m <b>\x1b[2K"), picture.Line(1.0, "next")])
    assert '<tspan fill="#f08a80">failed</tspan> &lt;b&gt;</text>' in drawn
    assert "@keyframes a0 { 0% { opacity: 0; } 16.67% { opacity: 1; } }" in drawn  # 1 of 6 seconds
