"""Make docs/terminal.svg: a moving picture of a terminal, from a session that is really run in an empty home.

    .venv/bin/python docs/moving_picture.py

It plays in any browser, also as an image in a README, without a script; who asks for less motion sees its last frame.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

TARGET = Path(__file__).with_name("terminal.svg")
COLUMNS, ROWS = 96, 22
LINE, CHARACTER, EDGE = 19, 8.43, 16  # CSS pixels
#: Longest pause that the picture keeps, how long a command stands alone, and how long the last frame, in seconds.
LONGEST_S, COMMAND_S, LAST_S = 1.2, 0.9, 4.0

SESSION = (
    "jarvisctl start",
    "jarvisctl enqueue command --name train -- sh -c 'echo epoch 1; sleep 4; echo epoch 2'",
    "jarvisctl enqueue command --name evaluate --after train -- python3 -c 'print(0.91)'",
    "jarvisctl enqueue command --name broken -- false",
    "jarvisctl status",
    "jarvisctl logs -f train",
    "jarvisctl wait broken",
    "jarvisctl logs evaluate",
    "jarvisctl status",
)
#: Colours of a terminal, by the number that switches them on.
COLOURS = {31: "#f08a80", 32: "#6fcdb3", 33: "#e8b45c", 34: "#8fb8f0", 35: "#d5a0e8", 36: "#7fd0dd", 90: "#9aa5ad"}
_CODE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


@dataclass(frozen=True)
class Line:
    """A line of the terminal, with its colour codes, and when it appears, in seconds."""

    at: float
    text: str


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"JARVISD_HOME": home, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        try:
            lines = [line for command in SESSION for line in run(command, environment)]
        finally:
            subprocess.run(["jarvisctl", "stop"], env=environment, check=False, capture_output=True)
        shown = [Line(line.at, line.text.replace(home, "~/jarvisd")) for line in lines]
    TARGET.write_text(picture(shown))
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")
    return 0


def run(command: str, environment: dict[str, str]) -> list[Line]:
    """What a terminal shows of a command: the command, then each line with the seconds since the line before it."""
    lines = [Line(COMMAND_S, f"\x1b[90m$\x1b[0m {command}")]
    terminal, end = pty.openpty()
    process = subprocess.Popen(["sh", "-c", command], stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    last, rest = time.monotonic() - COMMAND_S, ""
    while part := _read(terminal):
        *whole, rest = (rest + part.decode(errors="replace")).replace("\r\n", "\n").split("\n")
        for text in whole:
            lines.append(Line(min(LONGEST_S, time.monotonic() - last), text))
            last = time.monotonic()
    process.wait()
    os.close(terminal)
    return [*lines, Line(0.0, "")]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so where the other end is closed
        return b""


def picture(lines: Iterable[Line]) -> str:
    """The SVG. `at` of each line counts from the line before it."""
    moments, texts, now = [], [], 0.0
    for line in lines:
        now += line.at
        moments.append(now)
        texts.append(line.text)
    total = now + LAST_S
    width, height = COLUMNS * CHARACTER + 2 * EDGE, ROWS * LINE + 2 * EDGE
    rules = [_appears(number, moment / total) for number, moment in enumerate(moments)]
    rows = [
        f'<text class="l{number}" y="{LINE * (number + 1)}">{_spans(text)}</text>' for number, text in enumerate(texts)
    ]
    style = "\n".join(
        [_STYLE.format(total=f"{total:.1f}", before_end=f"{total - LAST_S / 2:.1f}"), *rules, _scrolls(moments, total)]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}">\n'
        "<title>A session of jarvisctl: programs are queued, one waits for another, one fails, and status says so."
        f"</title>\n<style>\n{style}\n</style>\n"
        f'<rect width="100%" height="100%" rx="10" fill="#121518"/>\n'
        f'<svg x="{EDGE}" y="{EDGE}" width="{width - 2 * EDGE:.0f}" height="{ROWS * LINE}"><g class="all">\n'
        + "\n".join(rows)
        + "\n</g></svg>\n</svg>\n"
    )


_STYLE = """\
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
text {{ fill: #e7e9ea; white-space: pre; }}
text, .all {{ animation: {total}s step-end infinite; }}
@media (prefers-reduced-motion: reduce) {{
  text {{ animation: none; }}
  .all {{ animation-play-state: paused; animation-delay: -{before_end}s; }}
}}"""


def _appears(number: int, share: float) -> str:
    steps = f"0% {{ opacity: 0; }} {100 * share:.2f}% {{ opacity: 1; }}"
    return f".l{number} {{ animation-name: a{number}; }} @keyframes a{number} {{ {steps} }}"


def _scrolls(moments: list[float], total: float) -> str:
    """The lines move up once there are more of them than fit."""
    steps = [
        f"{100 * moment / total:.2f}% {{ transform: translateY(-{LINE * (number + 1 - ROWS)}px); }}"
        for number, moment in enumerate(moments)
        if number >= ROWS
    ]
    return f".all {{ animation-name: up; }} @keyframes up {{ 0% {{ transform: none; }} {' '.join(steps)} }}"


def _spans(text: str) -> str:
    """The text escaped, its colours as spans; every other code of a terminal is left out."""
    shown, place, colour = [], 0, ""
    for code in _CODE.finditer(text):
        shown.append(_coloured(text[place : code.start()], colour))
        place = code.end()
        if code[2] == "m":
            numbers = [int(number) for number in code[1].split(";") if number.isdigit()] or [0]
            colour = next((COLOURS[number] for number in numbers if number in COLOURS), "")
    return "".join([*shown, _coloured(text[place:], colour)])


def _coloured(text: str, colour: str) -> str:
    plain = escape("".join(character for character in text if character.isprintable())[:COLUMNS])
    return f'<tspan fill="{colour}">{plain}</tspan>' if colour and plain else plain


if __name__ == "__main__":
    sys.exit(main())
