"""Files that are either the old one or the new one, never half of it, and never readable by others."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

from jarvisd import failpoints

#: The names that `replace` gives its temporary files.
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
#: Seconds after which nobody is writing a temporary file any more.
OLD_S = 3600.0


def flush(descriptor: int) -> None:
    """Put a file's data on the disk itself: on macOS fsync stops at the drive's cache, F_FULLFSYNC does not."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    try:
        if full is not None:
            fcntl.fcntl(descriptor, full)
            return
    except OSError:
        pass  # not every file system has it
    os.fsync(descriptor)


def replace(path: Path, content: str | bytes) -> Path:
    """Write `content` under `path`: temporary file beside it, flush, rename, flush the folder."""
    import tempfile  # late: `status` writes no file, and must start fast

    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 by definition
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            failpoints.failpoint("replace.before-flush")
            flush(out.fileno())
        failpoints.failpoint("replace.before-rename")
        Path(temporary).replace(path)
        failpoints.failpoint("replace.after-rename")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
    return path


def sweep(folder: Path) -> int:
    """Remove what writers that were killed left in the folders of this one; returns how many files.

    Only what is older than any writing takes: somebody may be about to give a younger one its name. Links are not
    followed: what lies behind them is not ours.
    """
    removed = 0
    for below in folder.iterdir() if folder.is_dir() else ():
        for path in below.glob(".*") if below.is_dir() and not below.is_symlink() else ():
            with contextlib.suppress(OSError):  # somebody was quicker, or the disk takes nothing
                if _TEMPORARY.fullmatch(path.name) and time.time() - path.lstat().st_mtime > OLD_S:
                    path.unlink()
                    removed += 1
    return removed


def replace_symlink(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target` (relative), replacing an older link in one step."""
    if link.exists() and not link.is_symlink():
        raise FileExistsError(17, "not a symbolic link; move it away", str(link))
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    failpoints.failpoint("link.before-rename")
    temporary.replace(link)
    failpoints.failpoint("link.after-rename")
    flush_folder(link.parent)


def flush_folder(folder: Path) -> None:
    """Put the names in a folder on the disk itself: after a new name, a rename or a removal."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
