"""Kept templates in the formats of other programs."""

from __future__ import annotations

import csv
import io
import json
import plistlib
from collections.abc import Callable, Sequence

import yaml

from jobs.verbs.export.shortcuts import FORMULA, Snippet

_NAME_LETTERS = 40
#: What to do with the file, behind the line that names it.
NEXT = {
    "json": "",
    "csv": "",
    "macos": " Drag it into System Settings > Keyboard > Text Replacements.",
    "espanso": " espanso reads it from its match folder.",
    "raycast": " Raycast: Import Snippets.",
}


def render(form: str, snippets: Sequence[Snippet]) -> str:
    """The text of the file."""
    return _RENDER[form](snippets)


def problem(form: str, snippet: Snippet) -> str | None:
    """Why a format cannot hold a template as it stands; None where it can."""
    if form == "espanso" and ("{{" in snippet.reply or "$|$" in snippet.reply):
        return "espanso would take {{ or $|$ in it for a variable"
    if form == "raycast" and "{" in snippet.reply:
        return "Raycast would take { in it for a placeholder"
    return None


def _json(snippets: Sequence[Snippet]) -> str:
    rows = [
        {
            "id": snippet.template,
            "reply": snippet.reply,
            "triggers": list(snippet.triggers),
            "reviewed": snippet.reviewed,
            "uses": snippet.uses,
            "shortcut": snippet.shortcut,
        }
        for snippet in snippets
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


def _csv(snippets: Sequence[Snippet]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writerow(("id", "shortcut", "reply", "reviewed", "uses"))
    for snippet in snippets:
        rows.writerow((snippet.template, _cell(snippet.shortcut), _cell(snippet.reply), snippet.reviewed, snippet.uses))
    return text.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before one that begins so."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _macos(snippets: Sequence[Snippet]) -> str:
    rows = [{"phrase": snippet.reply, "shortcut": snippet.shortcut} for snippet in snippets]
    return plistlib.dumps(rows).decode("utf-8")


def _espanso(snippets: Sequence[Snippet]) -> str:
    rows = [{"trigger": snippet.shortcut, "replace": snippet.reply} for snippet in snippets]
    return yaml.safe_dump({"matches": rows}, allow_unicode=True, sort_keys=False)


def _raycast(snippets: Sequence[Snippet]) -> str:
    rows = [
        {"name": snippet.reply[:_NAME_LETTERS], "text": snippet.reply, "keyword": snippet.shortcut}
        for snippet in snippets
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


_RENDER: dict[str, Callable[[Sequence[Snippet]], str]] = {
    "json": _json,
    "csv": _csv,
    "macos": _macos,
    "espanso": _espanso,
    "raycast": _raycast,
}
