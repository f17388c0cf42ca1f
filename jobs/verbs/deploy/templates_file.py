"""JARVIS's custom_templates.json: what it must look like. How it is read and written is in jobs.verbs.deploy.files."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.verbs.deploy import files
from jobs.verbs.deploy.files import Applied, Change, Content, Document

__all__ = ["NAME", "VERSION", "Applied", "Change", "Content", "Document", "apply", "read", "serialise"]

NAME = "custom_templates.json"
VERSION = 1


def read(path: Path) -> Content:
    """The file as it is now, an empty one where there is none. Raises JarvisError for one that is not understood."""
    return files.read(path, _FORM)


def apply(path: Path, change: Change, *, dry_run: bool = False) -> Applied:
    """Read, change, back up, write; see jobs.verbs.deploy.files.apply."""
    return files.apply(path, _FORM, change, dry_run=dry_run)


def serialise(document: Document, before: bytes | None = None) -> bytes:
    """As JSON, indented by two; characters are escaped where the file was written that way."""
    escaped = before is not None and before.isascii() and b"\\u" in before
    text = json.dumps(document, indent=2, ensure_ascii=escaped) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half an emoji, escaped in the file
        return (json.dumps(document, indent=2) + "\n").encode("ascii")


def _flaw(document: Document) -> str | None:
    if type(document.get("version")) is not int or document["version"] != VERSION:
        return f"it is not of version {VERSION}"
    templates = document.get("templates")
    if not isinstance(templates, list) or not all(isinstance(entry, dict) for entry in templates):
        return "its templates are not a list of templates"
    return None


_FORM = files.Form(flaw=_flaw, write=serialise, empty={"version": VERSION, "templates": []})
