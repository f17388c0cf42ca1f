"""Write files so that a reader sees the old content or the new one, and only this user can read them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

from jarvisd import failpoints

#: Temporary names: of `replace` and of a backup, of `replace_symlink`, of machine-id, of a backup of version 0.1.0.
_TEMPORARY = re.compile(r"\..+\.([a-z0-9_]{8}|[0-9]+|[0-9a-f]{32})|tmp[a-z0-9_]{8}")
#: Copies of chat.db begin with this and their process id.
PRIVATE_COPY = "jarvisd-messages-"
#: A temporary file that is older, in seconds, was left by a process that was killed.
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
    """Remove temporary files that killed processes left in this folder and its subfolders; return their number.

    Only files older than OLD_S are removed: another process may be about to rename a younger one. Links are not
    followed, because jarvisd wrote nothing behind them.
    """
    if not folder.is_dir():
        return 0
    folders = [below for below in folder.iterdir() if below.is_dir() and not below.is_symlink()]
    candidates = [path for below in (folder, *folders) for path in below.iterdir()]
    return sum(_remove_old(path) for path in candidates if _TEMPORARY.fullmatch(path.name))


def _remove_old(path: Path) -> bool:
    """Remove a temporary file, link or folder unless it is young. Returns whether it was removed."""
    import shutil  # late: with its compression modules it takes 5 ms, and `status` removes nothing

    with contextlib.suppress(OSError):  # another process removed it, or the disk cannot be written
        if time.time() - path.lstat().st_mtime > OLD_S:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            return True
    return False


def sweep_private_copies(cache: Path) -> None:
    """Remove copies of chat.db in this folder whose process has ended: they hold messages."""
    import shutil

    for path in cache.glob(f"{PRIVATE_COPY}*"):
        owner = path.name.removeprefix(PRIVATE_COPY).partition("-")[0]
        if not (owner.isdigit() and _is_alive(int(owner))):
            if path.is_dir() and not path.is_symlink():  # of version 0.1.0
                shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                path.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # a process of another user
    return True


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
    """Flush the names in a folder to the disk; call it after a creation, a rename or a removal."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)
