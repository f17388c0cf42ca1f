"""Writes an export, and never over a file that is not an earlier export."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from jarvisd import plugin
from jarvisd.plugin import Home, JarvisError

_RECORD = "exports.json"  # in var/: absolute path -> digest of what was written there


def write(home: Home, file: Path, text: str) -> Path:
    """Write `text` to `file`, readable by the owner alone. Raises JarvisError for a file that is not an export."""
    path = file.absolute()
    record = _record(home)
    raw = text.encode("utf-8")
    _require_own(path, record)
    try:
        if not path.parent.is_dir():
            raise JarvisError(f"there is no folder {path.parent}", "Name a file in a folder that exists.")
        plugin.replace_file(path, raw)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise JarvisError(f"{path} cannot be written ({reason})", "Name another file with -o.") from None
    plugin.replace_file(home.var / _RECORD, json.dumps({**record, str(path): _digest(raw)}))
    return path


def _require_own(path: Path, record: dict[str, str]) -> None:
    if not path.exists() and not path.is_symlink():
        return
    try:
        own = path.is_file() and not path.is_symlink() and record.get(str(path)) == _digest(path.read_bytes())
    except OSError:
        own = False
    if not own:
        raise JarvisError(
            f"{path} exists and is not an export of jarvisd as it was written",
            "Name another file, or move this one away; nothing was written.",
        )


def _record(home: Home) -> dict[str, str]:
    try:
        stored = json.loads((home.var / _RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
