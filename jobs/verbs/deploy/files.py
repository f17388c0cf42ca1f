"""Read and write JARVIS's own JSON files: each is validated, backed up and replaced atomically.

JARVIS rewrites the files itself, at any moment. `apply` detects a change between reading and writing and starts again
from the new contents. JARVIS takes no lock, so a change in the last instant before the rename is lost. Values, keys and
their order survive; the layout becomes an indentation by two, as JARVIS writes it.
"""

from __future__ import annotations

import copy
import datetime as dt
import difflib
import fcntl
import hashlib
import json
import math
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from jarvisd import plugin
from jarvisd.plugin import JarvisError, UsageError

_MOST_BYTES = 64 << 20
_TRIES = 3
#: Stands for the digest of a file that is not there.
NO_FILE = "none"
#: Levels of a document; JARVIS writes four.
_DEEPEST = 100

Document = dict[str, Any]
Change = Callable[[Document], Document]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What one of the files must look like."""

    flaw: Callable[[Document], str | None]  #: why a document is not understood, or None
    empty: Document | None = None  #: used where there is no file; None = there must be one
    #: Digest of the file as it was previewed, NO_FILE where there was none; None = any file will do.
    expected: str | None = None


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
    """The documents before and after a change, and the copy of the file before it."""

    before: Document
    after: Document
    backup: Path | None = None
    written: str = ""  #: digest of the file that was written; "" where none was

    @property
    def changed(self) -> bool:
        return self.before != self.after


def folder(named: str | None) -> Path:
    """JARVIS's folder: `named`, else ~/.jarvis. It must exist. Raises JarvisError."""
    path = plugin.expand_path(named or "~/.jarvis").absolute()
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is not a folder", "Name the folder that holds JARVIS's files.")
    if named is None and not path.exists():
        raise missing(path)
    if not path.exists():
        raise UsageError(f"there is no folder {path}", f"Correct --to, or make it: mkdir -p {shlex.quote(str(path))}")
    return path


def missing(path: Path) -> JarvisError:
    remedy = "`python -m jarvis.setup` in JARVIS's checkout makes it; --to DIR names another folder."
    return JarvisError(f"there is no {path}", remedy)


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
            raise missing(path) from None
        _require_expected(path, form, None)
        return Content(real, None, 0, 0o600, copy.deepcopy(form.empty))
    except OSError as error:
        refuse(path, f"it cannot be read ({(error.strerror or 'error').lower()})")
    _require_expected(path, form, raw)
    return Content(real, raw, state.st_mtime_ns, stat.S_IMODE(state.st_mode), _parsed(path, raw, form))


def _require_expected(path: Path, form: Form, raw: bytes | None) -> None:
    if form.expected is not None and form.expected != (NO_FILE if raw is None else digest(raw)):
        raise JarvisError(f"{path} has changed since it was previewed", "Nothing was changed. Look at the new preview.")


def digest_of(path: Path) -> str:
    """Digest of the file as it is now; NO_FILE where there is none. Raises OSError for one that cannot be read."""
    try:
        return digest(path.read_bytes())
    except FileNotFoundError:
        return NO_FILE


def apply(path: Path, form: Form, change: Change, *, dry_run: bool = False) -> Applied:
    """Read, change, back up, write. Nothing is written where nothing changes, or with `dry_run`.

    Raises JarvisError for a file that is not understood, or that another program keeps changing.
    """
    if dry_run or not path.parent.is_dir():
        content = read(path, form)
        done = Applied(content.document, change(content.document))
        if dry_run or not done.changed:
            return done
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path.parent):
        for _ in range(_TRIES):
            content = read(path, form)
            done = Applied(content.document, change(content.document))
            if not done.changed:
                return done
            backup = _back_up(content)
            if _unchanged(path, content, form):
                raw = serialise(done.after, content.raw)
                _write(content, raw)
                return replace(done, backup=backup, written=digest(raw))
            if backup is not None:
                backup.unlink()
    raise _busy(path)


def _busy(path: Path) -> JarvisError:
    return JarvisError(f"{path} changes while it is being written", "Quit JARVIS, then try again; nothing was changed.")


def put_back(path: Path, form: Form, content: Content, earlier: bytes | None, *, dry_run: bool) -> Applied:
    """Replace the file, which is `content` still, by the bytes `earlier`, or remove it where they are None."""
    before = form.empty if earlier is None else _parsed(path, earlier, form)
    done = Applied(content.document, copy.deepcopy(before or {}))
    if dry_run:
        return done
    with _alone(path.parent):
        if not _unchanged(path, content, form):
            raise _busy(path)
        backup = _back_up(content)
        if earlier is None:
            content.path.unlink()
        else:
            _write(content, earlier)
    return replace(done, backup=backup)


def _write(content: Content, raw: bytes) -> None:
    plugin.replace_file(content.path, raw)
    content.path.chmod(content.mode)


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def serialise(document: Document, before: bytes | None = None) -> bytes:
    """A document as JSON, indented by two; escapes and the last line's end are those of the file `before`."""
    escaped = before is not None and before.isascii() and b"\\u" in before
    end = "\n" if before is None or before.endswith(b"\n") else ""  # JARVIS writes none
    text = json.dumps(document, indent=2, ensure_ascii=escaped, allow_nan=False) + end
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, escaped in the file
        return (json.dumps(document, indent=2, allow_nan=False) + end).encode("ascii")


def diff(change: Applied) -> list[str]:
    """Lines of a unified diff of both documents, serialised in the same way."""
    old, new = (serialise(document).decode().splitlines() for document in (change.before, change.after))
    return list(difflib.unified_diff(old, new, "now", "then", lineterm="", n=2))


# ------------------------------------------------------------------------------------------------------ validation


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
        document = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_no_number
        )
    except (ValueError, RecursionError):
        refuse(path, "it is not JSON")
    if _is_deep(document):
        refuse(path, f"it is nested more than {_DEEPEST} levels deep")
    if not isinstance(document, dict):
        refuse(path, "it is not a JSON object")
    if (flaw := form.flaw(document)) is not None:
        refuse(path, flaw)
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key occurs twice")  # one of the two values would be lost
    return document


def _finite(digits: str) -> float:
    """A number as it is written. Raises ValueError for 1e999, which would be written as Infinity: that is no JSON."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _is_deep(document: Any) -> bool:
    """Whether it is nested more deeply than _DEEPEST; without recursion, which such a document would break off."""
    level = [document]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


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


# --------------------------------------------------------------------------------- record of what was deployed


def note_deployed(record: Path, path: Path, deployment: Any) -> None:
    """Keep in the file `record`, in var/, what was written into `path`."""
    plugin.replace_file(record, json.dumps({**_noted(record), str(path): deployment}))


def deployed(record: Path, path: Path) -> Any:
    """What was last written into `path`; None where nothing was, or the record cannot be read."""
    return _noted(record).get(str(path))


def _noted(record: Path) -> dict[str, Any]:
    try:
        deployments = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return deployments if isinstance(deployments, dict) else {}
