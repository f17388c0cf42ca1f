"""Who may import the local page and its web framework."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = {"starlette", "uvicorn", "jinja2", "h11", "anyio"}
#: What the web.py of a kind or a verb imports of the page.
PAGES = "jarvisd.web.pages"


def imports() -> Iterator[tuple[str, str]]:
    """(file, imported module) of all that is shipped."""
    for path in sorted([*ROOT.glob("jarvisd/**/*.py"), *ROOT.glob("jobs/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            yield from ((str(path.relative_to(ROOT)), name) for name in names)


def test_only_the_page_imports_a_web_framework() -> None:
    """The templates of the report need jinja2 too."""
    bad = [
        (file, name)
        for file, name in imports()
        if not file.startswith("jarvisd/web/")
        and name.partition(".")[0] in FRAMEWORK - ({"jinja2"} if file.startswith("jobs/report/") else set())
    ]
    assert bad == []


def test_the_daemon_and_the_command_line_load_none_of_it() -> None:
    """Also not by what they import: asked of a process that has imported all of both."""
    code = "import jarvisd.daemon.main, jarvisd.cli.open, jarvisd.cli.status, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert {name.partition(".")[0] for name in loaded.split()} & FRAMEWORK == set()


def test_kinds_and_verbs_import_the_interface_of_the_page_alone() -> None:
    """And only in a file or folder that is called web."""
    bad = [
        (file, name)
        for file, name in imports()
        if file.startswith("jobs/")
        and name.startswith("jarvisd.web")
        and (name != PAGES or not {"web", "web.py"} & set(file.split("/")))
    ]
    assert bad == []
