"""How a rendered report is looked at."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.store.models import Run
from jobs.report import render

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> [link](javascript:alert(1)) ![i](https://e.com/i.png)"
    " | pipe ```` \u202ebidi \x1b[31mred {{7*7}} {% raw %} $x^2$ </text></svg></style>\nnext line"
)


class Tags(HTMLParser):
    """Names of the tags of a page, what its links lead to, the text outside of scripts and styles, and its policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}
        given = dict(attrs)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.names[-1:] not in (["script"], ["style"]):
            self.text += data


def rendered(row: Run, here: Home) -> tuple[Path, list[str]]:
    """Render into the run's folder; the folder and what could not be rendered."""
    folder = here.run_folder(row.id)

    def publish(name: str, text: str) -> Path:
        order.append(name)
        return files.replace(folder / name, text)

    order: list[str] = []
    problems = render.render(row.id, here, publish)
    assert order[-1] == "REPORT.md"
    return folder, problems


def outside_blocks(text: str) -> str:
    """Markdown without its fenced blocks, which show their content as it is."""
    kept, fence = [], ""
    for line in text.splitlines():
        if not fence and line.startswith("```"):
            fence = line.removesuffix("text")
        elif fence and line == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    assert not fence
    return "\n".join(kept)
