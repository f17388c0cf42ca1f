"""JARVIS's custom_templates.json: read with suspicion, written whole or not at all, never without a backup.

JARVIS rewrites the file itself, so it may change at any moment: a change between reading and writing is noticed, and
the work is done again on what is there then. No lock keeps JARVIS out in the last instant before the rename.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from jarvisd import files
from jarvisd.errors import JarvisError

NAME = "custom_templates.json"
VERSION = 1
_MOST_BYTES = 64 << 20
_TRIES = 3

Document = dict[str, Any]
Change = Callable[[Document], Document]


@dataclass(frozen=True, slots=True)
class Content:
    """The file at one moment; without it, `raw` is None and the document is an empty one."""

    path: Path  #: the file itself, where its name is a link
    raw: bytes | None
    mtime_ns: int
    mode: int
    document: Document


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change came to."""

    before: Document
    after: Document
    backup: Path | None

    @property
    def changed(self) -> bool:
        return self.before != self.after


def read(path: Path) -> Content:
    """The file as it is now. Raises JarvisError, naming what is wrong, for one that is not understood."""
    real = _followed(path)
    try:
        state = real.stat()
        if not stat.S_ISREG(state.st_mode):
            _refuse(path, "it is not a file")
        if state.st_size > _MOST_BYTES:
            _refuse(path, f"it is larger than {_MOST_BYTES >> 20} MB")
        raw = real.read_bytes()
    except FileNotFoundError:
        return Content(real, None, 0, 0o600, {"version": VERSION, "templates": []})
    except OSError as error:
        _refuse(path, f"it cannot be read ({(error.strerror or 'error').lower()})")
    return Content(real, raw, state.st_mtime_ns, stat.S_IMODE(state.st_mode), _parsed(path, raw))


def apply(path: Path, change: Change, *, dry_run: bool = False) -> Applied:
    """Read, change, back up, write. Nothing is written where nothing changes, or with `dry_run`.

    Raises JarvisError for a file that is not understood, or that another program keeps changing.
    """
    if dry_run or not path.parent.is_dir():
        content = read(path)
        after = change(content.document)
        if dry_run or after == content.document:
            return Applied(content.document, after, None)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path.parent):
        for _ in range(_TRIES):
            content = read(path)
            after = change(content.document)
            if after == content.document:
                return Applied(content.document, after, None)
            new = serialise(after, content.raw)
            backup = _back_up(content)
            if _unchanged(path, content):
                files.replace(content.path, new)
                content.path.chmod(content.mode)
                return Applied(content.document, after, backup)
            if backup is not None:
                backup.unlink()
    raise JarvisError(f"{path} changes while it is being written", "Quit JARVIS, then try again; nothing was changed.")


def serialise(document: Document, before: bytes | None = None) -> bytes:
    """As JSON, indented by two; characters are escaped where the file was written that way."""
    escaped = before is not None and before.isascii() and b"\\u" in before
    text = json.dumps(document, indent=2, ensure_ascii=escaped) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half an emoji, escaped in the file
        return (json.dumps(document, indent=2) + "\n").encode("ascii")


# ------------------------------------------------------------------------------------------------------- suspicion


def _followed(path: Path) -> Path:
    """The file that `path` names. A link may only lead to a file of the same folder."""
    if not path.is_symlink():
        return path
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        _refuse(path, "it is a link that leads nowhere")
    if not real.is_relative_to(path.parent.resolve()):
        _refuse(path, "it is a link to another folder")
    return real


def _parsed(path: Path, raw: bytes) -> Document:
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        _refuse(path, "it is not JSON")
    if not isinstance(document, dict) or type(document.get("version")) is not int or document["version"] != VERSION:
        _refuse(path, f"it is not of version {VERSION}")
    templates = document.get("templates")
    if not isinstance(templates, list) or not all(isinstance(entry, dict) for entry in templates):
        _refuse(path, "its templates are not a list of templates")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")  # one of the two would be lost
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(path: Path, why: str) -> NoReturn:
    raise JarvisError(f"{path} is not understood: {why}", "It was left as it is. Repair it or move it away.")


def _unchanged(path: Path, content: Content) -> bool:
    now = read(path)
    return (now.path, now.raw, now.mtime_ns) == (content.path, content.raw, content.mtime_ns)


def _back_up(content: Content) -> Path | None:
    """A copy beside the file, 0600, under a name that no earlier backup has."""
    if content.raw is None:
        return None
    stem = f"{content.path.name}.backup-{dt.datetime.now():%Y%m%dT%H%M%S}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    free = next(name for name in names if not content.path.with_name(name).exists())
    return files.replace(content.path.with_name(free), content.raw)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One deploy at a time in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
