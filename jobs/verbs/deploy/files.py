"""JARVIS's own files: read with suspicion, written whole or not at all, never without a backup.

JARVIS rewrites them itself, so they may change at any moment: a change between reading and writing is noticed, and
the work is done again on what is there then. No lock keeps JARVIS out in the last instant before the rename.
"""

from __future__ import annotations

import copy
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

from jarvisd import plugin
from jarvisd.plugin import JarvisError, UsageError

_MOST_BYTES = 64 << 20
_TRIES = 3

Document = dict[str, Any]
Change = Callable[[Document], Document]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What one of the files must look like, and how it is written."""

    flaw: Callable[[Document], str | None]  #: why a document is not understood, or None
    write: Callable[[Document, bytes | None], bytes]  #: a document as it goes into the file that held these bytes
    empty: Document | None = None  #: stands for a file that is not there; None = there must be one


@dataclass(frozen=True, slots=True)
class Content:
    """A file at one moment; without it, `raw` is None and the document is an empty one."""

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
    old: bytes  #: the file before, nothing where there was none
    new: bytes  #: the file afterwards, or as it would be

    @property
    def changed(self) -> bool:
        return self.before != self.after


def folder(named: str | None) -> Path:
    """JARVIS's folder: the one named, else ~/.jarvis, which must be there."""
    place = Path(named or "~/.jarvis").expanduser().absolute()
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place} is not a folder", "Name the folder that holds JARVIS's files.")
    if named is None and not place.exists():
        raise JarvisError(f"there is no {place}", "Start JARVIS once, or name its folder with --to DIR.")
    return place


def read(path: Path, form: Form) -> Content:
    """The file as it is now. Raises JarvisError, naming what is wrong, for one that is not understood."""
    real = _followed(path)
    try:
        state = real.stat()
        if not stat.S_ISREG(state.st_mode):
            refuse(path, "it is not a file")
        if state.st_size > _MOST_BYTES:
            refuse(path, f"it is larger than {_MOST_BYTES >> 20} MB")
        raw = real.read_bytes()
    except FileNotFoundError:
        if form.empty is None:
            raise JarvisError(f"there is no {path}", "Start JARVIS once, or name its folder with --to DIR.") from None
        return Content(real, None, 0, 0o600, copy.deepcopy(form.empty))
    except OSError as error:
        refuse(path, f"it cannot be read ({(error.strerror or 'error').lower()})")
    return Content(real, raw, state.st_mtime_ns, stat.S_IMODE(state.st_mode), _parsed(path, raw, form))


def apply(path: Path, form: Form, change: Change, *, dry_run: bool = False) -> Applied:
    """Read, change, back up, write. Nothing is written where nothing changes, or with `dry_run`.

    Raises JarvisError for a file that is not understood, or that another program keeps changing.
    """
    if dry_run or not path.parent.is_dir():
        content = read(path, form)
        done = _planned(content, form, change)
        if dry_run or not done.changed:
            return done
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path.parent):
        for _ in range(_TRIES):
            content = read(path, form)
            done = _planned(content, form, change)
            if not done.changed:
                return done
            backup = _back_up(content)
            if _unchanged(path, content, form):
                plugin.replace_file(content.path, done.new)
                content.path.chmod(content.mode)
                return Applied(done.before, done.after, backup, done.old, done.new)
            if backup is not None:
                backup.unlink()
    raise JarvisError(f"{path} changes while it is being written", "Quit JARVIS, then try again; nothing was changed.")


def _planned(content: Content, form: Form, change: Change) -> Applied:
    """What the change would come to; nothing is written."""
    old = content.raw or b""
    after = change(content.document)
    same = after == content.document
    return Applied(content.document, after, None, old, old if same else form.write(after, content.raw))


# ------------------------------------------------------------------------------------------------------- suspicion


def _followed(path: Path) -> Path:
    """The file that `path` names. A link may only lead to a file of the same folder."""
    if not path.is_symlink():
        return path
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        refuse(path, "it is a link that leads nowhere")
    if not real.is_relative_to(path.parent.resolve()):
        refuse(path, "it is a link to another folder")
    return real


def _parsed(path: Path, raw: bytes, form: Form) -> Document:
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        refuse(path, "it is not JSON")
    if not isinstance(document, dict):
        refuse(path, "it is not a JSON object")
    if (flaw := form.flaw(document)) is not None:
        refuse(path, flaw)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")  # one of the two would be lost
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def refuse(path: Path, why: str) -> NoReturn:
    raise JarvisError(f"{path} is not understood: {why}", "It was left as it is. Repair it or move it away.")


def _unchanged(path: Path, content: Content, form: Form) -> bool:
    now = read(path, form)
    return (now.path, now.raw, now.mtime_ns) == (content.path, content.raw, content.mtime_ns)


def _back_up(content: Content) -> Path | None:
    """A copy beside the file, 0600, under a name that no earlier backup has."""
    if content.raw is None:
        return None
    stem = f"{content.path.name}.backup-{dt.datetime.now():%Y%m%dT%H%M%S}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    free = next(name for name in names if not content.path.with_name(name).exists())
    return plugin.replace_file(content.path.with_name(free), content.raw)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One deploy at a time in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------------------- what was deployed from here


def note_deployed(record: Path, path: Path, what: Any) -> None:
    """Keep in `record`, a file of ours, what was written into `path`."""
    plugin.replace_file(record, json.dumps({**_noted(record), str(path): what}))


def deployed(record: Path, path: Path) -> Any:
    """What was last written into `path` from here; None where nothing was, or nobody can tell any more."""
    return _noted(record).get(str(path))


def _noted(record: Path) -> dict[str, Any]:
    try:
        found = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
